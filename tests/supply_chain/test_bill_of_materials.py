from __future__ import annotations

import json
import subprocess
import sys

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from supply_chain.licences import licence_of, refused
from supply_chain.locked import FILES, ROOT, locked
from supply_chain.sbom import bill


@pytest.mark.parametrize("file", FILES)
def test_every_package_has_a_licence_that_may_be_used(file):
    found = {package.name: licence_of(package.name) for package in locked(file) if package.applies}
    assert {name: licence for name, licence in found.items() if refused(licence)} == {}


@pytest.mark.parametrize(("expression", "not_allowed"), [
    ("MIT", []), ("Apache-2.0 OR BSD-3-Clause", []), ("MPL-2.0 AND (Apache-2.0 OR MIT)", []), ("GPL-3.0-only", ["GPL-3.0-only"]),
    ("MIT AND AGPL-3.0-or-later", ["AGPL-3.0-or-later"]), ("Proprietary", ["Proprietary"]), (None, ["none"]), ("", ["none"]),
])
def test_a_licence_that_is_not_on_the_list_is_named(expression, not_allowed):
    assert refused(expression) == not_allowed


def test_the_bill_of_materials_keeps_to_the_schema_of_cyclonedx():
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill())) is None


def test_the_bill_names_every_package_with_version_hashes_and_licence():
    components = {component["name"]: component for component in bill()["components"]}
    assert set(components) == {package.name for package in locked("requirements") if package.applies}
    assert all(component["licenses"] and component["externalReferences"][0]["hashes"] for component in components.values())
    assert components["flask"]["purl"].startswith("pkg:pypi/flask@")


def test_the_bill_tells_who_needs_whom():
    needs = {entry["ref"].partition("@")[0]: [ref.partition("@")[0] for ref in entry["dependsOn"]] for entry in bill()["dependencies"]}
    assert "pkg:pypi/werkzeug" in needs["pkg:pypi/flask"]
    assert "pkg:pypi/flask" in needs["servicenow-mcp-gateway"]
    assert "pkg:pypi/werkzeug" not in needs["servicenow-mcp-gateway"]


def test_two_bills_of_the_same_packages_are_the_same_bytes():
    printed = [subprocess.run([sys.executable, "-m", "supply_chain.sbom"], cwd=ROOT, capture_output=True, check=True).stdout for _ in range(2)]
    assert printed[0] == printed[1]
    assert b"timestamp" not in printed[0]
