from __future__ import annotations

import json
import time

import pytest

from mcp_server.errors import InvalidMessage, InvalidParams, MethodNotFound, ParseError
from mcp_server.mcp import jsonrpc
from mcp_server.mcp.jsonrpc import Malformed, Notification, Request, Response

REQUEST = {"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {"a": 1}}


def parse(**changes):
    return jsonrpc.parse(json.dumps(REQUEST | changes).encode())


def without(*names):
    return jsonrpc.parse(json.dumps({name: value for name, value in REQUEST.items() if name not in names}).encode())


def kind(message):
    assert isinstance(message, Malformed), message
    return type(message.error)


def test_a_request_is_read():
    assert parse() == Request(7, "ping", {"a": 1})


@pytest.mark.parametrize("params", [{}, None])
def test_params_may_be_empty_null_or_absent(params):
    assert parse(params=params) == without("params") == Request(7, "ping", {})


def test_a_message_without_an_id_is_a_notification():
    assert without("id") == Notification("ping", {"a": 1})


@pytest.mark.requirement("MCP-009")
@pytest.mark.parametrize("id", [0, -1, 2**53, 2**64, 2**70, -(2**70), 10**300, "x" * jsonrpc.LONGEST_ID, "", "1", "é😀\u2028", "null", "0x10"])
def test_an_id_comes_back_with_its_value_and_type(id):
    message = parse(id=id)
    assert message.id == id
    assert type(message.id) is type(id)
    answer = json.loads(jsonrpc.dumps(jsonrpc.result(message.id, {})))
    assert answer == {"jsonrpc": "2.0", "id": id, "result": {}}
    assert type(answer["id"]) is type(id)


@pytest.mark.parametrize("id", [None, True, False, 1.0, 1.5, [], {}, [1], {"a": 1}, "x" * (jsonrpc.LONGEST_ID + 1)])
def test_an_id_of_another_type_is_refused_and_not_sent_back(id):
    message = parse(id=id)
    assert kind(message) is InvalidMessage
    assert message.id is None


@pytest.mark.requirement("MCP-008")
@pytest.mark.parametrize("version", ["1.0", "2", 2, 2.0, "2.00", " 2.0", None, True, ["2.0"], {}])
def test_another_jsonrpc_version_is_refused_with_the_id(version):
    message = parse(jsonrpc=version)
    assert kind(message) is InvalidMessage
    assert message.id == 7


@pytest.mark.parametrize("absent", [["jsonrpc"], ["method"], ["jsonrpc", "method"]])
def test_an_incomplete_envelope_is_refused_with_the_id(absent):
    message = without(*absent)
    assert kind(message) is InvalidMessage
    assert message.id == 7


@pytest.mark.parametrize("method", [None, 1, True, [], {}, ["ping"]])
def test_a_method_that_is_no_string_is_refused(method):
    assert kind(parse(method=method)) is InvalidMessage


@pytest.mark.requirement("MCP-007")
@pytest.mark.parametrize("params", [[], [1], "x", "", 0, 1.5, True, False])
def test_params_that_are_no_object_are_refused_with_the_id(params):
    message = parse(params=params)
    assert kind(message) is InvalidParams
    assert message.id == 7


@pytest.mark.requirement("JSN-014")
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"jsonrpc": "2.0", "ID": 1, "method": "ping"}, Notification("ping")),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "METHOD": "tools/call", "Params": {"a": 1}}, Request(1, "ping", {})),
    ],
)
def test_a_name_in_other_letters_is_another_member(body, expected):
    assert jsonrpc.parse(json.dumps(body).encode()) == expected


@pytest.mark.requirement("JSN-014")
@pytest.mark.parametrize("name", ["Method", "METHOD", "method ", "\uff4dethod"])
def test_a_method_in_other_letters_does_not_count(name):
    assert kind(jsonrpc.parse(json.dumps({"jsonrpc": "2.0", "id": 1, name: "ping"}).encode())) is InvalidMessage


@pytest.mark.requirement("JSN-013")
@pytest.mark.parametrize("name", ["__proto__", "constructor", "__class__", "self", "kwargs", "__init__"])
def test_magic_names_are_plain_names(name):
    assert parse(**{name: {"x": 1}}, params={name: {"method": "tools/call"}}) == Request(7, "ping", {name: {"method": "tools/call"}})


