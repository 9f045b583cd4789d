"""Answers that are known already."""

import threading
from dataclasses import replace

import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import ModelTimeout, ModelUnavailable
from mcp_server.llm.cache import MOST_CHARACTERS, Remembering
from mcp_server.llm.ollama import Ollama
from mcp_server.llm.ports import Answer, Message, ModelIdentity, ModelStatus, Prompt
from tests.engine import wait_until

PROMPT = Prompt([Message("user", "What is a router?")], temperature=0.0, seed=1)
SECONDS = 10


class Counting:
    """A model that counts its calls, and waits where the test wants it to."""

    def __init__(self):
        self.calls = 0
        self.told = ModelIdentity("b", "m", "digest")
        self.answered = Answer("text", "m", complete=True, back_end="b")
        self.go = threading.Event()
        self.go.set()
        self.failures = []

    def answer(self, prompt, deadline, on_token=None):  # noqa: ARG002 - the port's
        self.calls += 1
        assert self.go.wait(SECONDS)
        if self.failures:
            raise self.failures.pop()
        return self.answered

    def identity(self, model, deadline):  # noqa: ARG002 - the port's
        if isinstance(self.told, Exception):
            raise self.told
        return self.told

    def status(self, _):
        return ModelStatus("b", available=True)


@pytest.fixture
def model():
    return Counting()


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def remembering(model, now):
    return Remembering(model, 600, clock=lambda: now[0], most=3)


def ask(remembering, prompt=PROMPT, seconds=SECONDS):
    return remembering.answer(prompt, Deadline.after(seconds))


def test_the_same_question_is_asked_once_until_its_time_is_over(remembering, model, now):
    assert ask(remembering) == ask(remembering) == model.answered
    assert model.calls == 1
    assert (remembering.counts.hits, remembering.counts.misses) == (1, 1)
    facts = remembering.status(Deadline.after(1)).facts
    assert (facts["cache_hits"], facts["cache_misses"]) == (1, 1)
    now[0] += 600
    ask(remembering)
    assert model.calls == 2


@pytest.mark.parametrize("change", [
    {"seed": 2}, {"max_tokens": 7}, {"model": "other"}, {"schema": {"type": "object"}}, {"messages": [Message("system", "What is a router?")]},
])
def test_another_question_is_another(remembering, model, change):
    ask(remembering)
    ask(remembering, replace(PROMPT, **change))
    assert model.calls == 2


@pytest.mark.parametrize("identity", [ModelIdentity("b", "m", "newer"), ModelIdentity("b", "m2", "digest"), ModelIdentity("b2", "m", "digest")])
def test_another_model_is_asked_anew(remembering, model, identity):
    ask(remembering)
    model.told = identity
    ask(remembering)
    assert model.calls == 2


@pytest.mark.parametrize("change", [{"seed": None}, {"temperature": None}, {"temperature": 0.5}])
def test_what_leaves_something_to_chance_is_asked_every_time(remembering, model, change):
    for _ in range(2):
        ask(remembering, replace(PROMPT, **change))
    assert model.calls == 2
    assert remembering.counts.uncacheable == 2


@pytest.mark.parametrize("answered", [
    {"complete": False}, {"model": "another"}, {"back_end": "second"}, {"text": "x" * (MOST_CHARACTERS + 1)},
])
def test_what_was_cut_off_or_came_from_another_model_is_not_remembered(remembering, model, answered):
    model.answered = replace(model.answered, **answered)
    for _ in range(2):
        assert ask(remembering) == model.answered
    assert model.calls == 2


def test_a_model_that_cannot_say_what_it_is_is_asked(remembering, model):
    model.told = ModelUnavailable("gone")
    assert ask(remembering) == ask(remembering) == model.answered
    assert model.calls == 2


def test_no_more_is_kept_than_there_is_room_for(remembering, model):
    for seed in range(5):
        ask(remembering, replace(PROMPT, seed=seed))
    ask(remembering, replace(PROMPT, seed=4))
    assert model.calls == 5
    ask(remembering, replace(PROMPT, seed=0))
    assert model.calls == 6


def together(remembering, model, callers=5, seconds=SECONDS):
    """What each of several callers of the same question got, who began while the first one was being answered."""
    got = []

    def run():
        try:
            got.append(ask(remembering, seconds=seconds).text)
        except (ModelUnavailable, ModelTimeout) as error:
            got.append(type(error).__name__)

    model.go.clear()
    threads = [threading.Thread(target=run) for _ in range(callers)]
    for thread in threads:
        thread.start()
    wait_until(lambda: model.calls == 1)
    return threads, got


@pytest.mark.parametrize("lifetime", [600, 0])
def test_callers_of_the_same_question_share_one_answer(model, lifetime):
    remembering = Remembering(model, lifetime)
    threads, got = together(remembering, model)
    model.go.set()
    for thread in threads:
        thread.join(SECONDS)
    assert got == ["text"] * 5
    assert model.calls < 5, "those who waited for it were not asked for again"


def test_a_failure_is_the_failure_of_one_and_the_others_ask_again(model):
    remembering = Remembering(model, 600)
    model.failures = [ModelUnavailable("gone")]
    threads, got = together(remembering, model)
    model.go.set()
    for thread in threads:
        thread.join(SECONDS)
    assert sorted(got) == ["ModelUnavailable", *["text"] * 4]


def test_nobody_waits_for_another_beyond_their_own_deadline(model):
    remembering = Remembering(model, 600)
    threads, got = together(remembering, model, callers=1)
    with pytest.raises(ModelTimeout):
        ask(remembering, seconds=0.05)
    model.go.set()
    threads[0].join(SECONDS)
    assert got == ["text"]
    assert ask(remembering).text == "text"


def test_a_model_that_was_pulled_anew_is_not_answered_for_by_the_old_one(ollama):
    now = [0.0]
    remembering = Remembering(Ollama(ollama.url, context=4096, clock=lambda: now[0]), 600)
    prompt = replace(PROMPT, max_tokens=200, schema={"type": "string", "maxLength": 5})
    for _ in range(2):
        assert ask(remembering, prompt).complete
    assert remembering.counts.hits == 1
    ollama.digest = "1" * 64
    now[0] += 31
    ask(remembering, prompt)
    assert (remembering.counts.hits, remembering.counts.misses) == (1, 2)
