"""One labelled incident of each category: a model that has seen how the question is answered answers it with a category's name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence

from mcp_server.errors import DependencyUnavailable
from mcp_server.knowledge.documents import Reader, reader_of
from mcp_server.knowledge.ports import Knowledge
from mcp_server.llm.instructions import looks_like_instructions
from mcp_server.llm.redaction import Level, Redaction
from mcp_server.llm.untrusted import hides_text, plain, shortened
from mcp_server.mcp.context import CallContext
from mcp_server.tools.taxonomy import Category

Examples = tuple[tuple[str, str], ...]
"""Text and category."""

CHARACTERS = 300
TRIED = 3
"""Incidents of a category that are looked at, until one is not an attack."""
KEPT = 32


class LabelledExamples:
    """The same for the same index, reader and categories: what comes before the question is then read by the model once, not at each call."""

    def __init__(self, knowledge: Knowledge | None, redact: Level) -> None:
        self._knowledge = knowledge
        self._redact = redact
        self._kept: OrderedDict[Hashable, Examples] = OrderedDict()

    def of(self, call: CallContext, generation: str, offered: Sequence[Category]) -> Examples:
        """Of each category the incident that is nearest to its description; none when most categories have none. Never raises."""
        reader = reader_of(call.principal)
        key = (generation, reader, tuple(offered))
        if key not in self._kept:
            try:
                found = tuple(example for category in offered if (example := self._example(call, reader, category)) is not None)
            except DependencyUnavailable:
                return ()
            self._kept[key] = found if len(found) * 2 > len(offered) else ()
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _example(self, call: CallContext, reader: Reader, category: Category) -> tuple[str, str] | None:
        if self._knowledge is None or not category.description:  # one that the caller made up: nothing is labelled so
            return None
        found = self._knowledge.search(
            f"{category.id}: {category.description}", kind="incident", deadline=call.deadline, limit=TRIED, filters={"category": category.id},
            reader=reader)
        for hit in found.hits:
            text = f"{hit.document.title}\n\n{hit.document.text}".strip()
            if hit.document.facts.get("category") == category.id and not looks_like_instructions(text) and not hides_text(text):
                return shortened(Redaction(self._redact).redacted(plain(text)), CHARACTERS), category.id
        return None
