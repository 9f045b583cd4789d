"""What every back end promises, over every back end. With OLLAMA_URL set a real Ollama is among them."""

import os
import threading
import time

import pytest
from marshmallow import Schema, fields, validate

from mcp_server.deadline import Deadline
from mcp_server.errors import ContextTooLong, ModelMissing, ModelRefused, ModelTimeout
from mcp_server.json_schema import json_schema
from mcp_server.llm.embedded import Embedded
from mcp_server.llm.llama_cpp import LlamaCpp
from mcp_server.llm.ollama import Ollama
from mcp_server.llm.openai import OpenAI
from mcp_server.llm.ports import MOST_LABELS, Message, Prompt

REAL_OLLAMA = os.environ.get("OLLAMA_URL")
BACK_ENDS = ["ollama-stand-in", "llama-cpp", "openai", "embedded", *(["ollama"] if REAL_OLLAMA else [])]
QUESTION = [Message("system", "Answer in one sentence."), Message("user", "What is a router?")]
SECONDS = 20
LONG = {"type": "array", "items": {"type": "string", "minLength": 60, "maxLength": 60}, "minItems": 50, "maxItems": 50}


class Verdict(Schema):
    reason = fields.String(required=True, validate=validate.Length(max=40))
    category = fields.String(required=True, validate=validate.OneOf(["network", "hardware", "unknown"]))
    impact = fields.Integer(required=True, strict=True, validate=validate.Range(1, 3))


@pytest.fixture(params=BACK_ENDS)
def model(request, tiny_engine):
    match request.param:
        case "ollama":
            yield Ollama(REAL_OLLAMA, context=4096, connections=2)
        case "ollama-stand-in":
            yield Ollama(request.getfixturevalue("ollama").url, context=4096, connections=2)
        case "llama-cpp":
            yield LlamaCpp(tiny_engine.url, api_key=tiny_engine.api_key, connections=2)
        case "openai":
            yield OpenAI(f"{tiny_engine.url}/v1", api_key=tiny_engine.api_key, connections=2)
        case "embedded":
            yield Embedded(request.getfixturevalue("tiny_engine_folder"), connections=2)


def ask(model, on_token=None, /, *, seconds=SECONDS, **changes):
    prompt = Prompt(**{"messages": QUESTION, "max_tokens": 24, "temperature": 0.0, "seed": 1, **changes})
    return model.answer(prompt, Deadline.after(seconds), on_token)


def test_a_prompt_is_answered_with_text_and_with_who_answered(model):
    answer = ask(model)
    assert answer.text
    assert answer.model in model.status(Deadline.after(SECONDS)).models
    assert answer.back_end == model.status(Deadline.after(SECONDS)).back_end
    assert answer.prompt_tokens > 10
    assert 0 < answer.answer_tokens <= 24


def test_an_answer_that_is_cut_off_says_so(model):
    answer = ask(model, max_tokens=3)
    assert not answer.complete
    assert answer.answer_tokens == 3


def test_temperature_0_and_a_seed_give_the_same_answer_again(model):
    assert ask(model).text == ask(model).text


def test_an_answer_satisfies_the_schema_of_its_prompt(model):
    answer = ask(model, schema=json_schema(Verdict()), max_tokens=200)
    assert answer.complete
    assert set(Verdict().loads(answer.text)) == {"reason", "category", "impact"}


def test_tokens_are_counted_as_they_come(model):
    counts = []
    ask(model, counts.append)
    assert counts == sorted(set(counts))
    assert len(counts) > 1


def test_text_in_any_script_passes_through_unharmed(model):
    messages = [Message("user", 'Zeile eins\u2028Zeile zwei \u0085 日本語 🙂 "quoted" \\ back')]
    assert ask(model, messages=messages).text


@pytest.mark.parametrize("name", ["no-such-model", "no-such-model:7b"])
def test_a_model_that_is_not_there_is_named_in_the_answer(model, name):
    with pytest.raises(ModelMissing, match=f"'{name}' is not on the model server"):
        ask(model, model=name)


@pytest.mark.parametrize("name", ["http://192.0.2.1/model", "../../etc/passwd", "x" * 500, "tiny; rm -rf", "tiny\nIgnore this"])
def test_what_is_no_model_name_is_not_asked_for(model, name):
    with pytest.raises((ModelMissing, ModelRefused)) as caught:
        ask(model, model=name)
    assert len(caught.value.message) < 300


def test_a_prompt_that_does_not_fit_is_refused_with_the_numbers(model):
    with pytest.raises(ContextTooLong, match=r"it has (about )?\d+ tokens, and 4096 fit. Shorten it"):
        ask(model, messages=[Message("user", "printer " * 5000)])


def test_the_longest_answer_that_still_fits_is_allowed_and_no_longer_one(model):
    answer = ask(model, messages=[Message("user", "printer " * 300)], max_tokens=8000, seconds=60)
    assert answer.prompt_tokens + answer.answer_tokens <= 4096


def test_a_deadline_that_has_passed_is_a_timeout_at_once(model):
    started = time.monotonic()
    with pytest.raises(ModelTimeout):
        ask(model, seconds=0)
    assert time.monotonic() - started < 0.5


def test_a_long_answer_ends_at_the_deadline(model):
    ask(model)
    started = time.monotonic()
    with pytest.raises(ModelTimeout):
        ask(model, seconds=0.15, max_tokens=3900, schema=LONG)
    assert time.monotonic() - started < 0.6


def test_a_caller_that_leaves_stops_the_model_and_gives_its_connection_back(model):
    class Left(Exception):
        pass

    def leave(_):
        raise Left

    kept = []  # as a log keeps them; so it is not the garbage collector that gives anything back
    for _ in range(10):
        with pytest.raises(Left) as caught:
            ask(model, leave, max_tokens=2000)
        kept.append(caught.value)
    assert ask(model).text


def test_calls_at_the_same_time_get_each_their_own_answer(model):
    expected = {text: ask(model, messages=[Message("user", text)]).text for text in ("one", "two", "three", "four")}
    got = {}
    threads = [threading.Thread(target=lambda text=text: got.update({text: ask(model, messages=[Message("user", text)]).text})) for text in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert got.keys() == expected.keys()
    assert all(got.values())


def test_its_status_names_the_models_and_the_one_it_would_use(model):
    status = model.status(Deadline.after(SECONDS))
    assert status.available
    assert status.model in status.models
    assert status.problem == ""


LABELS = ("network", "hardware", "software")


def test_labels_get_the_probability_of_their_letters_and_what_is_missing_to_1_is_on_none(model):
    told = model.label_probabilities(Prompt(QUESTION), LABELS, Deadline.after(SECONDS))
    assert list(told) == list(LABELS)
    assert all(0 <= share <= 1 for share in told.values())
    assert 0 <= sum(told.values()) <= 1.001
    assert told == model.label_probabilities(Prompt(QUESTION), LABELS, Deadline.after(SECONDS))


@pytest.mark.parametrize("labels", [(), tuple(str(number) for number in range(MOST_LABELS + 1))])
def test_of_more_labels_than_a_server_tells_nothing_is_told(model, labels):
    assert model.label_probabilities(Prompt(QUESTION), labels, Deadline.after(SECONDS)) is None
