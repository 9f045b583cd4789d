"""What is Ollama's own."""

import time

import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import BadModelOutput, ModelBusy, ModelMissing, ModelRefused, ModelTimeout, ModelUnavailable
from mcp_server.llm.gate import Gate
from mcp_server.llm.ollama import Ollama
from mcp_server.llm.ports import Message, Prompt
from tests.engine import wait_until
from tests.llm.ollama_wire import FAULTS

PROMPT = Prompt([Message("user", "What is a router?")], max_tokens=12, temperature=0.0, seed=1)
SECONDS = 1.2
WHAT_HAPPENS = {
    "hang": (ModelTimeout, "did not answer in time. Try again with a shorter text"),
    "hang midstream": (ModelTimeout, "did not answer in time"),
    "slow": (ModelTimeout, "did not answer in time"),
    "drip": (ModelTimeout, "did not answer in time"),
    "midstream error": (ModelUnavailable, "failed. Try again in a few seconds; if it fails again, ask the operator"),
    "cut": (ModelUnavailable, "broke off its answer. Try again"),
    "no done": (ModelUnavailable, "broke off its answer. Try again"),
    "reset": (ModelUnavailable, "broke off its answer. Try again"),
    "garbage": (ModelUnavailable, "is not a model server. Ask the operator to check that Ollama is running and that OLLAMA_API_URL is right"),
    "redirect": (ModelUnavailable, "is not a model server. Ask the operator"),
    "html 502": (ModelUnavailable, "does not answer behind its proxy. Ask the operator"),
    "busy 503": (ModelBusy, "is busy. Try again in a few seconds"),
    "not found": (ModelMissing, "Ask the operator to run: ollama pull tiny:latest"),
    "flood": (BadModelOutput, "far more than an answer"),
}


@pytest.fixture
def model(ollama):
    return Gate(Ollama(ollama.url, context=4096, connections=2), slots=1)


