from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from mcp_server.mcp.methods import METHODS


@pytest.mark.requirement("MCP-003")
def test_all_tools_are_listed_on_one_page_in_steady_order(client, tools):
    first, second = client.send({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}), client.send({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert first.body == second.body
    result = json.loads(first.body)["result"]
    assert list(result) == ["tools"]
    assert [tool["name"] for tool in result["tools"]] == [tool.name for tool in tools]


def test_a_tool_is_listed_with_all_that_it_says_of_itself(client):
    echo = client.request("tools/list")["result"]["tools"][0]
    assert echo == {
        "name": "echo",
        "title": "Echo",
        "description": "Gives back the text.",
        "inputSchema": {
            "type": "object",
            "properties": {"text": {"type": "string", "description": "What comes back."}},
            "required": ["text"],
            "additionalProperties": False,
        },
        "annotations": {"readOnlyHint": True},
    }


def test_listed_schemas_are_json_schema_2020_12_with_an_object_at_the_root(client):
    for tool in client.request("tools/list")["result"]["tools"]:
        for name in {"inputSchema", "outputSchema"} & tool.keys():
            Draft202012Validator.check_schema(tool[name])
            assert tool[name]["type"] == "object"


@pytest.mark.requirement("MCP-030")
@pytest.mark.parametrize(("params", "served"), [({}, True), ({"cursor": ""}, True), ({"cursor": None}, True), ({"_meta": {}, "x": 1}, True)])
def test_the_first_page_is_all_there_is(client, params, served):
    assert ("result" in client.request("tools/list", params)) is served


@pytest.mark.requirement("MCP-030")
@pytest.mark.parametrize("cursor", ["junk", "0", " ", 1, [], {}, True, "x" * 5_000])
def test_a_cursor_that_was_never_given_out_is_refused(client, cursor):
    error = client.request("tools/list", {"cursor": cursor})["error"]
    assert error["code"] == -32602
    assert len(error["message"]) < 200


@pytest.mark.requirement("MCP-004")
def test_a_call_returns_one_text_block(client):
    assert client.call("echo", text="hello")["result"] == {"content": [{"type": "text", "text": "hello"}]}


def test_structured_content_mirrors_the_text_and_satisfies_the_output_schema(client):
    result = client.call("find", query="vpn")["result"]
    assert list(result) == ["content", "structuredContent"]
    assert result["structuredContent"] == {"found": {"query": "vpn", "limit": 5}} == json.loads(result["content"][0]["text"])
    [definition] = [tool for tool in client.request("tools/list")["result"]["tools"] if tool["name"] == "find"]
    Draft202012Validator(definition["outputSchema"]).validate(result["structuredContent"])


@pytest.mark.requirement("MCP-005")
@pytest.mark.parametrize("name", ["", "Echo", "ECHO", "echo ", "__class__", "../echo", "echo\x00", "x" * 5_000, "\u0435\u0441ho", "tools/call"])
def test_an_unknown_tool_is_an_error_of_few_words(client, name):
    error = client.request("tools/call", {"name": name})["error"]
    assert error["code"] == -32602
    assert len(error["message"]) < 300


@pytest.mark.requirement("MCP-007")
@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": 1}, "name"),
        ({"name": ["echo"]}, "name"),
        ({"name": {"echo": 1}}, "name"),
        ({"name": "echo", "arguments": []}, "arguments"),
        ({"name": "echo", "arguments": "x"}, "arguments"),
        ({"name": "echo", "arguments": '{"text":"x"}'}, "arguments"),
        ({"name": "echo", "arguments": 1}, "arguments"),
        ({"name": "echo", "arguments": False}, "arguments"),
    ],
)
def test_params_of_the_wrong_shape_are_refused_by_name(client, params, field):
    error = client.request("tools/call", params)["error"]
    assert error["code"] == -32602
    assert error["message"].startswith(f"{field}: ")


@pytest.mark.parametrize("params", [{}, {"arguments": {}}, {"arguments": None}, {"_meta": {"progressToken": 1}, "task": {}}])
def test_arguments_may_be_absent(client, params):
    assert client.request("tools/call", {"name": "count"} | params)["result"]["content"][0]["text"] == "1"


@pytest.mark.parametrize(
    ("argument", "sent", "read"),
    [
        ("limit", 3, 3),
        ("limit", "3", 3),
        ("limit", " 3 ", 3),
        ("limit", "3.0", 3),
        ("score", "0.5", 0.5),
        ("score", 1, 1.0),
        ("exact", True, True),
        ("exact", "true", True),
        ("exact", "FALSE", False),
        ("state", "open", "open"),
        ("state", " Closed ", "closed"),
        ("tags", ["a", "b"], ["a", "b"]),
        ("tags", "a,b", ["a", "b"]),
        ("tags", '["a","b,c"]', ["a", "b,c"]),
        ("tags", "", []),
        ("query", "3", "3"),
        ("query", "true", "true"),
    ],
)
def test_a_string_is_read_as_what_the_tool_takes(client, argument, sent, read):
    found = client.call("find", **({"query": "vpn"} | {argument: sent}))["result"]["structuredContent"]["found"]
    assert found[argument] == read
    assert type(found[argument]) is type(read)


