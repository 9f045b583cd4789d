"""A chat: what the model is told of what was said before, for whom, how much and how long."""

import re
import uuid

import pytest

from mcp_server.deadline import Deadline
from mcp_server.mcp.context import CallContext
from mcp_server.principal import Principal
from mcp_server.storage.redis import RedisState
from mcp_server.storage.sqlite import SqliteState
from tests.gateway import SettableClock
from tests.tools.stand_ins import Says, registry


@pytest.fixture(params=["sqlite", "redis"])
def state(request, tmp_path, clock):
    if request.param == "sqlite":
        opened = SqliteState(tmp_path / "state.db")
    else:
        opened = RedisState(request.getfixturevalue("redis_url"), prefix=f"{uuid.uuid4().hex}:", clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def clock():
    return SettableClock()


@pytest.fixture
def chat(state, clock):
    """chat(model, message, …) → the result, for the caller `who`."""

    def chat(model, message, *, who="ada", client="c1", redact="off", context=4096, **arguments):
        tools = registry(model, chats=state.chats, clock=clock, redact=redact, context=context)
        principal = Principal(client, who, frozenset({"tools:execute"}), 0, ())
        return tools.call(tools["chat"], CallContext(principal, Deadline.after(20)), {"message": message, **arguments})

    return chat


def told(model):
    """What was said before the last message, as the model was told."""
    return [(message.role, message.content) for message in model.asked[-1].messages[1:-1]]


def test_a_conversation_goes_on_where_it_was(chat):
    model = Says("Hello Ada.", "In room 3.", "Bye.")
    first = chat(model, "I am Ada.").structured
    assert (first["answer"], first["turns_remembered"], told(model)) == ("Hello Ada.", 0, [])
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", first["conversation_id"])
    second = chat(model, "Where is the printer?", conversation_id=first["conversation_id"]).structured
    assert told(model) == [("user", "I am Ada."), ("assistant", "Hello Ada.")]
    assert (second["conversation_id"], second["turns_remembered"]) == (first["conversation_id"], 1)


def test_a_caller_may_bring_an_id_of_its_own(chat):
    model = Says("A", "B")
    assert chat(model, "one", conversation_id="INC0010001").structured["conversation_id"] == "INC0010001"
    assert chat(model, "two", conversation_id="INC0010001").structured["turns_remembered"] == 1


@pytest.mark.parametrize("other", [{"who": "bob"}, {"client": "c2"}])
def test_nobody_else_gets_into_a_conversation_whatever_id_they_name(chat, other):
    model = Says("A")
    chat(model, "my secret plan", conversation_id="x")
    assert chat(model, "What did I say?", conversation_id="x", **other).structured["turns_remembered"] == 0
    assert "secret plan" not in str(model.asked[-1].messages)


def test_only_the_last_turns_are_remembered(chat):
    model = Says("A")
    for number in range(15):
        chat(model, f"message {number}", conversation_id="x")
    assert chat(model, "now", conversation_id="x").structured["turns_remembered"] == 12
    assert told(model)[0] == ("user", "message 3")


def test_what_does_not_fit_the_context_is_not_told(chat):
    model = Says("A")
    for number in range(3):
        chat(model, f"{number}" * 3000, conversation_id="x")
    answered = chat(model, "now", conversation_id="x", context=2048).structured
    assert answered["turns_remembered"] == 1
    assert told(model)[0] == ("user", "2" * 3000)


def test_a_failed_turn_is_not_remembered(chat):
    model = Says(RuntimeError(), "A")
    with pytest.raises(RuntimeError):
        chat(model, "lost", conversation_id="x")
    assert chat(model, "now", conversation_id="x").structured["turns_remembered"] == 0


def test_a_secret_that_may_not_reach_the_model_is_not_kept(chat, state):
    model = Says("A", "B")
    chat(model, "password: Hunter22!", conversation_id="x", redact="secrets")
    chat(model, "and now?", conversation_id="x")
    assert told(model)[0] == ("user", "password: [password 1]")


@pytest.mark.parametrize("wrong", ["", "a b", "x" * 101, "é", "../x"])
def test_an_id_that_is_none_is_refused(chat, wrong):
    assert "conversation_id: must be letters" in chat(Says("A"), "x", conversation_id=wrong).text


def test_an_hour_later_it_is_forgotten(tmp_path, clock):
    state, model = SqliteState(tmp_path / "state.db"), Says("A")
    tools = registry(model, chats=state.chats, clock=clock)
    say = lambda: tools.call(tools["chat"], CallContext(None, Deadline.after(20)), {"message": "m", "conversation_id": "x"}).structured  # noqa: E731
    say()
    clock.advance(3599)
    assert say()["turns_remembered"] == 1
    clock.advance(3601)
    assert say()["turns_remembered"] == 0
    state.close()
