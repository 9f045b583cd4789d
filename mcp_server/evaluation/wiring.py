"""Where the evaluation meets the index: the documents of the set are searched as an operator's are, in an index of their own."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

from mcp_server.clock import wall_clock
from mcp_server.errors import ModelError
from mcp_server.knowledge.access import Policy
from mcp_server.knowledge.building import Builder
from mcp_server.knowledge.documents import Document
from mcp_server.knowledge.searching import SearchableKnowledge
from mcp_server.llm.ports import Embedder
from mcp_server.storage.open import open_knowledge


class KnowledgeOfTheSet(SearchableKnowledge):
    """An index of these documents and of no others, of words alone where they cannot be embedded. It goes with this object."""

    def __init__(self, documents: Sequence[Document], embedder: Embedder | None) -> None:
        folder = tempfile.mkdtemp(prefix="mcp-gateway-evaluation-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        corpus, index = open_knowledge(None, Path(folder))
        with corpus.exclusively():
            corpus.put(documents, "evaluation")
            try:
                Builder(corpus, index, embedder, Policy(), wall_clock).build(_quietly)
            except ModelError:
                Builder(corpus, index, None, Policy(), wall_clock).build(_quietly)
        corpus.close()
        super().__init__(index, embedder, wall_clock)


def _quietly(_stage: str, _done: int, _all: int) -> None:
    pass
