"""One run with the real embedding model, fetched and converted as bin/serve does it."""

import pytest

from mcp_server.deadline import Deadline
from mcp_server.llm.embedded import EmbeddedVectors
from mcp_server.llm.embedded_engine import EMBEDDING_MODEL
from mcp_server.llm.embedded_weights import VECTORS, prepare
from mcp_server.llm.embedders import CheckedEmbedder
from tests.engine import TINY, running_engine

ARTICLES = ("Reset a forgotten password", "Replace the toner of a laser printer", "Connect to the company network from home")


@pytest.fixture(scope="module")
def embed(tmp_path_factory, tiny_weights):
    folder = tmp_path_factory.mktemp("minilm")
    weights = prepare(folder, VECTORS)
    try:
        with running_engine(folder, tiny_weights, TINY, weights, EMBEDDING_MODEL):
            yield lambda *texts: CheckedEmbedder(EmbeddedVectors(folder)).embed(texts, Deadline.after(60))
    finally:
        weights.unlink()


@pytest.mark.parametrize(("question", "found"), [
    ("I cannot log in any more", 0), ("The prints are too light", 1), ("VPN does not work at my house", 2),
])
def test_what_means_the_same_in_other_words_lies_nearest(embed, question, found):
    asked = embed(question).vectors[0]
    near = [sum(a * b for a, b in zip(asked, vector, strict=True)) for vector in embed(*ARTICLES).vectors]
    assert near.index(max(near)) == found, near


def test_it_is_the_model_that_it_says_it_is(embed):
    model = embed("x").model
    assert (model.name, model.dimensions) == (EMBEDDING_MODEL, 384)
    assert model.digest