@pytest.mark.requirement("MCP-029")
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"id": 1, "result": {}}, Response(1, {"result": {}})),
        ({"id": "a", "result": None}, Response("a", {"result": None})),
        ({"id": 1, "error": {"code": -1, "message": "no"}, "more": 1}, Response(1, {"error": {"code": -1, "message": "no"}})),
        ({"id": None, "error": {"code": -1, "message": "no"}}, Response(None, {"error": {"code": -1, "message": "no"}})),
        ({"error": {"code": -1, "message": "no"}}, Response(None, {"error": {"code": -1, "message": "no"}})),
    ],
)
def test_a_response_is_read(body, expected):
    assert jsonrpc.parse(json.dumps({"jsonrpc": "2.0"} | body).encode()) == expected


@pytest.mark.parametrize("body", [{"id": 1, "result": {}, "error": {}}, {"id": 1}, {"id": True, "result": {}}, {"id": [], "error": {}}])
def test_a_response_that_is_none_is_refused(body):
    assert kind(jsonrpc.parse(json.dumps({"jsonrpc": "2.0"} | body).encode())) is InvalidMessage


@pytest.mark.requirement("MCP-015")
@pytest.mark.parametrize("body", [b"{}", b"null", b"1", b'"x"', b"true", b"[]", b'{"":""}'])
def test_json_that_is_no_message_is_refused(body):
    assert kind(jsonrpc.parse(body)) is InvalidMessage


def test_each_member_of_a_batch_is_read_by_itself():
    body = b'[{"jsonrpc":"2.0","id":1,"method":"ping"},[],{"jsonrpc":"2.0","method":"x"},{"jsonrpc":"1.0","id":2,"method":"ping"}]'
    first, second, third, fourth = jsonrpc.parse(body)
    assert (first, third) == (Request(1, "ping", {}), Notification("x"))
    assert (second.id, fourth.id) == (None, 2)
    assert kind(second) is kind(fourth) is InvalidMessage


@pytest.mark.parametrize(("members", "read"), [(1, True), (50, True), (51, False), (5000, False)])
def test_a_batch_has_at_most_fifty_members(members, read):
    message = jsonrpc.parse(json.dumps([REQUEST] * members).encode())
    assert isinstance(message, list) if read else kind(message) is InvalidMessage


def in_params(text):
    return b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + text + b"}}"


