"""One tool that asks, in both eras."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import replace

import pytest

from mcp_server.errors import StoreUnavailable
from mcp_server.mcp.asking import STATE_LIFETIME, Elicitation, ListRoots, RequestStates, Sampling
from mcp_server.mcp.dispatcher import LONGEST_ANSWER
from mcp_server.mcp.tool import Tool, ToolRegistry
from tests.mcp.conftest import KEY, NoInput, caller
from tests.mcp.test_stateless import META, PREFIX, VERSION

NAME = Elicitation("What is your name?", {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]})
ADA = {"action": "accept", "content": {"name": "Ada"}}
MODEL = {"role": "assistant", "content": {"type": "text", "text": "Paris"}, "model": "m"}
ROOTS = {"roots": [{"uri": "file:///x"}]}


class Greets(Tool):
    name, title, description = "greet", "Greet", "Asks for a name."
    input_schema = NoInput()

    def __init__(self):
        self.runs = 0

    def run(self, call):
        self.runs += 1
        answer = call.ask("name", NAME)
        return f"Hello, {answer['content']['name']}!" if answer["action"] == "accept" else "Nobody."


class AsksTwice(Greets):
    name = "twice"

    def run(self, call):
        first = call.ask("first", NAME)["content"]["name"]
        second = call.ask("second", NAME)["content"]["name"]
        return f"{first} {second}"


class AsksAll(Tool):
    name, title, description = "all", "All", "Asks three things at once."
    input_schema = NoInput()

    def run(self, call):
        answers = call.ask_all({"name": NAME, "capital": Sampling("What is the capital of France?", 10), "roots": ListRoots()})
        return json.dumps([answers["name"]["content"]["name"], answers["capital"]["content"]["text"], answers["roots"]["roots"][0]["uri"]])


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def greets():
    return Greets()


@pytest.fixture
def server(server, greets):
    return replace(server, tools=ToolRegistry([greets, AsksTwice(), AsksAll()], 10_000))


class Said:
    """An outlet that keeps what was said."""

    def __init__(self):
        self.messages, self.cancelled, self.arrived = [], False, threading.Condition()

    def send(self, message):
        with self.arrived:
            self.messages.append(message)
            self.arrived.notify_all()

    def wait_for(self, count):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.messages) >= count, 10)
            return self.messages[:count]

    def cancel(self):
        self.cancelled = True

    def hang_up(self):
        pass

    def open(self):
        pass


ALL = {"elicitation": {}, "sampling": {}, "roots": {}}


@pytest.fixture
def tries(client):
    """tries(tool, answers, state, capabilities) → the answer to one try of a stateless call."""

    def try_once(tool="greet", answers=None, state=None, capabilities=ALL, arguments=None):
        params = {"name": tool, "arguments": arguments or {}, "inputResponses": answers, "requestState": state}
        params = {name: value for name, value in params.items() if value is not None}
        params["_meta"] = META | {f"{PREFIX}clientCapabilities": capabilities}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        reply = client.send(body, VERSION, {"Mcp-Method": "tools/call", "Mcp-Name": tool}, outlet=Said())
        return reply.status, json.loads(reply.body)

    return try_once


def text(answer):
    return answer["result"]["content"][0]["text"]


# Stateless.


def test_a_call_that_needs_an_answer_says_so_and_is_done_when_it_comes_with_it(tries):
    status, asked = tries()
    assert status == 200
    assert asked["result"]["resultType"] == "input_required"
    assert asked["result"]["inputRequests"] == {"name": {"method": "elicitation/create", "params": NAME.params}}
    assert "ttlMs" not in asked["result"]
    _, answered = tries(answers={"name": ADA, "stray": 1}, state=asked["result"]["requestState"])
    assert text(answered) == "Hello, Ada!"


def test_the_state_may_be_left_out_where_it_holds_nothing(tries):
    assert text(tries(answers={"name": ADA})[1]) == "Hello, Ada!"


def test_a_refusal_is_an_answer(tries):
    assert text(tries(answers={"name": {"action": "decline"}})[1]) == "Nobody."


def test_what_was_answered_in_an_earlier_round_need_not_come_again(tries):
    first = tries("twice")[1]["result"]
    second = tries("twice", {"first": ADA}, first["requestState"])[1]["result"]
    assert list(second["inputRequests"]) == ["second"]
    assert text(tries("twice", {"second": {"action": "accept", "content": {"name": "Bob"}}}, second["requestState"])[1]) == "Ada Bob"


def test_a_long_answer_is_carried_to_the_next_round(tries):
    long = {"action": "accept", "content": {"name": "é" * 100_000}}
    state = tries("twice", {"first": long})[1]["result"]["requestState"]
    assert tries("twice", {"second": ADA}, state)[1]["result"]["content"]


def test_several_questions_are_asked_at_once_and_only_the_open_ones_again(tries):
    asked = tries("all")[1]["result"]
    assert set(asked["inputRequests"]) == {"name", "capital", "roots"}
    asked = tries("all", {"name": ADA, "capital": MODEL}, asked["requestState"])[1]["result"]
    assert set(asked["inputRequests"]) == {"roots"}
    assert json.loads(text(tries("all", {"roots": ROOTS}, asked["requestState"])[1])) == ["Ada", "Paris", "file:///x"]


@pytest.mark.parametrize("answer", [None, [], "x", {}, {"action": "maybe"}, {"action": "accept"}, {"action": "accept", "content": {}},
                                    {"action": "accept", "content": {"name": 1}}, {"action": "accept", "content": []}])
def test_an_answer_of_the_wrong_shape_is_asked_for_again(tries, answer):
    assert tries(answers={"name": answer})[1]["result"]["resultType"] == "input_required"


@pytest.mark.parametrize("answers", [[], "x", 1])
def test_answers_that_are_no_object_are_refused(tries, answers):
    assert tries(answers=answers)[1]["error"]["code"] == -32602


def test_a_client_that_cannot_be_asked_is_told_what_is_missing_as_an_object(tries):
    status, answer = tries("all", capabilities={"roots": {}})
    assert (status, answer["error"]["code"]) == (400, -32021)
    assert answer["error"]["data"] == {"requiredCapabilities": {"elicitation": {}, "sampling": {}}}


def changed(state):
    sealed = bytearray(base64.urlsafe_b64decode(state))
    sealed[-1] ^= 1
    return base64.urlsafe_b64encode(sealed).decode()


UNSIGNED = base64.b64encode(b'[9e9,"",{}]').decode()


OTHERS = ("", "x", "é", 1, UNSIGNED, "A" * 70_000)


@pytest.mark.parametrize(
    "spoil", [changed, lambda state: state[:-8], lambda state: state + "AAAA", *(lambda _, other=other: other for other in OTHERS)])
def test_a_state_that_is_not_ours_is_refused(tries, greets, spoil):
    state = tries()[1]["result"]["requestState"]
    runs = greets.runs
    status, answer = tries(answers={"name": ADA}, state=spoil(state))
    assert (status, answer["error"]["code"]) == (400, -32602)
    assert greets.runs == runs


def test_a_state_is_good_for_its_caller_and_its_call_alone(tries, client):
    state = tries()[1]["result"]["requestState"]
    assert tries("twice", {"first": ADA}, state)[1]["error"]["code"] == -32602
    assert tries(answers={"name": ADA}, state=state, arguments={"x": 1})[1]["error"]["code"] == -32602
    client.principal = replace(caller(), subject="another")
    assert tries(answers={"name": ADA}, state=state)[1]["error"]["code"] == -32602


def test_a_state_expires(tries, clock):
    state = tries()[1]["result"]["requestState"]
    clock.now += STATE_LIFETIME
    assert tries(answers={"name": ADA}, state=state)[1]["error"]["code"] == -32602


def test_a_state_of_a_former_secret_is_good_while_that_is_named(clock):
    sealed = RequestStates([KEY], clock).seal({"a": 2**70}, None, "m", {"name": "t"})
    assert RequestStates([b"new", KEY], clock).open(sealed, None, "m", {"name": "t", "requestState": sealed, "_meta": {}}) == {"a": 2**70}


# Handshake.


@pytest.fixture
def session(sessions):
    return sessions.find(sessions.begin("2025-11-25", ALL, caller()), caller())


@pytest.fixture
def asks(client, session, switchboard):
    """asks(tool, *results) → what a handshake call answers when its questions are answered so, at another worker."""

    def ask(tool, *answers, session=session, answered_in=None):
        said, replies = Said(), []
        body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool, "arguments": {}}}
        call = threading.Thread(target=lambda: replies.append(client.send(body, "2025-11-25", session=session, outlet=said)))
        call.start()
        for count, answer in enumerate(answers, 1):
            question = said.wait_for(count)[-1]
            client.send({"jsonrpc": "2.0", "id": question["id"]} | answer, "2025-11-25", session=answered_in or session)
            switchboard.follow()
        call.join(10)
        return said.messages, json.loads(replies[0].body) if replies else None

    return ask


def test_a_question_goes_out_on_the_stream_and_its_answer_may_come_anywhere(asks):
    [question], answer = asks("greet", {"result": ADA})
    assert question["method"] == "elicitation/create"
    assert question["params"] == NAME.params
    assert text(answer) == "Hello, Ada!"


def test_question_after_question(asks):
    _, answer = asks("twice", {"result": ADA}, {"result": ADA})
    assert text(answer) == "Ada Ada"


@pytest.mark.parametrize("answer", [{"error": {"code": -1, "message": "The person left."}}, {"result": {"action": "maybe"}}, {"error": "x"}])
def test_a_client_that_does_not_answer_is_a_tool_error(asks, answer):
    assert asks("greet", answer)[1]["result"]["isError"] is True


def test_an_answer_with_integers_of_many_digits_is_an_answer(asks):
    assert text(asks("greet", {"result": ADA | {"more": 2**70}})[1]) == "Hello, Ada!"


def test_an_answer_that_is_too_long_to_be_kept_is_refused(client, session):
    reply = client.send({"jsonrpc": "2.0", "id": "ask-1", "result": "x" * LONGEST_ANSWER}, "2025-11-25", session=session)
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("stateless", [True, False])
def test_a_progress_token_has_a_length(client, session, stateless):
    version = VERSION if stateless else "2025-11-25"
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "greet", "arguments": {}, "_meta": {"progressToken": "x" * 1001}}}
    body["params"]["_meta"] |= META if stateless else {}
    reply = client.send(body, version, {"Mcp-Method": "tools/call", "Mcp-Name": "greet"}, session=None if stateless else session, outlet=Said())
    assert json.loads(reply.body)["error"]["code"] == -32602


def test_a_client_without_a_session_is_not_asked(client):
    body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "greet", "arguments": {}}}
    said = Said()
    reply = client.send(body, "2025-11-25", outlet=said)
    assert json.loads(reply.body)["result"]["isError"] is True
    assert said.messages == []


def test_an_answer_from_another_session_is_not_heard(client, sessions, session, switchboard):
    other = sessions.find(sessions.begin("2025-11-25", ALL, caller()), caller())
    said = Said()
    body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "greet", "arguments": {}}}
    replies = []
    call = threading.Thread(target=lambda: replies.append(client.send(body, "2025-11-25", session=session, outlet=said)))
    call.start()
    [question] = said.wait_for(1)
    for who in (other, None):
        client.send({"jsonrpc": "2.0", "id": question["id"], "result": ADA}, "2025-11-25", session=who)
        switchboard.follow()
    assert replies == []
    client.send({"jsonrpc": "2.0", "id": question["id"], "result": ADA}, "2025-11-25", session=session)
    switchboard.follow()
    call.join(10)
    assert text(json.loads(replies[0].body)) == "Hello, Ada!"



def test_a_call_is_answered_also_while_nobody_could_cancel_it(client, switchboard, monkeypatch):
    def away(*_):
        raise StoreUnavailable

    monkeypatch.setattr(switchboard, "listening", away)
    body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "greet", "arguments": {}}}
    assert json.loads(client.send(body, "2025-11-25", outlet=Said()).body)["result"]["isError"] is True  # the tool's own: nobody to ask
