"""The order of checks of a request of 2026-07-28, and what its answers carry."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from marshmallow import Schema

from mcp_server.mcp.arguments import Flag, Text, Whole
from mcp_server.mcp.dispatcher import Dispatcher
from mcp_server.mcp.methods import METHODS
from mcp_server.mcp.tool import Tool, ToolRegistry

VERSION = "2026-07-28"
PREFIX = "io.modelcontextprotocol/"
META = {f"{PREFIX}protocolVersion": VERSION, f"{PREFIX}clientCapabilities": {}}


def without(key):
    return {name: value for name, value in META.items() if name != PREFIX + key}


@pytest.fixture
def send(client):
    """send(method, params, headers) → the reply to a request that is right but for what is given. A header of None is left out."""

    def send_one(method="tools/list", params=None, meta=META, version=VERSION, **headers):
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": meta}}
        sent = {"Mcp-Method": method, "Mcp-Name": (params or {}).get("name")} | {name.replace("_", "-"): value for name, value in headers.items()}
        return client.send(body, version, {name: value for name, value in sent.items() if value is not None})

    return send_one


def error(reply):
    return reply.status, json.loads(reply.body)["error"]["code"]


def result(reply):
    assert reply.status == 200, reply.body
    return json.loads(reply.body)["result"]


ECHO = {"name": "echo", "arguments": {"text": "x"}}


@pytest.mark.requirement("HDR-012")
def test_a_right_request_is_answered_with_what_every_result_has(send):
    answered = result(send("tools/call", ECHO))
    assert answered["resultType"] == "complete"
    assert answered["_meta"][f"{PREFIX}serverInfo"]["name"] == "gateway"
    assert "ttlMs" not in answered


@pytest.mark.requirement("HDR-012")
@pytest.mark.parametrize("method", ["tools/list", "server/discover"])
def test_what_may_be_kept_says_for_how_long_and_for_whom(send, method):
    answered = result(send(method))
    assert isinstance(answered["ttlMs"], int)
    assert answered["cacheScope"] in ("public", "private")


@pytest.mark.requirement("HDR-001")
def test_discovery_names_the_versions_and_capabilities_and_no_server_info_in_the_body(send):
    answered = result(send("server/discover"))
    assert answered["supportedVersions"] == [VERSION]
    assert "tools" in answered["capabilities"]
    assert "serverInfo" not in answered


@pytest.mark.requirement("HDR-008")
@pytest.mark.parametrize(
    "meta", [None, [], "x", {}, without("protocolVersion"), without("clientCapabilities"), META | {f"{PREFIX}clientCapabilities": []},
             META | {f"{PREFIX}clientCapabilities": None}, META | {f"{PREFIX}protocolVersion": 20260728}])
def test_meta_is_required_and_of_the_right_shape(send, meta):
    assert error(send(meta=meta)) == (400, -32602)


def test_the_name_of_the_client_is_not_required(send):
    assert result(send(meta=META | {f"{PREFIX}clientInfo": None}))


@pytest.mark.parametrize(
    ("request_for", "headers"),
    [
        (("tools/list", {}), {"version": None}),
        (("tools/list", {}), {"version": "2025-11-25"}),
        (("tools/list", {}), {"version": "v999"}),
        (("tools/list", {}), {"Mcp_Method": None}),
        (("tools/list", {}), {"Mcp_Method": "tools/call"}),
        (("tools/list", {}), {"Mcp_Method": "Tools/List"}),
        (("tools/list", {}), {"Mcp_Method": "tools/list, tools/list"}),
        (("tools/call", ECHO), {"Mcp_Name": None}),
        (("tools/call", ECHO), {"Mcp_Name": "Echo"}),
        (("tools/call", ECHO), {"Mcp_Name": "count"}),
        (("tools/call", ECHO), {"Mcp_Name": ""}),
        (("tools/call", ECHO), {"Mcp_Name": "=?base64?ZWNobw?="}),
        (("tools/call", ECHO), {"Mcp_Name": "=?base64?ZWNobx==?="}),
        (("tools/call", ECHO), {"Mcp_Name": "=?base64?§?="}),
    ],
)
@pytest.mark.requirement("HDR-003")
@pytest.mark.requirement("HDR-004")
@pytest.mark.requirement("HDR-005")
def test_headers_that_differ_from_the_body_are_refused(send, request_for, headers):
    assert error(send(*request_for, **headers)) == (400, -32020)


@pytest.mark.parametrize("name", ["echo", " echo ", "\techo", f"=?base64?{base64.b64encode(b'echo').decode()}?="])
def test_a_header_may_have_blanks_around_it_or_be_encoded(send, name):
    assert result(send("tools/call", ECHO, Mcp_Name=name))


def test_the_headers_come_before_the_version_and_the_version_before_the_method(send):
    v999 = META | {f"{PREFIX}protocolVersion": "v999"}
    assert error(send(meta=v999)) == (400, -32020)
    assert error(send("no/such", meta=v999, version="v999")) == (400, -32022)
    assert error(send("no/such")) == (404, -32601)


REMOVED = ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "tasks/list"]


@pytest.mark.requirement("HDR-009")
@pytest.mark.parametrize("method", [*REMOVED, "no/such"])
def test_what_this_revision_has_not_is_not_found(send, method):
    assert error(send(method, {"protocolVersion": VERSION, "level": "info", "uri": "x"})) == (404, -32601)


def test_bad_params_are_a_bad_request_and_bad_arguments_a_result(send):
    assert error(send("tools/call", {"name": "nope"})) == (400, -32602)
    assert result(send("tools/call", {"name": "echo", "arguments": {}}))["isError"] is True


def test_a_notification_is_accepted_and_cancels_nothing(client, switchboard, monkeypatch):
    published = []
    monkeypatch.setattr(switchboard, "publish", lambda *told: published.append(told))
    reply = client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1, "_meta": META}}, VERSION)
    assert (reply.status, reply.body, published) == (202, None, [])


PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest.mark.parametrize("body", [{"jsonrpc": "2.0", "id": 1, "result": {}}, [], [PING], PING | {"id": None}])
def test_what_is_not_one_request_is_refused(client, body):
    assert error(client.send(body, VERSION)) == (400, -32600)


def test_broken_json_has_an_error_without_an_id(client):
    reply = client.send(b"{", VERSION)
    assert error(reply) == (400, -32700)
    assert "id" not in json.loads(reply.body)


class Region(Schema):
    region = Text(metadata={"x-mcp-header": "Region"})
    count = Whole(metadata={"x-mcp-header": "Count"})
    sure = Flag(metadata={"x-mcp-header": "Sure"})


class InRegion(Tool):
    name, title, description = "in_region", "In region", "Has arguments that headers repeat."
    input_schema = Region()

    def run(self, _, **arguments):
        return json.dumps(arguments)


@pytest.mark.requirement("HDR-011")
@pytest.mark.parametrize(
    ("arguments", "headers", "fits"),
    [
        ({}, {}, True),
        ({"region": None}, {}, True),
        ({"region": "eu"}, {"Region": "eu"}, True),
        ({"region": "eu"}, {"Region": " eu "}, True),
        ({"region": "é"}, {"Region": "=?base64?w6k=?="}, True),
        ({"region": "=?base64?"}, {"Region": "=?base64?"}, True),
        ({"count": 3}, {"Count": "3"}, True),
        ({"count": 3}, {"Count": "3.0"}, True),
        ({"sure": True}, {"Sure": "true"}, True),
        ({"region": "eu"}, {}, False),
        ({}, {"Region": "eu"}, False),
        ({"region": None}, {"Region": ""}, False),
        ({"region": "eu"}, {"Region": "EU"}, False),
        ({"region": "eu"}, {"Region": "=?base64?ZXU?="}, False),
        ({"region": "eu"}, {"Region": "=?base64?ZXV=?="}, False),
        ({"count": 3}, {"Count": "4"}, False),
        ({"count": 3}, {"Count": "three"}, False),
        ({"sure": True}, {"Sure": "True"}, False),
    ],
)
def test_headers_that_repeat_arguments_must_agree_with_them(client, server, arguments, headers, fits):
    client.dispatcher = Dispatcher(METHODS, replace(server, tools=ToolRegistry([InRegion()], 10_000)), print)
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "in_region", "arguments": arguments, "_meta": META}}
    sent = {"Mcp-Method": "tools/call", "Mcp-Name": "in_region"} | {f"Mcp-Param-{name}": value for name, value in headers.items()}
    reply = client.send(body, VERSION, sent)
    assert reply.error_code == (None if fits else -32020)
