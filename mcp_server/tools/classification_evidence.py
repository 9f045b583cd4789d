"""What speaks for each category: labelled incidents that are similar, descriptions that are near, and the model's probabilities."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mcp_server.errors import ContextTooLong, DependencyUnavailable, ModelError
from mcp_server.knowledge.documents import reader_of
from mcp_server.llm.ports import MOST_LABELS
from mcp_server.llm.untrusted import shortened
from mcp_server.mcp.context import CallContext
from mcp_server.tools.inquiry import Inquiry
from mcp_server.tools.labelled_examples import LabelledExamples
from mcp_server.tools.parts import Parts
from mcp_server.tools.taxonomy import UNKNOWN, Category

NEIGHBOURS, LOOKED_AT = 8, 24
"""Of those that a search finds the most similar have a vote: its order also counts words that they share."""
ALL_ASKED = 40
"""Up to so many categories are shown to the model; of more the most likely."""
FEW = 10
COMPARED = (1000, 300)
"""Characters of an incident that are embedded, or compared with examples: small models read 256 tokens; the second when even that is too long."""
LEXICAL_SHARE = 0.6
"""What the rank of an incident found by words alone is worth as a similarity."""
QUESTION = """You classify IT incidents for a service desk. Which category fits the incident best?
{categories}
- unknown: nothing above fits, or the incident is too unclear."""


@dataclass(frozen=True, slots=True)
class Seen:
    """`numbers`: of the labelled incidents; `generation`: of their index. `words`: how many words each category shares with the incident."""

    neighbours: tuple[tuple[str, float], ...] = ()
    numbers: tuple[str, ...] = ()
    similarities: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, int] = field(default_factory=dict)
    generation: str = ""

    def most_likely(self, offered: Sequence[Category], asked: int = ALL_ASKED) -> tuple[Category, ...]:
        """All of them, or if they are many the few that something speaks for, in the order in which they were."""
        if len(offered) <= asked:
            return tuple(offered)
        votes: dict[str, float] = {}
        for label, similarity in self.neighbours:
            votes[label] = votes.get(label, 0.0) + similarity
        likely = sorted(offered, key=lambda category: (
            -votes.get(category.id, 0.0) - self.similarities.get(category.id, 0.0), -self.words.get(category.id, 0)))[:FEW]
        return tuple(category for category in offered if category in likely)


class Gatherer:
    """Keeps the vectors of the descriptions, which change only with the taxonomy."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._examples = LabelledExamples(parts.knowledge, parts.redact)
        self._vectors: dict[tuple[Any, ...], Sequence[Sequence[float]]] = {}

    def gather(self, call: CallContext, incident: str, offered: Sequence[Category]) -> Seen:
        """Whatever of it can be had. Never raises: one opinion less is no failure."""
        neighbours, numbers, generation = self._neighbours(call, incident, {category.id for category in offered})
        return Seen(neighbours, numbers, self._similarities(call, incident, offered), _shared_words(incident, offered), generation)

    def probabilities(
        self, call: CallContext, inquiry: Inquiry, incident: str, offered: Sequence[Category], seen: Seen,
    ) -> Mapping[str, float] | None:
        """The model's, measured at its first token; None where it tells none."""
        if len(offered) >= MOST_LABELS:  # `unknown` is one more
            return None
        question = QUESTION.format(categories="\n".join(f"- {category.id}: {category.description}" for category in offered))
        half = replace(call.deadline, at=call.deadline.at - call.deadline.left / 2)  # the other half is for the reason
        examples = self._examples.of(call, seen.generation, offered)
        for shown in dict.fromkeys((examples, ())):  # none where they leave no room
            prompt = inquiry.prompt_by_example(question, shown, shortened(incident, COMPARED[0])) if shown else inquiry.prompt(
                question, inquiry.around(incident), max_tokens=1, version="")
            try:
                return self._parts.model.label_probabilities(prompt, [*(category.id for category in offered), UNKNOWN], half)
            except ContextTooLong:
                continue
            except ModelError:
                return None
        return None

    def _neighbours(self, call: CallContext, incident: str, labels: set[str]) -> tuple[tuple[tuple[str, float], ...], tuple[str, ...], str]:
        if self._parts.knowledge is None:
            return (), (), ""
        try:
            found = self._parts.knowledge.search(
                shortened(incident, COMPARED[0]), kind="incident", deadline=call.deadline, limit=LOOKED_AT, reader=reader_of(call.principal))
        except DependencyUnavailable:
            return (), (), ""
        votes = [
            (hit.similarity if hit.similarity is not None else LEXICAL_SHARE * hit.score, hit.document)
            for hit in found.hits if hit.document.facts.get("category") in labels]
        nearest = sorted(votes, key=lambda vote: -vote[0])[:NEIGHBOURS]
        return (
            tuple((document.facts["category"], similarity) for similarity, document in nearest), tuple(document.number for _, document in nearest),
            found.generation)

    def _similarities(self, call: CallContext, incident: str, offered: Sequence[Category]) -> dict[str, float]:
        """The cosine to each description. Of a category that a caller made up there is only the name."""
        if self._parts.embedder is None:
            return {}
        try:
            by_length = self._embedded(call, incident, offered)
        except ModelError:
            return {}
        return {} if by_length is None else by_length

    def _embedded(self, call: CallContext, incident: str, offered: Sequence[Category]) -> dict[str, float] | None:
        embedder = self._parts.embedder
        assert embedder is not None  # noqa: S101 - the caller asked
        for most in COMPARED:
            try:
                answered = embedder.embed([shortened(incident, most)], call.deadline)
            except ContextTooLong:
                continue
            described = tuple(f"{category.id}: {category.description}" if category.description else category.id for category in offered)
            key = (answered.model, described)
            if key not in self._vectors:
                labels = embedder.embed(described, call.deadline)
                if labels.model != answered.model:
                    return None
                self._vectors = {key: labels.vectors}  # of the last list alone: callers may bring their own
            [vector] = answered.vectors
            return {category.id: _dot(vector, of_it) for category, of_it in zip(offered, self._vectors[key], strict=True)}
        return None


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _shared_words(incident: str, offered: Sequence[Category]) -> dict[str, int]:
    said = _words(incident)
    return {category.id: len(said & _words(f"{category.id} {category.description} {' '.join(category.subcategories)}")) for category in offered}


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"[^\W_]+", text.casefold()) if len(word) > 2}  # noqa: PLR2004
