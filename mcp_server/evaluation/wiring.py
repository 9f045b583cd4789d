"""Where the evaluation meets the rest of the server: what is searched, and how HTML becomes text."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from mcp_server.evaluation.memory import MemoryKnowledge
from mcp_server.knowledge.documents import Document
from mcp_server.knowledge.ports import Knowledge
from mcp_server.llm.ports import Embedder

_TAG = re.compile(r"<[^>]+>")


def open_search(documents: Sequence[Document], embedder: Embedder | None) -> Knowledge:
    """An index of these documents and of no others, beside the operator's."""
    return MemoryKnowledge(documents, embedder)


def text_of(markup: str) -> str:
    return html.unescape(_TAG.sub(" ", markup)).strip()
