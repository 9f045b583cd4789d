"""A prompt and a resource that ask the client back, as a tool may (2026-07-28)."""

from __future__ import annotations

import json

import pytest

from mcp_server.mcp.conversation import Outlet
from tests.mcp.offered import offer

PREFIX = "io.modelcontextprotocol/"
ASKING = [("prompts/get", {"name": "asking"}, "name", {"name": "Ada"}), ("resources/read", {"uri": "page://00001"}, "why", {"why": "because"})]


class Unheard(Outlet):
    def send(self, message):
        raise AssertionError(message)


@pytest.fixture
def offered():
    return offer(3)


@pytest.fixture
def send(client):
    def send(method, params, capabilities):
        meta = {f"{PREFIX}protocolVersion": "2026-07-28", f"{PREFIX}clientCapabilities": capabilities}
        headers = {"Mcp-Method": method, "Mcp-Name": params.get("name") or params["uri"]}
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": meta}}
        reply = client.send(message, "2026-07-28", headers, outlet=Unheard())
        return reply.status, json.loads(reply.body)

    return send


@pytest.mark.parametrize(("method", "params", "key", "content"), ASKING)
def test_the_answer_is_part_of_the_result_which_is_then_for_nobody_to_keep(send, method, params, key, content):
    asked = send(method, params, {"elicitation": {}})[1]["result"]
    assert asked["resultType"] == "input_required"
    assert asked["inputRequests"][key]["method"] == "elicitation/create"
    assert not {"ttlMs", "cacheScope"} & asked.keys()
    answer = {"inputResponses": {key: {"action": "accept", "content": content}}, "requestState": asked["requestState"]}
    got = send(method, params | answer, {"elicitation": {}})[1]["result"]
    assert got["resultType"] == "complete"
    assert content[key] in json.dumps(got)
    if method == "resources/read":
        assert (got["ttlMs"], got["cacheScope"]) == (0, "private")


@pytest.mark.parametrize(("method", "params"), [each[:2] for each in ASKING])
def test_a_client_that_cannot_be_asked_is_told_what_it_needs(send, method, params):
    status, answer = send(method, params, {})
    assert (status, answer["error"]["code"], answer["error"]["data"]) == (400, -32021, {"requiredCapabilities": {"elicitation": {}}})
