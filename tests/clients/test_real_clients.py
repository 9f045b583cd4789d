"""Clients as their registries have them, run against the server as it is really started: a person signs in for each, and an hour passes."""

from __future__ import annotations

import json
import os
import re
import shlex

import pytest

from mcp_server.tools import SHIPPED
from tests.clients.real_clients import CLIENTS, HANDSHAKE, STATELESS, play
from tests.running import ROOT, Gateway

DOCUMENT = ROOT / "docs/clients.md"
EVERYTHING = "tools:read tools:execute"
FLOW = [  # in this order, whatever else comes between
    "POST /mcp 401", "GET /.well-known/oauth-protected-resource/mcp 200", "GET /.well-known/oauth-authorization-server 200",
    "POST /oauth/register 201", "GET /oauth/authorize 302", "POST /login 303", "GET /oauth/authorize 200", "POST /oauth/authorize 303",
    "POST /oauth/token 200", "POST /mcp 200"]
TOOLS = set(SHIPPED)
SAID = ["at first", "an hour later"]

every_client = pytest.mark.parametrize("client", CLIENTS, ids=str)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """One for all of them, with a clock that their drivers put forward."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "tests").symlink_to(ROOT / "tests")
    (folder / "ahead").touch()
    os.utime(folder / "ahead", (0, 0))
    built = Gateway(folder, "tests.clients.wsgi:app")
    built.configured(DCR_MODE="open", RATE_LIMIT_OAUTH_MAX=0)
    try:
        built.started().add_user("ada", "a password of some length")
        yield built
    finally:
        built.stop()


@pytest.fixture(scope="module")
def made_client(gateway):
    """The id of the client that docs/clients.md tells the operator to make."""
    [command] = re.findall(r"^ *flask (clients create .*)$", DOCUMENT.read_text(), re.MULTILINE)
    return json.loads(gateway.flask(*shlex.split(command), "--json").stdout)["client_id"]


def in_order(expected, found):
    rest = iter(found)
    return all(step in rest for step in expected)


def spoken(played):
    """The revision, from what was asked of the server."""
    methods = set(played.methods())
    assert ("server/discover" in methods) is not ("initialize" in methods), methods
    return STATELESS if "server/discover" in methods else HANDSHAKE


def assert_stepped_up(played):
    assert "POST /mcp 403" in played.requests()
    assert [opened["scope"] for opened in played.browser] == ["tools:read", EVERYTHING]
    assert len(played.audited("token_issued")) == 2
    assert played.told["said"] == SAID


@pytest.mark.requirement("RCL-001")
@every_client
def test_a_person_signs_in_once_and_the_client_lists_calls_and_refreshes_by_itself(gateway, client, tmp_path):
    played = play(client, gateway, tmp_path)
    assert in_order(FLOW, played.requests()), played.requests()
    assert spoken(played) == client.revision
    assert played.told.get("revision", client.revision) == client.revision
    assert (played.told.get("version") or client.installed) == client.pinned
    assert set(played.told["tools"]) == TOOLS
    assert played.told["said"] == SAID
    [opened] = played.browser
    assert opened["scope"] == EVERYTHING
    assert opened["saw"][0] == client.seen_as
    assert opened["saw"][1].startswith(("127.0.0.1:", "localhost:"))
    assert len(played.audited("token_refreshed")) == 1


@pytest.mark.requirement("RCL-002")
@every_client
def test_a_client_with_too_narrow_a_token_asks_the_person_again_and_keeps_both_scopes(gateway, client, tmp_path):
    (tmp_path / "narrow").touch()
    played = play(client, gateway, tmp_path)
    assert_stepped_up(played)
    assert played.told["anew"] is (client.steps_up != "yes")


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.steps_up == "with --client-id"], ids=str)
def test_the_inspector_asks_again_as_a_client_that_the_operator_made(gateway, made_client, client, tmp_path):
    (tmp_path / "narrow").touch()
    played = play(client, gateway, tmp_path, CLIENT_ID=made_client)
    assert_stepped_up(played)
    assert not played.told["anew"]


@pytest.mark.requirement("RCL-003")
@every_client
def test_a_client_that_the_operator_made_does_not_register(gateway, made_client, client, tmp_path):
    played = play(client, gateway, tmp_path, CLIENT_ID=made_client)
    assert in_order([step for step in FLOW if "register" not in step], played.requests()), played.requests()
    assert not played.audited("dcr_registration")
    assert played.told["said"] == SAID
    assert [opened["saw"][0] for opened in played.browser] == ["Programs on our machines"]
    assert {line["client_id"] for line in played.audited("token_issued")} == {made_client}


def test_the_documented_table_is_what_these_tests_run():
    rows = [line.replace("`", "").strip("| ").split(" | ") for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    found = [[name.removesuffix(" (Python)"), *cells] for name, *cells in rows]
    assert found == [[client.name, client.pinned, client.revision, client.chosen_by, *["yes"] * 4, client.steps_up] for client in CLIENTS]
