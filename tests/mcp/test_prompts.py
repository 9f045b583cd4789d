from __future__ import annotations

import pytest

from mcp_server.errors import InsufficientScope
from tests.mcp.offered import offer


@pytest.fixture
def offered():
    return offer()


def complete(client, ref, name, value, **more):
    return client.request("completion/complete", {"ref": ref, "argument": {"name": name, "value": value}, **more})


GREETING = {"type": "ref/prompt", "name": "greeting"}
NOTE = {"type": "ref/resource", "uri": "note://of/{who}"}


def test_prompts_are_listed_with_their_arguments(client):
    greeting, asking = client.request("prompts/list")["result"]["prompts"]
    assert greeting == {
        "name": "greeting", "title": "Greeting", "description": "Greets somebody in a language.",
        "arguments": [{"name": "who", "description": "Whom to greet.", "required": True},
                      {"name": "language", "description": "In which language.", "required": False}]}
    assert asking == {"name": "asking", "description": "Asks who you are."}


def test_a_prompt_comes_back_with_its_blanks_filled_in(client):
    got = client.request("prompts/get", {"name": "greeting", "arguments": {"who": "Ada"}})["result"]
    assert got == {"description": "Greets somebody in a language.",
                   "messages": [{"role": "user", "content": {"type": "text", "text": "Greet Ada in English."}}]}


@pytest.mark.parametrize(("params", "told"), [
    ({}, "name"), ({"name": 1}, "name"), ({"name": "none"}, "Unknown prompt: 'none'"), ({"name": "x" * 5000}, "Unknown prompt"),
    ({"name": "greeting"}, "'who' must be given"), ({"name": "greeting", "arguments": {}}, "'who' must be given"),
    ({"name": "greeting", "arguments": None}, "'who' must be given"), ({"name": "greeting", "arguments": {"who": " "}}, "'who' must be given"),
    ({"name": "greeting", "arguments": {"who": 1}}, "'who' must be given, as text"),
    ({"name": "greeting", "arguments": {"who": "x", "language": None}}, "'language' must be given, as text"),
    ({"name": "greeting", "arguments": {"who": "x" * 100_001}}, "longer than 100000"),
    ({"name": "greeting", "arguments": {"who": "x", "wohin": "y"}}, "It has the arguments: who, language."),
    ({"name": "asking", "arguments": {"x": "y"}}, "It has no arguments."), ({"name": "greeting", "arguments": []}, "arguments"),
])
def test_a_prompt_that_cannot_be_filled_in_says_what_is_wrong(client, params, told):
    error = client.request("prompts/get", params)["error"]
    assert error["code"] == -32602
    assert told in error["message"]
    assert len(error["message"]) < 300


def test_a_prompt_that_needs_an_answer_nobody_can_give_is_an_error_in_words(client):
    error = client.request("prompts/get", {"name": "asking"})["error"]
    assert error["code"] == -32602
    assert "elicitation" in error["message"]


def test_only_a_prompt_that_asks_back_runs_beside_its_connection(dispatcher, server):
    at_once = dispatcher._handshake["prompts/get"].at_once
    assert [at_once(server, {"name": name}) for name in ("greeting", "none", None, 1, "asking")] == [True, True, True, True, False]


@pytest.mark.parametrize(("method", "params"), [
    ("prompts/list", {}), ("prompts/get", {"name": "greeting", "arguments": {"who": "Ada"}}),
    ("completion/complete", {"ref": GREETING, "argument": {"name": "who", "value": ""}})])
def test_prompts_need_the_scope_of_lists_and_no_other(client, principal_with, method, params):
    client.principal = principal_with("tools:read")
    assert "result" in client.request(method, params)
    client.principal = principal_with("tools:execute")
    with pytest.raises(InsufficientScope):
        client.request(method, params)


# Completion.


@pytest.mark.parametrize(("typed", "values"), [
    ("", ["English", "Estonian", "German"]), ("e", ["English", "Estonian"]), ("EN", ["English"]), ("x", []), ("nglish", []), ("english ", [])])
def test_values_begin_with_what_is_typed_without_regard_to_case(client, typed, values):
    assert complete(client, GREETING, "language", typed)["result"] == {"completion": {"values": values, "total": len(values), "hasMore": False}}


def test_a_value_may_depend_on_the_arguments_that_are_known(client):
    found = complete(client, GREETING, "who", "", context={"arguments": {"language": "German"}})
    assert found["result"]["completion"]["values"] == ["German speaker"]


def test_variables_of_a_template_are_completed_too(client):
    assert complete(client, NOTE, "who", "x")["result"]["completion"]["values"] == ["x y", "X z"]


def test_at_most_a_hundred_values_are_shown_and_all_are_counted(client, server, monkeypatch):
    monkeypatch.setattr(server.prompts["greeting"], "complete", lambda *_: [str(number) for number in range(250)])
    found = complete(client, GREETING, "who", "")["result"]["completion"]
    assert (len(found["values"]), found["total"], found["hasMore"]) == (100, 250, True)


@pytest.mark.parametrize("params", [
    {}, {"ref": GREETING}, {"argument": {"name": "who", "value": ""}}, {"ref": GREETING, "argument": {"name": "who"}},
    {"ref": GREETING, "argument": {"name": "nobody", "value": ""}}, {"ref": GREETING, "argument": {"name": "who", "value": 1}},
    {"ref": GREETING, "argument": {"name": "who", "value": "x" * 1001}}, {"ref": {"type": "ref/prompt"}, "argument": {"name": "who", "value": ""}},
    {"ref": {"type": "ref/prompt", "name": "none"}, "argument": {"name": "who", "value": ""}}, {"ref": {"type": "ref/tool", "name": "echo"},
     "argument": {"name": "text", "value": ""}}, {"ref": {"type": "ref/resource", "uri": "note://a"}, "argument": {"name": "who", "value": ""}},
    {"ref": {"type": "ref/resource", "name": "greeting"}, "argument": {"name": "who", "value": ""}},
    {"ref": NOTE, "argument": {"name": "x", "value": ""}},
    {"ref": GREETING, "argument": {"name": "who", "value": ""}, "context": {"arguments": {"a": 1}}}, {"ref": [], "argument": []},
])
def test_a_completion_of_nothing_is_refused(client, params):
    error = client.request("completion/complete", params)["error"]
    assert error["code"] == -32602
    assert len(error["message"]) < 300
