"""Resources, prompts and completion over HTTP, in both eras, as a client of the product finds them."""

from __future__ import annotations

import json
import shutil

import pytest

from mcp_server.app import CONFIG
from tests.gateway import API_KEY

KEY = {"X-API-Key": API_KEY, "Accept": "application/json, text/event-stream"}
STATELESS = "2026-07-28"
CATEGORY = {"type": "ref/resource", "uri": "taxonomy://incident/{category}"}
NAMED_BY = {"resources/read": "uri", "prompts/get": "name"}


class Talk:
    """A client of one revision."""

    def __init__(self, gateway, version):
        self.gateway, self.version = gateway, version

    def send(self, method, **params):
        headers = {**KEY, "MCP-Protocol-Version": self.version}
        if self.version == STATELESS:
            prefix = "io.modelcontextprotocol/"
            params["_meta"] = {f"{prefix}protocolVersion": self.version, f"{prefix}clientCapabilities": {}}
            headers |= {"Mcp-Method": method} | ({"Mcp-Name": params[NAMED_BY[method]]} if method in NAMED_BY else {})
        return self.gateway.mcp({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, headers=headers)

    def result(self, method, **params):
        response = self.send(method, **params)
        assert response.status_code == 200, response.text
        return response.json["result"]

    @property
    def capabilities(self):
        if self.version == STATELESS:
            return self.result("server/discover")["capabilities"]
        return self.result("initialize", protocolVersion=self.version, capabilities={})["capabilities"]


@pytest.fixture(params=["2025-06-18", "2025-11-25", STATELESS])
def talk(request, gateway):
    return Talk(gateway, request.param)


def test_what_is_there_is_advertised_and_everything_advertised_answers(talk):
    assert {**talk.capabilities, "extensions": None} == {
        "tools": {"listChanged": True}, "logging": {}, "prompts": {"listChanged": True}, "resources": {"subscribe": True, "listChanged": True},
        "completions": {}, "extensions": None}
    assert ("extensions" in talk.capabilities) == (talk.version == STATELESS)
    for method, member in (("tools/list", "tools"), ("prompts/list", "prompts"), ("resources/list", "resources"),
                           ("resources/templates/list", "resourceTemplates")):
        result = talk.result(method)
        assert result[member]
        if talk.version == STATELESS:
            assert (result["ttlMs"], result["cacheScope"], result["resultType"]) == (60_000, "public", "complete")


def test_without_a_prompt_none_are_advertised(open_gateway, tmp_path):
    shutil.copytree(CONFIG, tmp_path / "config")
    shutil.rmtree(tmp_path / "config" / "prompts")
    talk = Talk(open_gateway(config=tmp_path / "config"), "2025-06-18")
    assert "prompts" not in talk.capabilities
    assert talk.capabilities["completions"] == {}  # the taxonomy has categories
    assert talk.send("prompts/list").json["error"]["code"] == -32601


def test_the_taxonomy_is_read(talk):
    for resource in talk.result("resources/list")["resources"]:
        read = talk.result("resources/read", uri=resource["uri"])
        [contents] = read["contents"]
        assert contents["mimeType"] == resource["mimeType"]
        assert len(contents["text"].encode()) == resource["size"]
    [category] = talk.result("resources/read", uri="taxonomy://incident/network")["contents"]
    assert json.loads(category["text"])["assignment_group"] == "Network"
    if talk.version == STATELESS:
        assert (read["ttlMs"], read["cacheScope"]) == (60_000, "private")


def test_a_resource_that_is_not_there_is_told_in_the_form_of_the_era(talk):
    response = talk.send("resources/read", uri="taxonomy://incident/nothing")
    expected = (400, -32602) if talk.version == STATELESS else (200, -32002)
    assert (response.status_code, response.json["error"]["code"]) == expected
    assert response.json["error"]["data"] == {"uri": "taxonomy://incident/nothing"}


def test_a_prompt_of_the_operator_is_got_with_the_incident_fenced(talk):
    got = talk.result("prompts/get", name="triage_incident", arguments={"incident": "VPN drops.", "category": "network"})
    text = got["messages"][0]["content"]["text"]
    assert "now: network" in text
    assert "\nVPN drops.\n</DATA-" in text
    assert "ttlMs" not in got


def test_arguments_are_completed(talk):
    for ref in (CATEGORY, {"type": "ref/prompt", "name": "triage_incident"}):
        found = talk.result("completion/complete", ref=ref, argument={"name": "category", "value": "Net"})
        assert found["completion"] == {"values": ["network"], "total": 1, "hasMore": False}


@pytest.mark.parametrize("method", ["resources/subscribe", "resources/unsubscribe"])
def test_watching_is_a_request_of_the_handshake_era_alone(gateway, method):
    assert Talk(gateway, "2025-11-25").result(method, uri="taxonomy://incident") == {}
    response = Talk(gateway, STATELESS).send(method, uri="taxonomy://incident")
    assert (response.status_code, response.json["error"]["code"]) == (404, -32601)
