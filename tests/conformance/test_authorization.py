"""The MCP project's own conformance suite, its scenarios for authorization servers, against the server as it is really started.

The suite prints the URL that a person should open, and waits; here that person is tests/person.py. Scenarios are counted, not checks: with
nothing listening the suite still reports checks that pass.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess

import pytest

from tests.node import NODE, package
from tests.person import Person
from tests.running import Gateway, environment
from tests.servers import free_port
from tests.workers.wire import PASSWORD, USERNAME, Caller

REVISIONS = ("2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
SCENARIOS = {"authorization-server-metadata-endpoint", "authorization-code-grant"}
LONGEST = 120
"""Seconds. The suite itself would wait for its person for five minutes."""


class Suite:
    """One run of `conformance authorization`. `passed` and `failed` are scenarios, by what it wrote about each."""

    def __init__(self, url, client_id, revision, port, folder) -> None:
        self._command = [
            str(NODE), str(package("@modelcontextprotocol/conformance") / "dist/index.js"), "authorization", "--url", url, "--client-id", client_id,
            "--resource", f"{url}/mcp", "--spec-version", revision, "--port", str(port), "--output-dir", str(folder)]
        self._folder = folder
        self.said = ""

    def run(self, person):
        """Run it to its end; `person.approve` is asked for the URL that it prints. Returns its exit status."""
        with subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, env=environment(),
                start_new_session=True) as process:
            try:
                for line in process.stdout:
                    self.said += line
                    if found := re.match(r"\s*(https?://\S+[?&]response_type=code\S*)", line):
                        person(found[1])
                return process.wait(LONGEST)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    @property
    def outcomes(self):
        """Each scenario: whether it was run, and no check of it failed."""
        found = {}
        for path in self._folder.rglob("checks.json"):
            checks = json.loads(path.read_text())
            name = next(name for name in SCENARIOS if name in path.parent.name)
            found[name] = bool(checks) and all(check["status"] in ("SUCCESS", "INFO", "WARNING") for check in checks)
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    gateway = Gateway(tmp_path_factory.mktemp("conformance"))
    gateway.configured(RATE_LIMIT_OAUTH_MAX=0)
    gateway.started()
    gateway.add_user(USERNAME, PASSWORD)
    yield gateway
    gateway.stop()


@pytest.fixture
def suite(server, tmp_path):
    """suite(revision) → a run with a public client of its own: the metadata lists `none`, so the suite acts as one."""

    def prepared(revision, url=None):
        port = free_port()
        caller = Caller(server)
        caller.register(redirect_uris=[f"http://127.0.0.1:{port}/callback"], token_endpoint_auth_method="none")
        caller.http.close()
        return Suite(url or server.url, caller.client_id, revision, port, tmp_path)

    return prepared


def visit(address):
    """Sign in, approve, and go where the browser is sent."""
    Person(USERNAME, PASSWORD).visit(address)


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_scenario_for_authorization_servers_passes(suite, revision):
    run = suite(revision)
    status = run.run(visit)
    assert run.outcomes == dict.fromkeys(SCENARIOS, True), run.said
    assert status == 0, run.said


def test_a_server_that_is_not_there_fails_the_run(suite):
    run = suite(REVISIONS[-1], url=f"http://localhost:{free_port()}")
    status = run.run(visit)
    assert not any(run.outcomes.values()), run.said
    assert status != 0


def test_a_person_who_refuses_fails_the_run(suite):
    run = suite(REVISIONS[-1])
    status = run.run(lambda address: Person(USERNAME, PASSWORD).visit(address, "refuse"))
    assert run.outcomes["authorization-server-metadata-endpoint"] is True
    assert run.outcomes["authorization-code-grant"] is False
    assert status != 0
