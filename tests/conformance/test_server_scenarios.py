"""The official conformance suite against the server as it is really started, with its bearer check on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conformance import suite
from tests.conformance.asking_tools import ASKING_TOOLS
from tests.conformance.conftest import SETUPS
from tests.conformance.scenarios import SCENARIOS, surprises
from tests.conformance.tools import TOOLS
from tests.running import ROOT, SECRETS, environment
from tests.servers import free_port


@pytest.mark.parametrize("setup", SETUPS)
def test_every_scenario_of_every_revision_passes(serve, setup, tmp_path):
    found = suite.run_all(f"{serve(setup).url}/mcp", SCENARIOS, tmp_path / "results")
    told = surprises(found)
    assert not told, f"\n{told}"


def test_no_scenario_got_lost():
    assert {revision: len(scenarios) for revision, scenarios in SCENARIOS.items()} == {
        "2025-03-26": 1, "2025-06-18": 27, "2025-11-25": 33, "2026-07-28": 50}


def test_a_server_that_is_not_there_passes_nothing(tmp_path):
    [came_of] = suite.run_all(f"http://localhost:{free_port()}/mcp", ["2026-07-28"], tmp_path / "results").values()
    assert came_of
    assert suite.PASSED not in came_of.values()


def test_the_fixtures_are_not_in_the_application_as_it_ships(gateway):
    shipped = {tool.name for tool in gateway.services.tools}
    assert shipped.isdisjoint(tool.name for tool in (*TOOLS, *ASKING_TOOLS))


def test_the_fixtures_cannot_be_loaded_in_production(tmp_path):
    production = {**SECRETS, "ENVIRONMENT": "production", "OAUTH_ISSUER": "https://mcp.example.com", "LLM_BACKEND": "ollama"}
    loaded = subprocess.run([sys.executable, "-c", "import tests.conformance.wsgi"], cwd=tmp_path, env={
        **environment(), **production, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert loaded.returncode != 0
    assert loaded.stderr == "The fixtures of the conformance suite are not for production.\n"
