"""A second back end for when the first one cannot be reached."""

import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import BadModelOutput, ContextTooLong, ModelBusy, ModelMissing, ModelRefused, ModelTimeout, ModelUnavailable
from mcp_server.llm.breaker import FAILURES_TO_OPEN, OPEN_SECONDS
from mcp_server.llm.failover import Failover
from mcp_server.llm.llama_cpp import LlamaCpp
from mcp_server.llm.ollama import Ollama
from mcp_server.llm.ports import Message, Prompt
from tests.engine import TINY
from tests.llm.ollama_wire import OllamaWire

PROMPT = Prompt([Message("user", "What is a router?")], max_tokens=12, temperature=0.0, seed=1)
NOBODY = "http://127.0.0.1:9"
SECONDS = 20


@pytest.fixture
def second(tiny_engine):
    return LlamaCpp(tiny_engine.url, api_key=tiny_engine.api_key, default_model=TINY)


@pytest.fixture
def failover(ollama, second):
    return Failover(Ollama(ollama.url, context=4096, hint="Mend the first."), second)


def ask(failover, **changes):
    return failover.answer(Prompt(**{**{name: getattr(PROMPT, name) for name in PROMPT.__slots__}, **changes}), Deadline.after(SECONDS))


def test_the_first_answers_while_it_can(failover):
    assert ask(failover).back_end == "ollama"
    assert failover.status(Deadline.after(SECONDS)).back_end == "ollama"


@pytest.mark.parametrize("fault", ["html 502", "busy 503", "garbage", "reset"])
def test_the_second_answers_and_says_so_when_the_first_cannot_be_reached(failover, ollama, fault):
    ollama.fault = fault
    answer = ask(failover)
    assert (answer.back_end, answer.model) == ("llama-cpp", TINY)
    assert failover.label_probabilities(PROMPT, ("a", "b"), Deadline.after(SECONDS)).keys() == {"a", "b"}
    ollama.fault = ""
    assert ask(failover).back_end == "ollama"


@pytest.mark.parametrize("fault", ["cut", "no done", "midstream error"])
def test_what_was_begun_is_never_begun_again_elsewhere(failover, ollama, fault):
    ollama.fault = fault
    told = []
    with pytest.raises(ModelUnavailable):
        failover.answer(PROMPT, Deadline.after(SECONDS), told.append)
    assert told
    with pytest.raises(ModelUnavailable):
        ask(failover)


def test_nobody_is_answered_by_another_model_than_the_one_asked_for(ollama, second):
    failover = Failover(Ollama(NOBODY, context=4096, hint="Mend the first."), second)
    assert ask(failover, model=TINY).model == TINY
    with pytest.raises(ModelUnavailable, match=r"Mend the first\.$"):
        ask(failover, model="llama3.1:8b")
    assert ollama.requests == []


class Fails:
    def __init__(self, error):
        self.error, self.calls = error, 0

    def answer(self, *_):
        self.calls += 1
        raise self.error


@pytest.mark.parametrize("error", [ModelTimeout("late"), ModelMissing("no model"), ModelRefused("no"), ContextTooLong("long"), BadModelOutput("odd")])
def test_what_the_second_would_do_no_better_or_nobody_should_hide_is_told(error):
    second = Fails(ModelBusy("never asked"))
    with pytest.raises(type(error)):
        ask(Failover(Fails(error), second))
    assert second.calls == 0


def test_when_both_fail_the_first_is_what_the_operator_must_mend():
    with pytest.raises(ModelUnavailable, match=r"^first$") as caught:
        ask(Failover(Fails(ModelUnavailable("first")), Fails(ModelBusy("second"))))
    assert "second" in caught.value.detail


def test_a_first_that_stays_away_is_not_tried_by_every_call(second):
    now, first = [0.0], Fails(ModelUnavailable("gone"))
    failover = Failover(first, second, clock=lambda: now[0])
    for _ in range(FAILURES_TO_OPEN + 3):
        assert ask(failover).back_end == "llama-cpp"
    assert first.calls == FAILURES_TO_OPEN
    now[0] += OPEN_SECONDS
    ask(failover)
    assert first.calls == FAILURES_TO_OPEN + 1


def test_its_status_says_why_the_second_answers(tiny_engine, second):
    with OllamaWire(tiny_engine, TINY) as wire:
        failover = Failover(Ollama(wire.url, context=4096, hint="Mend the first."), second)
        wire.fault = "html 502"
        status = failover.status(Deadline.after(SECONDS))
    assert (status.available, status.back_end) == (True, "llama-cpp")
    assert status.facts["note"].startswith("The first back end (ollama) cannot be used, so llama-cpp answers.")
    both = Failover(Ollama(NOBODY, context=4096, hint="Mend the first."), Ollama(NOBODY, context=4096, hint="Mend the second."))
    assert both.status(Deadline.after(SECONDS)).problem.endswith("Mend the first.")
