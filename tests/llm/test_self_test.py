"""Whether the model server can do what the tools need of it."""

from dataclasses import replace

import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import ModelUnavailable
from mcp_server.llm.embedded import Embedded, EmbeddedVectors
from mcp_server.llm.embedders import CheckedEmbedder
from mcp_server.llm.gate import Gate
from mcp_server.llm.llama_cpp import LlamaCpp
from mcp_server.llm.ollama import Ollama
from mcp_server.llm.ollama_embeddings import OllamaVectors
from mcp_server.llm.openai import OpenAI
from mcp_server.llm.openai_embeddings import OpenAIVectors
from mcp_server.llm.ports import Answer, EmbeddingModel, Embeddings, ModelStatus
from mcp_server.llm.self_test import AGAIN_SECONDS, SelfTest

SECONDS = 20


@pytest.fixture(params=["ollama-stand-in", "llama-cpp", "openai", "embedded"])
def back_end(request, tiny_engine):
    """A model, and what embeds."""
    key = tiny_engine.api_key
    match request.param:
        case "ollama-stand-in":
            url = request.getfixturevalue("ollama").url
            return Ollama(url, context=4096), OllamaVectors(url)
        case "llama-cpp":
            return LlamaCpp(tiny_engine.url, api_key=key), OpenAIVectors(tiny_engine.embedding_url, api_key=key)
        case "openai":
            return OpenAI(tiny_engine.url, api_key=key), OpenAIVectors(tiny_engine.embedding_url, api_key=key)
        case "embedded":
            folder = request.getfixturevalue("tiny_engine_folder")
            return Embedded(folder), EmbeddedVectors(folder)


def ok(steps):
    return {step.name: step.ok for step in steps}


def test_every_back_end_passes_on_a_real_engine(back_end):
    model, vectors = back_end
    steps = SelfTest(Gate(model, slots=1), CheckedEmbedder(vectors), context=4096).run(Deadline.after(SECONDS))
    assert ok(steps) == {"model": True, "schema": True, "context": True, "embeddings": True}, steps
    assert "vectors of 32 numbers" in steps[3].said
    assert "4096 tokens" in steps[2].said


def test_a_context_that_is_smaller_than_the_settings_say_is_found(tiny_engine, ollama):
    ollama.context_length = 2048
    for model, wanted, has in ((LlamaCpp(tiny_engine.url, api_key=tiny_engine.api_key), 8192, 4096), (Ollama(ollama.url, context=4096), 4096, 2048)):
        steps = {step.name: step for step in SelfTest(model, Fails(), context=wanted).run(Deadline.after(SECONDS))}
        assert not steps["context"].ok
        assert f"LLM_CONTEXT={has}" in steps["context"].next_step


class Fails:
    def embed(self, *_):
        raise ModelUnavailable("Ask the operator to start it.")


class Model:
    """A model that says what it is told to, and counts."""

    def __init__(self, text='{"working": "yes"}'):
        self.text, self.complete, self.asked = text, True, 0
        self.told = ModelStatus("b", available=True, model="m")

    def answer(self, prompt, deadline, on_token=None):  # noqa: ARG002 - the port's
        assert deadline.patient, "the calls of clients go before"
        self.asked += 1
        return Answer(self.text, "m", complete=self.complete)

    def status(self, _):
        return self.told


@pytest.mark.parametrize("text", ["", "yes", '{"working": "maybe"}', '["yes"]', '{"working": "yes"', "{}"])
def test_a_model_that_does_not_keep_to_a_schema_is_found(text):
    steps = SelfTest(Model(text), Fails(), context=1).run(Deadline.after(SECONDS))
    assert ok(steps)["schema"] is False
    assert "Set DEFAULT_LLM_MODEL" in steps[1].next_step


def test_it_is_run_once_while_all_is_well_and_anew_when_the_model_is_back():
    now, told = [0.0], []
    model = Model()
    test = SelfTest(model, Embeds(), context=1, clock=lambda: now[0], changed=told.append)
    assert test.model_works is None
    for _ in range(3):
        test.follow()
        now[0] += AGAIN_SECONDS
    assert (model.asked, test.model_works, len(told)) == (1, True, 1)
    now[0] = 1.0  # so that it is the model's coming back, and not the time
    there, model.told = model.told, replace(model.told, available=False, problem="Start it.")
    for _ in range(3):
        test.follow()
    assert (model.asked, test.model_works, len(told)) == (1, False, 2)
    assert told[-1][0].next_step == "Start it."
    model.told = there
    test.follow()
    assert (model.asked, test.model_works, len(told)) == (2, True, 3)


def test_one_worker_of_all_tries_and_the_others_go_by_the_status():
    elected = iter([True, False, False, False])
    models = [Model("no JSON"), Model("no JSON")]
    tests = [SelfTest(model, Embeds(), context=1, elected=lambda: next(elected)) for model in models]
    for _ in range(2):
        for test in tests:
            test.follow()
    assert [model.asked for model in models] == [1, 0]
    assert [test.model_works for test in tests] == [False, True]
    models[1].told = replace(models[1].told, available=False)
    tests[1].follow()
    assert tests[1].model_works is False


def test_what_is_wrong_while_the_model_is_there_is_tried_again_once_a_minute():
    now, model = [0.0], Model("no JSON")
    test = SelfTest(model, Embeds(), context=1, clock=lambda: now[0])
    for _ in range(3):
        test.follow()
    assert model.asked == 1
    now[0] += AGAIN_SECONDS
    model.text = '{"working": "no"}'
    test.follow()
    assert (model.asked, test.model_works) == (2, True)


class Embeds:
    def embed(self, texts, deadline):
        assert deadline.left
        return Embeddings([[1.0]] * len(texts), EmbeddingModel("e", 1))
