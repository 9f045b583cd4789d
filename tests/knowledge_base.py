"""Documents, an embedder that needs no model, an index in each back end, and what builds one. Used by tests/knowledge, tests/contract and others."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import re
import uuid
from pathlib import Path

import pytest

from mcp_server.errors import ContextTooLong, ModelUnavailable
from mcp_server.knowledge.access import Policy
from mcp_server.knowledge.building import Builder
from mcp_server.knowledge.documents import Document
from mcp_server.knowledge.ports import VectorModel
from mcp_server.knowledge.searching import SearchableKnowledge
from mcp_server.llm.ports import EmbeddingModel, Embeddings
from mcp_server.storage.knowledge_corpus import KnowledgeCorpus
from mcp_server.storage.knowledge_files import FileIndex
from mcp_server.storage.knowledge_postgresql import PostgresIndex
from tests.servers import PostgresServer

NOW = 1_800_000_000.0
SAME = {"cable": "vpn", "tunnel": "vpn", "passphrase": "password", "salary": "wage"}
"""Words of one meaning: what vectors find and words do not."""


def article(number, title="A title", text="Some text.", **changes):
    return Document(**{"kind": "article", "id": f"id-{number}", "number": number, "title": title, "text": text} | changes)


class WordEmbedder:
    """A vector of the words in a text: near is what shares words, or words of one meaning."""

    def __init__(self, name="words", dimensions=64, longest=None, fails_after=None):
        self.model = EmbeddingModel(name, dimensions, "d1")
        self.longest, self.fails_after = longest, fails_after
        self.texts = []

    def embed(self, texts, deadline):
        assert deadline.left > 0
        if self.fails_after is not None and len(self.texts) + len(texts) > self.fails_after:
            raise ModelUnavailable("The model does not answer.")
        if self.longest and any(len(text) > self.longest for text in texts):
            raise ContextTooLong("Too long.")
        self.texts += texts
        return Embeddings([self._vector(text) for text in texts], self.model)

    def _vector(self, text):
        vector = [1e-6] * self.model.dimensions
        for word in re.findall(r"\w+", text.lower()):
            digest = hashlib.sha256(SAME.get(word, word).encode()).digest()
            vector[int.from_bytes(digest[:4], "big") % self.model.dimensions] += 1.0
        length = math.sqrt(sum(number * number for number in vector))
        return [number / length for number in vector]


class Library:
    """An index, what is in it, and the search over it."""

    def __init__(self, folder, index, now=NOW):
        self.now = now
        self.corpus, self.index = KnowledgeCorpus(folder), index

    def build(self, *documents, embedder=None, policy=None, progress=lambda *_: None):
        self.corpus.put(documents, "test")
        return Builder(self.corpus, self.index, embedder, policy or Policy(), lambda: self.now).build(progress)

    def knowing(self, embedder=None):
        return SearchableKnowledge(self.index, embedder, lambda: self.now)

    def close(self):
        self.index.close()
        self.corpus.close()


@pytest.fixture(scope="session")
def vector_postgres():
    """A real PostgreSQL with pgvector, from a package: Debian 12 has none."""
    server = PostgresServer(Path(importlib.util.find_spec("pgserver").origin).parent / "pginstall" / "bin")
    try:
        server.start()
        server.execute("CREATE DATABASE knowledge_template")
        index = PostgresIndex(server.url_of("knowledge_template"))
        with index.writing(VectorModel("any", 8), NOW) as writer:  # makes the extension and what else is there once
            writer.publish({}, ())
        index.clear()
        index.close()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["files", "postgresql"])
def library(request, tmp_path):
    """In each back end."""
    if request.param == "files":
        opened = Library(tmp_path, FileIndex(tmp_path / "index"))
        yield opened
        opened.close()
        return
    server = request.getfixturevalue("vector_postgres")
    name = f"knowledge_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE knowledge_template")
    opened = Library(tmp_path, PostgresIndex(server.url_of(name)))
    yield opened
    opened.close()
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def files(tmp_path):
    """In files."""
    opened = Library(tmp_path, FileIndex(tmp_path / "index"))
    yield opened
    opened.close()
