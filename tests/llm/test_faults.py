"""Every fault at every back end with the OpenAI API, for answers and for vectors: told inside the deadline, in words that say what to do.

Ollama's are in test_ollama.py.
"""

import time

import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import BadModelOutput, ContextTooLong, ModelBusy, ModelMissing, ModelRefused, ModelTimeout, ModelUnavailable
from mcp_server.llm.embedded import Embedded, EmbeddedVectors
from mcp_server.llm.embedded_engine import ADDRESS_FILE, Address
from mcp_server.llm.embedders import CheckedEmbedder
from mcp_server.llm.gate import Gate
from mcp_server.llm.llama_cpp import LlamaCpp
from mcp_server.llm.ollama_embeddings import OllamaVectors
from mcp_server.llm.openai import OpenAI
from mcp_server.llm.openai_embeddings import OpenAIVectors
from mcp_server.llm.ports import Message, Prompt
from tests.engine import wait_until
from tests.llm import ollama_wire
from tests.llm.openai_wire import FAULTS, NAME, WORDS, OpenAIWire

PROMPT = Prompt([Message("user", "What is a router?")], max_tokens=12)
SECONDS = 0.5
LEAKS = ("http:", "127.0.0.1", "/usr", "Traceback", "urllib3", "<html", "nginx", "CUDA")
LATE = (ModelTimeout, "did not answer in time. Try again with a shorter text")
BROKEN_OFF = (ModelUnavailable, "broke off its answer. Try again in a few seconds")
OTHER_PROGRAM = (ModelUnavailable, "is not a model server. (Ask the operator to check|Start the server)")
FAILED = (ModelUnavailable, "failed. Try again in a few seconds; if it fails again, ask the operator")
BUSY = (ModelBusy, "is busy. Try again in a few seconds")
WHAT_HAPPENS = {
    "hang": LATE, "hang midstream": LATE, "slow": LATE, "drip": LATE, "midstream error": FAILED, "cut": BROKEN_OFF, "no finish": BROKEN_OFF,
    "empty": BROKEN_OFF, "reset": BROKEN_OFF, "garbage": OTHER_PROGRAM, "redirect": OTHER_PROGRAM,
    "html 502": (ModelUnavailable, "does not answer behind its proxy. Ask the operator"), "busy 503": BUSY, "busy 429": BUSY,
    "loading": (ModelUnavailable, "still loading. Try again in about 10 seconds"),
    "not found": (ModelMissing, "is not on the model server"),
    "overflow": (ContextTooLong, "it has 6031 tokens, and 2048 fit. Shorten it"),
    "no key": (ModelRefused, "does not let this gateway in. Ask the operator to check its key"),
    "flood": (BadModelOutput, "far more than an answer. Ask for a shorter answer"),
    "vanished": (ModelUnavailable, r"does not answer\. (Ask the operator to check|Start the server)"),
}
OF_VECTORS = WHAT_HAPPENS | {"empty": OTHER_PROGRAM}


@pytest.fixture
def wire():
    with OpenAIWire() as wire:
        yield wire


@pytest.fixture
def folder(wire, tmp_path):
    Address(wire.url, "key", 1, wire.url).write(tmp_path / ADDRESS_FILE)
    return tmp_path


@pytest.fixture(params=["openai", "llama-cpp", "embedded"])
def model(request, wire):
    return Gate({"openai": lambda: OpenAI(wire.url), "llama-cpp": lambda: LlamaCpp(wire.url),
                 "embedded": lambda: Embedded(request.getfixturevalue("folder"))}[request.param](), slots=1)


@pytest.fixture(params=["openai", "embedded"])
def embedder(request, wire):
    return CheckedEmbedder(OpenAIVectors(wire.url) if request.param == "openai" else EmbeddedVectors(request.getfixturevalue("folder")))


def spoil(wire, fault):
    wire.fault = fault
    if fault == "vanished":
        wire.vanish()


def check(ask, kind, text):
    started = time.monotonic()
    with pytest.raises(kind, match=text) as caught:
        ask(Deadline.after(SECONDS))
    assert time.monotonic() - started < SECONDS + 0.3
    assert not any(leak in caught.value.message for leak in LEAKS)


def test_every_fault_has_an_expectation():
    assert set(WHAT_HAPPENS) == set(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.requirement("F41")
@pytest.mark.requirement("F42")
def test_a_fault_ends_inside_the_deadline_says_what_to_do_and_frees_the_slot(model, wire, fault):
    assert model.answer(PROMPT, Deadline.after(10)).text == "".join(WORDS)
    spoil(wire, fault)
    check(lambda deadline: model.answer(PROMPT, deadline), *WHAT_HAPPENS[fault])
    assert (model.running, model.waiting) == (0, 0)
    wait_until(lambda: wire.answering == 0)
    if fault != "vanished":
        wire.fault = ""
        assert model.answer(PROMPT, Deadline.after(10)).model == NAME


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_of_vectors_too(embedder, wire, fault):
    embedder.embed(["x"], Deadline.after(10))
    spoil(wire, fault)
    check(lambda deadline: embedder.embed(["x"], deadline), *OF_VECTORS[fault])
    wait_until(lambda: wire.answering == 0)
    if fault != "vanished":
        wire.fault = ""
        embedder.embed(["x"], Deadline.after(10))


OLLAMA_VECTORS = {
    "hang": LATE, "garbage": OTHER_PROGRAM, "redirect": OTHER_PROGRAM, "reset": BROKEN_OFF, "busy 503": BUSY,
    "not found": (ModelMissing, "Ask the operator to run: ollama pull vectors:latest"),
}


@pytest.mark.parametrize("fault", OLLAMA_VECTORS)
def test_a_fault_of_ollama_is_told_of_vectors_too(ollama, fault):
    assert set(OLLAMA_VECTORS) < set(ollama_wire.FAULTS)
    embedder = CheckedEmbedder(OllamaVectors(ollama.url))
    embedder.embed(["x"], Deadline.after(10))
    ollama.fault = fault
    check(lambda deadline: embedder.embed(["x"], deadline), *OLLAMA_VECTORS[fault])
    ollama.fault = ""
    embedder.embed(["x"], Deadline.after(10))