NOT_JSON = {
    "empty": b"",
    "blank": b" \n",
    "cut short": b'{"jsonrpc":"2.0","id":1',
    "two values": b'{"jsonrpc":"2.0","id":1,"method":"ping"}{}',
    "trailing comma": b'{"jsonrpc":"2.0","id":1,"method":"ping",}',
    "comment": b'{"jsonrpc":"2.0","id":1,"method":"ping"}//',
    "single quotes": b"{'jsonrpc':'2.0'}",
    "form": b"jsonrpc=2.0&method=ping",
    "NaN": in_params(b"NaN"),
    "Infinity": in_params(b"-Infinity"),
    "1e400": in_params(b"1e400"),
    "400 digits": in_params(b"9" * 400),
    "5 000 digits": in_params(b"9" * 5_000),
    "900 000 digits": in_params(b"9" * 900_000),
    "id of 5 000 digits": b'{"jsonrpc":"2.0","id":' + b"1" * 5_000 + b',"method":"ping"}',
    "leading zero": in_params(b"01"),
    "control character": in_params(b'"\x01"'),
    "lone surrogate": in_params(b'"\\ud800"'),
    "bad UTF-8": in_params(b'"\xff"'),
    "overlong UTF-8": in_params(b'"\xc0\xaf"'),
    "surrogate in UTF-8": in_params(b'"\xed\xa0\x80"'),
    "BOM": b"\xef\xbb\xbf" + json.dumps(REQUEST).encode(),
    "UTF-16": json.dumps(REQUEST).encode("utf-16"),
    "UTF-16-LE": json.dumps(REQUEST).encode("utf-16-le"),
    "UTF-32": json.dumps(REQUEST).encode("utf-32"),
    "NUL": b"\x00",
    "method twice": b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
    "id twice": b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
    "escaped name twice": b'{"jsonrpc":"2.0","id":1,"method":"ping","\\u006dethod":"tools/call"}',
    "name twice in params": in_params(b'1,"a":1'),
    "name twice far down": in_params(b'[[{"b":{"c":1,"d":2,"c":1}}]]'),
    "name twice in a batch": b'[{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}]',
    "depth 500": in_params(b"[" * 500 + b"]" * 500),
    "depth 5 000": in_params(b"[" * 5_000 + b"]" * 5_000),
    "depth 100 000": in_params(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "200 000 brackets": b"[" * 200_000,
}


@pytest.mark.requirement("MCP-012")
@pytest.mark.requirement("JSN-004")
@pytest.mark.requirement("JSN-005")
@pytest.mark.requirement("JSN-006")
@pytest.mark.requirement("JSN-008")
@pytest.mark.requirement("JSN-010")
@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_strict_json_is_a_parse_error_in_few_words(body):
    started = time.perf_counter()
    message = jsonrpc.parse(body)
    assert kind(message) is ParseError
    assert message.id is None
    assert 0 < len(message.error.message) < 300
    assert message.error.message.startswith("The body is ")
    assert "Traceback" not in message.error.message
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(("depth", "read"), [(97, True), (98, True), (99, False), (150, False)])
def test_nesting_is_counted_from_the_outermost_bracket(depth, read):
    """Message and params are two levels of the hundred."""
    message = jsonrpc.parse(in_params(b"[[],[]," + b"[" * (depth - 1) + b"]" * depth))
    assert isinstance(message, Request) if read else kind(message) is ParseError


def test_many_brackets_side_by_side_are_not_deep():
    assert isinstance(jsonrpc.parse(in_params(b"[" + b",".join([b"[{}]"] * 5_000) + b"]")), Request)


def test_brackets_in_text_are_not_nesting():
    assert jsonrpc.parse(in_params(b'"' + b"[{" * 5_000 + b'"')).params == {"a": "[{" * 5_000}
    assert kind(jsonrpc.parse(b'"' + b"[" * 5_000 + b'"')) is InvalidMessage


@pytest.mark.requirement("JSN-018")
def test_eighty_thousand_names_are_read_in_time():
    started = time.perf_counter()
    message = jsonrpc.parse(in_params(json.dumps({f"k{n}": n for n in range(80_000)}).encode()))
    assert len(message.params["a"]) == 80_000
    assert time.perf_counter() - started < 5


def test_numbers_keep_every_digit():
    message = jsonrpc.parse(in_params(b"[18446744073709551617, 9007199254740993, 0.1, -0, 1e2]"))
    assert message.params["a"] == [18446744073709551617, 9007199254740993, 0.1, 0, 100.0]


def test_an_error_carries_code_message_data_and_the_id():
    assert jsonrpc.error(0, InvalidParams("limit: too big", data={"limit": 20})) == {
        "jsonrpc": "2.0",
        "id": 0,
        "error": {"code": -32602, "message": "limit: too big", "data": {"limit": 20}},
    }


def test_an_error_without_a_readable_id_has_no_id_member():
    assert jsonrpc.error(None, ParseError("no")) == {"jsonrpc": "2.0", "error": {"code": -32700, "message": "no"}}


def test_an_error_never_has_an_empty_message():
    assert jsonrpc.error("", MethodNotFound())["error"] == {"code": -32601, "message": "Method not found"}


def test_the_detail_of_an_error_stays_with_us():
    assert "secret" not in jsonrpc.dumps(jsonrpc.error(1, InvalidParams("bad", detail="secret"))).decode()


@pytest.mark.requirement("JSN-011")
@pytest.mark.requirement("TOOL-008")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**70, 2**70),
        (-(10**400), -(10**400)),
        ("\ud800", "\ufffd"),
        ("\ud83d\ude00", "😀"),
        ({"\udfff": 1}, {"\ufffd": 1}),
        ({1: (2**70, float("nan"))}, {"1": [2**70, None]}),
        ([float("inf"), float("-inf"), float("nan")], [None, None, None]),
        ([True, None, 2**70, 1.5], [True, None, 2**70, 1.5]),
        ("\x00\x1f\x7f\u2028", "\x00\x1f\x7f\u2028"),
    ],
)
@pytest.mark.requirement("F44")
def test_everything_made_of_json_types_is_written_as_valid_json(value, expected):
    def refuse(constant):
        raise AssertionError(constant)

    assert json.loads(jsonrpc.dumps(value).decode("utf-8"), parse_constant=refuse) == expected


def test_what_json_has_no_form_for_is_not_written():
    endless = []
    endless += [endless, endless]
    for value in (object(), {"a": {1, 2}}, endless):
        with pytest.raises(TypeError):
            jsonrpc.dumps(value)
