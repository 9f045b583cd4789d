"""Whether a search finds what answers the question, and which of its two ways finds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mcp_server.deadline import Deadline
from mcp_server.evaluation.examples import Question, Row
from mcp_server.evaluation.running import each
from mcp_server.knowledge.documents import Document, Kind
from mcp_server.knowledge.html_text import text_of
from mcp_server.knowledge.ports import Found, Knowledge

DEPTH = 30
"""How many are asked for: enough that the first ten of either way are among them."""
WAYS = ("lexical", "vectors", "fused")
Ranks = dict[str, list[int | None]]


def documents(articles: Sequence[Row], items: Sequence[Row]) -> list[Document]:
    """Of the files of the set."""
    return [
        *(Document("article", row["sys_id"], row["number"], row["short_description"], text_of(row["text"])[1]) for row in articles),
        *(Document("catalog_item", row["sys_id"], row["sys_id"], row["name"], text_of(row["description"])[1]) for row in items),
    ]


def retrieve(
    knowledge: Knowledge, kind: Kind, questions: Sequence[Question], *, timeout: float = 30, at_once: int = 1,
    tell: Callable[[], None] = lambda: None,
) -> Ranks:
    """For each way the rank of the right document at each question; None where it was not found. Without vectors there is one way only."""

    def ask(question: Question) -> dict[str, int | None]:
        found = knowledge.search(question.query, kind=kind, deadline=Deadline.after(timeout), limit=DEPTH)
        return {way: _rank(found, question, way) for way in WAYS if way != "vectors" or found.method == "lexical+vectors"}

    answered = each(questions, lambda: ask, at_once=at_once, tell=tell)
    return {way: [ranks.get(way) for ranks in answered] for way in WAYS if any(way in ranks for ranks in answered)}


def _rank(found: Found, question: Question, way: str) -> int | None:
    ranks = [
        place if way == "fused" else hit.ranks.get(way)
        for place, hit in enumerate(found.hits, 1) if {hit.document.id, hit.document.number} & set(question.relevant)]
    return min((rank for rank in ranks if rank is not None), default=None)
