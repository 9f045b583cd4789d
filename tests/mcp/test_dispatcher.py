from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mcp_server.errors import InsufficientScope, OAuthServerError, RateLimitExceeded, StoreUnavailable, TokenRequired
from mcp_server.mcp import jsonrpc
from mcp_server.mcp.dispatcher import Dispatcher, Reply
from mcp_server.mcp.methods import METHODS, NOTIFICATIONS
from mcp_server.mcp.methods.method import Method, Params
from tests.mcp.offered import offer

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
COUNT = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "count"}}
VERSIONS_WITH_BATCHES = [None, "2024-11-05", "2025-03-26"]
VERSIONS = [*VERSIONS_WITH_BATCHES, "2025-06-18", "2025-11-25"]


def notification(method, **params):
    return {"jsonrpc": "2.0", "method": method, "params": params}


def code(answer):
    return answer["error"]["code"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_request_is_answered_in_every_version(client, version):
    reply = client.send(PING, version)
    assert reply == Reply(200, b'{"jsonrpc":"2.0","id":1,"result":{}}', "ping")


@pytest.mark.requirement("MCP-009")
@pytest.mark.parametrize("method", ["ping", "no/such", "tools/call"])
@pytest.mark.parametrize("id", [0, -1, 2**53, 2**70, "", "1", "é😀"])
def test_result_and_error_carry_the_id_of_the_request(client, method, id):
    answer = client.request(method, id=id)
    assert answer["id"] == id
    assert type(answer["id"]) is type(id)


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"{", 400, -32700),
        (b"null", 400, -32600),
        (b"[]", 400, -32600),
        ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, 400, -32600),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, 400, -32600),
        ({"jsonrpc": "2.0", "id": 1, "Method": "ping"}, 400, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}, 200, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "PING"}, 200, -32601),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {}}, 200, -32602),
    ],
)
def test_a_bad_message_is_answered_with_its_code_and_status(client, body, status, expected):
    reply = client.send(body)
    assert (reply.status, reply.error_code, reply.is_error) == (status, expected, True)
    assert code(json.loads(reply.body)) == expected


@pytest.mark.parametrize(
    "method",
    [
        "",
        "resources/list",
        "prompts/list",
        "server/discover",
        "tools/Call",
        " ping",
        "__class__",
        "notifications/initialized",
        "x" * 5_000,
    ],
)
def test_a_method_that_is_not_served_is_not_found(client, method):
    answer = client.request(method)
    assert code(answer) == -32601
    assert len(answer["error"]["message"]) < 150


@pytest.mark.requirement("MCP-020")
@pytest.mark.parametrize("version", ["1999-01-01", "nonsense"])
def test_a_version_that_is_not_served_is_refused_with_the_id_and_the_served_ones(client, version):
    meta = {"io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {}}
    reply = client.send(PING | {"params": {"_meta": meta}}, version, {"Mcp-Method": "ping"})
    answer = json.loads(reply.body)
    assert reply.status == 400
    assert answer["id"] == 1
    assert answer["error"]["code"] == -32022
    assert answer["error"]["data"] == {"supported": ["2026-07-28"], "requested": version}


def test_the_header_may_differ_from_the_version_in_initialize(client):
    params = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    assert client.request("initialize", params, version="2025-11-25")["result"]["protocolVersion"] == "2024-11-05"


@pytest.mark.requirement("MCP-011")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", [*(row.name for row in NOTIFICATIONS), "notifications/unheard-of", "tools/call", "initialize", "", "__init__"])
def test_a_notification_is_accepted_and_never_answered(client, counter, method, version):
    reply = client.send(notification(method, name="count"), version)
    assert (reply.status, reply.body, reply.is_error) == (202, None, False)
    assert counter.calls == 0


@pytest.mark.parametrize("params", [[], "x", 1, None])
def test_a_notification_with_odd_params_is_not_answered_either(client, params):
    assert client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).status == 202


@pytest.mark.requirement("MCP-029")
def test_a_response_is_accepted(client):
    assert client.send({"jsonrpc": "2.0", "id": 5, "result": {}}) == Reply(202, None)


