"""The bill of materials of this installation, CycloneDX 1.6 as JSON: `python -m supply_chain.sbom`. The same packages give the same bytes."""

from __future__ import annotations

import json
import sys
from importlib.metadata import PackageNotFoundError, requires
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mcp_server import __version__
from supply_chain.licences import licence_of
from supply_chain.locked import Locked, locked, required

NAME = "servicenow-mcp-gateway"
SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"


def bill() -> dict[str, Any]:
    """Without time and serial number, so that two can be compared. Raises PackageNotFoundError for what is not installed."""
    packages = sorted((package for package in locked("requirements") if package.applies), key=lambda package: package.name)
    references = {package.name: _purl(package) for package in packages}
    direct = sorted(references[canonicalize_name(asked.name)] for asked in required("requirements"))
    return {
        "$schema": SCHEMA, "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": NAME, "name": NAME, "version": __version__}},
        "components": [_component(package) for package in packages],
        "dependencies": [
            {"ref": NAME, "dependsOn": direct},
            *({"ref": references[package.name], "dependsOn": _needed_by(package.name, references)} for package in packages),
        ],
    }


def _component(package: Locked) -> dict[str, Any]:
    licence = licence_of(package.name)
    licences = {"licenses": [_licence(licence)]} if licence else {}
    return {
        "type": "library", "bom-ref": _purl(package), "name": package.name, "version": package.version, "purl": _purl(package), **licences,
        "externalReferences": [{
            "type": "distribution", "url": f"https://pypi.org/project/{package.name}/{package.version}/",
            "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.hashes]}],
    }


def _licence(expression: str) -> dict[str, Any]:
    return {"expression": expression} if " " in expression else {"license": {"id": expression}}


def _purl(package: Locked) -> str:
    return f"pkg:pypi/{package.name}@{package.version}"


def _needed_by(name: str, references: dict[str, str]) -> list[str]:
    """By its own metadata, among what is locked: an extra that nobody asked for is not there."""
    asked = (Requirement(line) for line in requires(name) or ())
    names = {canonicalize_name(requirement.name) for requirement in asked}
    return sorted(references[needed] for needed in names if needed in references)


if __name__ == "__main__":
    try:
        print(json.dumps(bill(), indent=2))  # noqa: T201 -- it is for a file or a pipe
    except PackageNotFoundError as error:
        sys.exit(f"{error.name} is not installed: run this with the Python of an installation, such as .venv/bin/python.")
