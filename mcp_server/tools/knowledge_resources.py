"""Knowledge articles as resources: those that everybody may read are listed; a restricted one is read by those who may, by its number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mcp_server.clock import Clock
from mcp_server.knowledge.documents import ANYBODY, Document, reader_of
from mcp_server.knowledge.ports import Index, Where
from mcp_server.mcp.changes import Changes
from mcp_server.mcp.completion import MOST_VALUES
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.ports import Listings
from mcp_server.mcp.resources import Contents, Resource, ResourceTemplate
from mcp_server.mcp.shown import Annotations

ARTICLE = ResourceTemplate(
    "knowledge://article/{number}", "knowledge_article", "A knowledge article",
    "The text of one article, with what is known of it. search_knowledge finds numbers.", "text/markdown",
    annotations=Annotations(("assistant",), 0.7))
REMEMBERED = 30 * 86400


class ArticleResources:
    """Of an article that is not there, and of one that the caller may not read, the same is said."""

    name = "knowledge"
    quick = True
    templates: Sequence[ResourceTemplate] = (ARTICLE,)
    completes = True

    def __init__(self, index: Index, clock: Clock) -> None:
        self._index, self._clock = index, clock

    def page(self, after: str, most: int) -> Sequence[Resource]:
        number = (ARTICLE.match(after) or {}).get("number", "") if after else ""
        with self._index.reading() as view:
            return [_listed(document) for document in view.page(number, most, self._public)] if view else []

    def has(self, uri: str) -> bool:
        return ARTICLE.match(uri) is not None

    def read(self, call: CallContext, uri: str) -> Sequence[Contents]:
        where = Where("article", reader_of(call.principal), self._clock())
        with self._index.reading() as view:
            document = view and view.find((ARTICLE.match(uri) or {}).get("number", ""), where)
        return [Contents(uri, _text(document), "text/markdown")] if document else []

    def complete(self, template: ResourceTemplate, variable: str, typed: str, given: Mapping[str, str]) -> Sequence[str]:  # noqa: ARG002 the port's
        with self._index.reading() as view:
            return view.numbers(typed, MOST_VALUES + 1, self._public) if view else []

    def digests(self) -> Mapping[str, str]:
        return {}  # changes are told when they happen: Telling

    @property
    def _public(self) -> Where:
        return Where("article", ANYBODY, self._clock())


def telling(index: Index, listings: Listings, changes: Changes, clock: Clock) -> Callable[[], None]:
    """Looked at beside the requests: the first of all workers that sees a new generation tells what changed. Raises StoreUnavailable."""
    seen = ""

    def look() -> None:
        nonlocal seen
        with index.reading() as view:
            generation, changed = (view.state.generation, view.state.changed) if view else ("none", ())
        if generation == seen:
            return
        now = clock()
        if listings.see("knowledge", generation, until=now + REMEMBERED, now=now).first:
            changes.list_changed("resourcesListChanged")
            for number in changed:
                changes.updated(ARTICLE.expand(number=number))
        seen = generation

    return look


def _listed(document: Document) -> Resource:
    return Resource(ARTICLE.expand(number=document.number), document.number, document.title, mime_type="text/markdown")


def _text(document: Document) -> str:
    facts = {"Number": document.number, "Category": document.facts.get("category"), "Knowledge base": document.facts.get("knowledge_base"),
             "Updated": document.updated and f"{document.updated} UTC", "Link": document.url}
    lines = "\n".join(f"- {name}: {value}" for name, value in facts.items() if value)
    return f"# {document.title}\n\n{lines}\n\n{document.text}\n"