# Batches.


@pytest.mark.parametrize("version", VERSIONS_WITH_BATCHES)
def test_a_batch_answers_each_request_in_order_and_no_notification(client, version):
    batch = [PING, notification("notifications/initialized"), COUNT, {"jsonrpc": "2.0", "id": "x", "method": "no"}, {"id": 9}]
    reply = client.send(batch, version)
    answers = json.loads(reply.body)
    assert reply.status == 200
    assert reply.is_error
    assert [answer.get("id") for answer in answers] == [1, 2, "x", 9]
    assert [code(answer) for answer in answers[2:]] == [-32601, -32600]
    assert answers[1]["result"]["content"] == [{"type": "text", "text": "1"}]


@pytest.mark.requirement("MCP-013")
@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
def test_a_batch_is_refused_where_the_revision_has_none(client, counter, version):
    reply = client.send([PING, COUNT], version)
    assert reply.status == 400
    assert code(json.loads(reply.body)) == -32600
    assert counter.calls == 0


def test_a_batch_without_requests_is_accepted_without_a_body(client):
    assert client.send([notification("notifications/initialized"), {"jsonrpc": "2.0", "id": 1, "result": 1}], None) == Reply(202, None, "batch")


def test_initialize_is_refused_in_a_batch(client):
    first, second = client.answer([{"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-03-26"}}, PING], None)
    assert (first["id"], code(first)) == (0, -32600)
    assert second["result"] == {}


@pytest.mark.parametrize("size", [0, 51])
def test_an_empty_or_long_batch_is_one_error(client, counter, size):
    reply = client.send([COUNT] * size, None)
    assert reply.status == 400
    assert code(json.loads(reply.body)) == -32600
    assert counter.calls == 0


@pytest.mark.parametrize("body", [b"[[]]", b"[1,2]", b"[null]", b"[{}]"])
def test_a_batch_of_nothing_but_errors_is_a_bad_request(client, body):
    reply = client.send(body, None)
    assert reply.status == 400
    assert {code(answer) for answer in json.loads(reply.body)} == {-32600}


def test_a_refusal_inside_a_batch_is_an_error_object_with_the_http_status_as_code(client, principal_with):
    client.principal = principal_with("tools:read")
    first, second = client.answer([COUNT, PING], None)
    assert (first["id"], code(first)) == (2, 403)
    assert first["error"]["data"] == {"scope": "tools:execute tools:read"}
    assert second["result"] == {}


def test_a_limit_inside_a_batch_is_an_error_object_too(client):
    [answer] = client.answer([COUNT | {"params": {"name": "limited"}}], None)
    assert code(answer) == 429


# Who may ask.


@pytest.mark.parametrize(
    ("body", "is_open"),
    [
        ({"jsonrpc": "2.0", "id": 1, "method": "initialize"}, True),
        (PING, True),
        (notification("notifications/initialized"), True),
        (notification("notifications/cancelled"), False),
        (notification("initialize"), False),
        (notification("notifications/unheard-of"), False),
        ({"jsonrpc": "2.0", "id": 1, "method": "notifications/initialized"}, False),
        ({"jsonrpc": "2.0", "id": 1, "method": "Ping"}, False),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, False),
        (COUNT, False),
        ({"jsonrpc": "2.0", "id": 1, "method": "no/such"}, False),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, False),
        ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, False),
        ([PING], False),
        ([], False),
        (b"{", False),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}', False),
    ],
)
@pytest.mark.requirement("BRR-025")
def test_only_the_open_methods_are_served_without_a_token(client, body, is_open):
    message = jsonrpc.parse(body if isinstance(body, bytes) else json.dumps(body).encode())
    client.principal = None
    assert client.dispatcher.open_to_anyone(message) is is_open
    if is_open:
        assert client.send(body, None).status in {200, 202}
    else:
        with pytest.raises(TokenRequired):
            client.send(body, None)