def test_every_fault_that_the_stand_in_can_play_has_an_expectation():
    assert set(WHAT_HAPPENS) == set(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.requirement("F41")
@pytest.mark.requirement("F42")
def test_a_fault_ends_inside_the_deadline_says_what_to_do_and_frees_the_slot(model, ollama, fault):
    kind, text = WHAT_HAPPENS[fault]
    assert model.answer(PROMPT, Deadline.after(20)).text
    for _ in range(2):
        ollama.fault = fault
        started = time.monotonic()
        with pytest.raises(kind, match=text) as caught:
            model.answer(PROMPT, Deadline.after(SECONDS))
        assert time.monotonic() - started < SECONDS + 0.3
        assert not any(leak in caught.value.message for leak in ("http", "127.0.0.1", "/usr", "Traceback", "urllib3", "<"))
        assert (model.running, model.waiting) == (0, 0)
    ollama.fault = ""
    assert model.answer(PROMPT, Deadline.after(20)).text


def test_a_model_that_is_still_loading_says_when_to_come_back_and_goes_on_loading(model, ollama):
    ollama.load_seconds = 1.0
    with pytest.raises(ModelTimeout, match=r"still loading\. Try again in about 10 seconds"):
        model.answer(PROMPT, Deadline.after(0.4))
    assert ollama.loading == {"tiny:latest"}
    assert model.answer(PROMPT, Deadline.after(20)).text
    assert sum(not request["messages"] for request in ollama.requests) == 1, "the model was loaded once"


def test_an_unused_model_is_loaded_again_before_it_is_asked(ollama):
    now = [0.0]
    model = Ollama(ollama.url, context=4096, clock=lambda: now[0])
    for _ in range(3):
        model.answer(PROMPT, Deadline.after(20))
    assert [bool(request["messages"]) for request in ollama.requests] == [False, True, True, True]
    now[0] += 61
    model.answer(PROMPT, Deadline.after(20))
    assert [bool(request["messages"]) for request in ollama.requests[4:]] == [False, True]


def test_every_call_asks_for_the_same_context_and_never_lets_ollama_drop_a_part_of_the_prompt(model, ollama):
    model.answer(PROMPT, Deadline.after(20))
    for request in ollama.requests:
        assert request["options"]["num_ctx"] == 4096
        assert (request["truncate"], request["shift"]) == (False, False)


def test_a_model_that_thinks_is_told_not_to(ollama):
    ollama.models["tiny:latest"] = {"capabilities": ["completion", "thinking"]}
    Ollama(ollama.url, context=4096).answer(PROMPT, Deadline.after(20))
    assert ollama.requests[-1]["think"] is False


@pytest.mark.parametrize("name", ["gpt-oss:120b-cloud", "kimi:cloud", "far", "far:latest"])
def test_a_model_that_runs_elsewhere_gets_no_prompt(ollama, name):
    with pytest.raises(ModelRefused, match="runs in a cloud: prompts would leave this network"):
        Ollama(ollama.url, context=4096, default_model=name).answer(PROMPT, Deadline.after(20))
    assert ollama.requests == []


def test_the_first_model_that_writes_text_here_is_the_default(ollama):
    model = Ollama(ollama.url, context=4096)
    assert list(ollama.models) == ["vectors:latest", "far-vectors:latest", "far:latest", "tiny:latest"]
    assert model.answer(PROMPT, Deadline.after(20)).model == "tiny:latest"
    assert model.status(Deadline.after(5)).models == ("tiny:latest",)
    assert model.status(Deadline.after(5)).facts["version"] == "0.0.0-stand-in"


def test_an_older_ollama_that_lists_no_capabilities_is_asked_for_each_model(ollama):
    ollama.lists_capabilities = False
    assert Ollama(ollama.url, context=4096).status(Deadline.after(5)).models == ("tiny:latest",)


def test_an_embedding_model_is_refused_for_text(ollama):
    with pytest.raises(ModelRefused, match="is for embeddings: it writes no text"):
        Ollama(ollama.url, context=4096, default_model="vectors").answer(PROMPT, Deadline.after(20))


def test_a_model_that_was_pulled_a_moment_ago_is_found(ollama):
    model = Ollama(ollama.url, context=4096, default_model="tiny:latest")
    facts = ollama.models.pop("tiny:latest")
    with pytest.raises(ModelMissing, match="ollama pull tiny:latest"):
        model.answer(PROMPT, Deadline.after(20))
    ollama.models["tiny:latest"] = facts
    assert model.answer(PROMPT, Deadline.after(20)).text


def test_an_ollama_without_models_says_what_to_pull(ollama):
    ollama.models.clear()
    model = Ollama(ollama.url, context=4096)
    with pytest.raises(ModelMissing, match="Ask the operator to pull one"):
        model.answer(PROMPT, Deadline.after(20))
    assert "Ask the operator to pull one" in model.status(Deadline.after(5)).problem


@pytest.mark.requirement("F38")
def test_nothing_that_listens_is_told_at_once_and_with_the_setting():
    model = Ollama("http://127.0.0.1:9", context=4096)
    with pytest.raises(ModelUnavailable, match=r"does not answer\. Ask the operator to check that Ollama is running and that OLLAMA_API_URL"):
        model.answer(PROMPT, Deadline.after(5))
    status = model.status(Deadline.after(5))
    assert not status.available
    assert "OLLAMA_API_URL" in status.problem
    assert not model.answers(Deadline.after(5))


def test_a_host_name_that_does_not_exist_is_unavailable():
    with pytest.raises(ModelUnavailable, match="does not answer"):
        Ollama("http://no-such-host.invalid:11434", context=4096).answer(PROMPT, Deadline.after(5))


def test_a_caller_that_leaves_closes_its_connection_at_once(ollama):
    def leave(_):
        raise KeyboardInterrupt

    ollama.fault = "hang midstream"
    with pytest.raises(KeyboardInterrupt) as caught:
        Ollama(ollama.url, context=4096).answer(PROMPT, Deadline.after(20), leave)
    wait_until(lambda: ollama.answering == 0)
    assert caught.value.__traceback__, "kept until here, so that it is not the garbage collector that closes"