@pytest.mark.requirement("TOOL-001")
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, ["query"]),
        ({"query": None}, ["query"]),
        ({"query": 3}, ["query"]),
        ({"query": ""}, ["query", "1", "200"]),
        ({"query": "x", "limit": "3.5"}, ["limit"]),
        ({"query": "x", "limit": 3.5}, ["limit"]),
        ({"query": "x", "limit": True}, ["limit"]),
        ({"query": "x", "limit": "three"}, ["limit"]),
        ({"query": "x", "limit": "9" * 5_000}, ["limit"]),
        ({"query": "x", "limit": 2**70}, ["limit", "1", "20"]),
        ({"query": "x", "limit": 21}, ["limit", "1", "20"]),
        ({"query": "x", "score": "nan"}, ["score"]),
        ({"query": "x", "score": "1e400"}, ["score"]),
        ({"query": "x", "score": 0}, ["score", "0", "1"]),
        ({"query": "x", "exact": 1}, ["exact"]),
        ({"query": "x", "exact": "yes"}, ["exact"]),
        ({"query": "x", "state": "pending"}, ["state", "open", "closed"]),
        ({"query": "x", "tags": [1]}, ["tags"]),
        ({"query": "x", "tags": '["a"'}, ["tags"]),
        ({"query": "x", "tags": "[1]"}, ["tags"]),
        ({"query": "x", "tags": {"a": 1}}, ["tags"]),
        ({"query": "x", "url": "http://x"}, ["url"]),
    ],
)
def test_a_bad_argument_is_a_result_that_names_it_and_what_is_allowed(client, arguments, named):
    result = client.request("tools/call", {"name": "find", "arguments": arguments})["result"]
    assert result["isError"] is True
    assert "structuredContent" not in result
    text = result["content"][0]["text"]
    assert all(word in text for word in named), text
    assert len(text) < 1_000


@pytest.mark.requirement("TOOL-011")
def test_two_thousand_unknown_arguments_are_reported_briefly(client):
    reply = client.send(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "find", "arguments": {f"{'k' * 500}{n}": n for n in range(2_000)}}}
    )
    assert len(reply.body) < 60_000
    assert reply.is_error


@pytest.mark.requirement("TOOL-003")
@pytest.mark.requirement("JSN-013")
@pytest.mark.parametrize("name", ["self", "call", "kwargs", "__proto__", "__class__", "constructor", "", "a.b", "\n"])
def test_a_magic_argument_is_an_unknown_argument(client, name):
    assert client.request("tools/call", {"name": "echo", "arguments": {"text": "x", name: 1}})["result"]["isError"] is True


@pytest.mark.requirement("TOOL-006")
@pytest.mark.parametrize(
    "text",
    [
        "$(id)",
        "{{7*7}}",
        "{0.__class__}",
        "%s%n",
        "' OR 1=1 --",
        "<script>",
        "data: x\n\nevent: y",
        "a\r\nSet-Cookie: b",
        "\x00\x1b[31m",
        "😀é\u202e",
    ],
)
def test_text_comes_back_verbatim(client, text):
    assert client.call("echo", text=text)["result"]["content"][0]["text"] == text


@pytest.mark.requirement("JSN-002")
def test_an_argument_of_nine_hundred_kilobytes_is_served(client):
    text = client.call("echo", text="x" * 900_000)["result"]["content"][0]["text"]
    assert text.startswith("xxx")


def test_a_long_text_is_cut_at_the_limit_and_marked(client):
    text = client.call("long")["result"]["content"][0]["text"]
    assert len(text) == 10_000
    assert text.endswith("\n[truncated: 50000 characters in all]")


@pytest.mark.parametrize(
    ("tool", "text"), [("refuses", "No incident INC1. Ask for its number."), ("waits", "The model did not answer in time. Try again.")]
)
def test_a_tool_that_cannot_do_it_says_why_in_a_result(client, tool, text):
    reply = client.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool}})
    assert reply.status == 200
    assert json.loads(reply.body)["result"] == {"content": [{"type": "text", "text": text}], "isError": True}


@pytest.mark.requirement("TOOL-008")
@pytest.mark.parametrize(
    ("tool", "text"),
    [
        ("control", '\x00\x01\x1f\x7f\u2028\r\n"\\</script>'),
        ("surrogate", "a\ufffdb 😀"),
        ("nan", '{"value":[null,null,1e+308]}'),
    ],
)
def test_odd_text_of_a_tool_is_valid_json_outside(client, tool, text):
    assert client.call(tool)["result"]["content"][0]["text"] == text


@pytest.mark.requirement("TOOL-008")
def test_huge_integers_of_a_tool_keep_every_digit(client):
    result = client.call("huge")["result"]
    assert result["structuredContent"]["value"] == {"n": [2**70, -(2**70), 10**400], "3": "\ufffd", "\ufffd": None}
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]


def test_a_deep_value_of_a_tool_is_written(client):
    assert client.call("deep")["result"]["content"][0]["text"].count("[") == 150


def test_a_value_that_is_no_json_is_our_failure(client, logged):
    assert client.call("object")["error"]["code"] == -32603
    assert [type(error) for error, _ in logged] == [TypeError]


def test_calls_do_not_share_anything(client):
    first = client.call("find", query="a", tags="x")["result"]["structuredContent"]["found"]
    second = client.call("find", query="b")["result"]["structuredContent"]["found"]
    assert (first, second) == ({"query": "a", "limit": 5, "tags": ["x"]}, {"query": "b", "limit": 5})


def test_params_schemas_are_made_once_and_let_unknown_members_pass():
    assert all(method.params.unknown == "exclude" for method in METHODS)