@pytest.mark.parametrize(
    ("granted", "request_for", "told"),
    [
        ("tools:execute", ("tools/list", {}), {"tools:execute", "tools:read"}),
        ("tools:execute", ("tools/list", {"cursor": 1}), {"tools:execute", "tools:read"}),
        ("tools:read", ("tools/call", {"name": "echo"}), {"tools:execute", "tools:read"}),
        ("tools:execute", ("tools/call", {"name": "admin_only"}), {"tools:execute", "tools:admin"}),
        ("other", ("tools/list", {}), {"other", "tools:read"}),
    ],
)
def test_a_missing_scope_is_told_together_with_the_granted_ones(client, principal_with, granted, request_for, told):
    client.principal = principal_with(granted)
    with pytest.raises(InsufficientScope) as raised:
        client.request(*request_for)
    assert raised.value.scopes == told


def test_a_call_without_the_scope_is_not_run(client, principal_with, counter):
    client.principal = principal_with("tools:read")
    with pytest.raises(InsufficientScope):
        client.send(COUNT)
    assert counter.calls == 0


def test_a_limit_reached_inside_a_tool_goes_to_the_edge(client):
    with pytest.raises(RateLimitExceeded):
        client.call("limited")


# What goes wrong.


def handler_that_raises(error):
    def handler(server, call, params):
        raise error

    return handler


def failing(server, logged, error):
    return Dispatcher([Method("ping", Params(), handler_that_raises(error))], server, logged)


@pytest.mark.parametrize(
    "error", [RuntimeError("secret"), ValueError("secret"), KeyError("secret"), RecursionError("secret"), OAuthServerError("secret")]
)
def test_the_unexpected_is_logged_whole_and_answered_blandly(client, server, logged, error):
    client.dispatcher = failing(server, logged, error)
    reply = client.send(PING)
    answer = json.loads(reply.body)
    assert reply.status == 200
    assert (answer["id"], code(answer)) == (1, -32603)
    assert b"secret" not in reply.body
    assert logged == [(error, "ping")]


def test_a_tool_that_breaks_is_answered_blandly_and_named_to_the_log(client, logged):
    reply = client.send(COUNT | {"params": {"name": "breaks"}})
    assert (reply.status, reply.method, reply.tool, reply.is_error, reply.error_code) == (200, "tools/call", "breaks", True, -32603)
    assert b"passwd" not in reply.body
    assert [type(error) for error, _ in logged] == [RuntimeError]


def test_a_dependency_that_is_down_is_said_honestly(client, server, logged):
    client.dispatcher = failing(server, logged, StoreUnavailable(detail="redis://secret"))
    answer = client.answer(PING)
    assert answer["error"] == {"code": -32603, "message": "The server cannot reach its storage. Try again in a few seconds."}
    assert logged == []


def test_what_is_no_exception_of_ours_to_catch_passes(client, server, logged):
    client.dispatcher = failing(server, logged, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        client.send(PING)


# What the log may say.


@pytest.mark.parametrize(
    ("method", "params", "said"),
    [
        ("ping", {}, ("ping", None, False, None)),
        ("tools/call", {"name": "echo", "arguments": {"text": "x"}}, ("tools/call", "echo", False, None)),
        ("tools/call", {"name": "refuses"}, ("tools/call", "refuses", True, None)),
        ("tools/call", {"name": "invented"}, ("tools/call", None, True, -32602)),
        ("invented", {}, (None, None, True, -32601)),
    ],
)
def test_a_reply_says_what_was_called_in_names_of_ours(client, method, params, said):
    reply = client.send({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    assert (reply.method, reply.tool, reply.is_error, reply.error_code) == said


# What is advertised is what is served.


def test_every_capability_has_methods_and_every_family_of_methods_its_capability(server):
    core = [method.name for method in METHODS if "/" in method.name and method.extension is None]
    families = {name.partition("/")[0].replace("completion", "completions") for name in core}
    assert set(replace(server, **offer()).capabilities) == families - {"server", "subscriptions"}  # every stateless server has these


def test_every_method_is_named_once_and_none_is_a_notification():
    names = [method.name for method in METHODS]
    assert len(names) == len(set(names))
    assert not {row.name for row in NOTIFICATIONS} & set(names)
