"""What every Embedder promises, over every back end. With OLLAMA_URL set a real Ollama is among them."""

import math
import os
import time

import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import BadModelOutput, ContextTooLong, ModelMissing, ModelRefused, ModelTimeout, ModelUnavailable
from mcp_server.llm.embedded import EmbeddedVectors
from mcp_server.llm.embedded_engine import ADDRESS_FILE, Address
from mcp_server.llm.embedders import TEXTS_AT_ONCE, Answered, CheckedEmbedder
from mcp_server.llm.ollama_embeddings import OllamaVectors
from mcp_server.llm.openai_embeddings import OpenAIVectors

REAL_OLLAMA = os.environ.get("OLLAMA_URL")
BACK_ENDS = ["ollama-stand-in", "openai", "embedded", *(["ollama"] if REAL_OLLAMA else [])]
SECONDS = 20


@pytest.fixture(params=BACK_ENDS)
def back_end(request, tiny_engine):
    """What makes its `Vectors`."""
    match request.param:
        case "ollama":
            return lambda **settings: OllamaVectors(REAL_OLLAMA, **settings)
        case "ollama-stand-in":
            return lambda **settings: OllamaVectors(request.getfixturevalue("ollama").url, **settings)
        case "openai":
            return lambda **settings: OpenAIVectors(f"{tiny_engine.embedding_url}/v1", api_key=tiny_engine.api_key, **settings)
        case "embedded":
            return lambda: EmbeddedVectors(request.getfixturevalue("tiny_engine_folder"))


@pytest.fixture
def embedder(back_end):
    return CheckedEmbedder(back_end())


def cosine(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_each_text_gets_a_vector_of_length_1_in_its_place(embedder):
    texts = [f"text number {number}" for number in range(TEXTS_AT_ONCE + 5)]
    embeddings = embedder.embed(texts, Deadline.after(SECONDS))
    assert len(embeddings.vectors) == len(texts)
    assert {len(vector) for vector in embeddings.vectors} == {embeddings.model.dimensions}
    assert all(math.hypot(*vector) == pytest.approx(1) for vector in embeddings.vectors)
    alone = embedder.embed([texts[-1]], Deadline.after(SECONDS))
    assert cosine(alone.vectors[0], embeddings.vectors[-1]) > 0.99
    assert alone.model == embeddings.model
    assert embeddings.model.name


def test_no_text_at_all_still_names_the_model(embedder):
    nothing = embedder.embed([], Deadline.after(SECONDS))
    assert list(nothing.vectors) == []
    assert nothing.model == embedder.embed(["x"], Deadline.after(SECONDS)).model


@pytest.mark.parametrize("text", ["", " ", "日本語 🙂 \u2028", 'quoted " and \\ back', "a" * 400])
def test_any_text_that_fits_has_a_vector(embedder, text):
    assert math.hypot(*embedder.embed([text], Deadline.after(SECONDS)).vectors[0]) == pytest.approx(1)


def test_a_text_that_does_not_fit_is_refused_and_never_cut(embedder):
    with pytest.raises(ContextTooLong, match=r"too long for the model.*Shorten it"):
        embedder.embed(["fits", "x" * 30_000], Deadline.after(SECONDS))


def test_a_deadline_that_has_passed_is_a_timeout_at_once(embedder):
    started = time.monotonic()
    with pytest.raises(ModelTimeout):
        embedder.embed(["x"], Deadline.after(0))
    assert time.monotonic() - started < 0.5


def test_a_model_that_is_not_there_is_named(back_end, request):
    if "embedded" in request.node.name:
        with pytest.raises(ModelUnavailable, match="is not running"):
            CheckedEmbedder(EmbeddedVectors(request.getfixturevalue("tmp_path"))).embed(["x"], Deadline.after(SECONDS))
    else:
        with pytest.raises(ModelMissing, match="'no-such-vectors' is not on the model server"):
            CheckedEmbedder(back_end(model="no-such-vectors")).embed(["x"], Deadline.after(SECONDS))


def test_an_engine_without_a_model_for_embeddings_says_so(tmp_path):
    Address("http://127.0.0.1:9", "key", 1).write(tmp_path / ADDRESS_FILE)
    with pytest.raises(ModelUnavailable, match="runs without its model for embeddings"):
        CheckedEmbedder(EmbeddedVectors(tmp_path)).embed(["x"], Deadline.after(SECONDS))


def test_a_server_that_only_writes_says_where_embeddings_could_come_from(tiny_engine):
    with pytest.raises(ModelRefused, match=r"makes no embeddings\. Ask the operator to set EMBEDDING_URL"):
        CheckedEmbedder(OpenAIVectors(tiny_engine.url, api_key=tiny_engine.api_key)).embed(["x"], Deadline.after(SECONDS))


@pytest.mark.parametrize(("model", "text"), [
    ("far-vectors", "runs in a cloud"), ("embed:cloud", "runs in a cloud"), ("embed:1b-cloud", "runs in a cloud"), ("tiny", "makes no embeddings"),
])
def test_ollama_embeds_with_no_model_that_runs_elsewhere_or_writes(ollama, model, text):
    with pytest.raises(ModelRefused, match=text):
        CheckedEmbedder(OllamaVectors(ollama.url, model=model)).embed(["x"], Deadline.after(SECONDS))
    assert ollama.requests == []


def test_the_first_model_here_that_embeds_is_the_default_of_ollama(ollama):
    ollama.models = {name: ollama.models[name] for name in ("far-vectors:latest", "tiny:latest", "vectors:latest")}
    assert CheckedEmbedder(OllamaVectors(ollama.url)).embed(["x"], Deadline.after(SECONDS)).model.name == "vectors:latest"
    del ollama.models["vectors:latest"]
    with pytest.raises(ModelMissing, match="ollama pull all-minilm"):
        CheckedEmbedder(OllamaVectors(ollama.url)).embed(["x"], Deadline.after(SECONDS))


class Says:
    """A back end that says what it is told to."""

    def __init__(self, *answers, name="m"):
        self.answers, self.name = list(answers), name

    def ask(self, texts, deadline):  # noqa: ARG002 - the port's
        return Answered(self.answers.pop(0), self.name, "")


@pytest.mark.parametrize("vectors", [
    [[math.nan, 1.0]], [[math.inf, 1.0]], [[0.0, 0.0]], [[]], [["1", "2"]], [[True, False]], [[None, 1.0]], [], [[1.0], [1.0]], None, {"0": [1.0]},
    [None],
])
def test_what_is_no_vector_is_an_error_and_never_a_result(vectors):
    with pytest.raises(BadModelOutput, match="EMBEDDING_MODEL"):
        CheckedEmbedder(Says(vectors)).embed(["x"], Deadline.after(SECONDS))


def test_a_vector_of_another_size_than_before_is_refused():
    embedder = CheckedEmbedder(Says([[3.0, 4.0]], [[1.0, 2.0, 3.0]], [[1.0, 0.0], [1.0]]))
    assert embedder.embed(["x"], Deadline.after(SECONDS)).vectors == [[0.6, 0.8]]
    for texts in (["x"], ["x", "y"]):
        with pytest.raises(BadModelOutput):
            embedder.embed(texts, Deadline.after(SECONDS))


def test_a_model_that_changes_between_two_batches_spoils_no_index():
    says = Says([[1.0]], [[1.0]])
    embedder = CheckedEmbedder(says, at_once=1)
    first = says.ask
    says.ask = lambda texts, deadline: first(texts, deadline)._replace(name=f"m{len(says.answers)}")
    with pytest.raises(BadModelOutput):
        embedder.embed(["x", "y"], Deadline.after(SECONDS))
