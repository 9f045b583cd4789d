"""classify_incident itself, asked about labelled incidents: its answers, and what each of its opinions alone would have answered."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mcp_server.deadline import Deadline
from mcp_server.evaluation.examples import Attack, Example
from mcp_server.evaluation.metrics import Answered, Attacked
from mcp_server.evaluation.running import each
from mcp_server.evaluation.wiring import KnowledgeOfTheSet
from mcp_server.knowledge.documents import Document
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import ToolRegistry
from mcp_server.tools.classification import Evidence, Parameters, decide
from mcp_server.tools.classify_incident import ClassifyIncident
from mcp_server.tools.parts import Parts
from mcp_server.tools.taxonomy import UNKNOWN

OUTPUT_LIMIT = 100_000
COMBINED = "combined"
OPINIONS: Mapping[str, Callable[[Evidence], Evidence]] = {
    "model, probabilities": lambda all_of_it: dataclasses.replace(all_of_it, stated=None, neighbours=(), similarities={}),
    "model, its answer": lambda all_of_it: dataclasses.replace(all_of_it, probabilities=None, neighbours=(), similarities={}),
    "similar incidents": lambda all_of_it: dataclasses.replace(all_of_it, probabilities=None, stated=None, similarities={}),
    "label descriptions": lambda all_of_it: dataclasses.replace(all_of_it, probabilities=None, stated=None, neighbours=()),
    COMBINED: lambda all_of_it: all_of_it,
}


@dataclass(frozen=True, slots=True)
class Observed:
    """An answer of the tool and what it rests on; None when it did not come so far."""

    answer: Answered
    evidence: Evidence | None


class Classifying:
    """Of `known` the train part is what the tool may look at, in place of the operator's incidents. `model` None: the default one."""

    def __init__(self, parts: Parts, known: Sequence[Example], *, model: str | None = None, timeout: float = 90, at_once: int = 1) -> None:
        documents = [
            Document("incident", example.id, example.id, example.short_description, example.description, {"category": example.category})
            for example in known if example.split == "train"]
        self._parts = dataclasses.replace(parts, knowledge=KnowledgeOfTheSet(documents, parts.embedder) if documents else None)
        self._models = (model,) if model else ()
        self._timeout = timeout
        self._at_once = at_once
        self._labels = {UNKNOWN, *(category.id for category in parts.taxonomy.categories)}

    def observe(self, examples: Sequence[Example], tell: Callable[[], None] = lambda: None) -> list[Observed]:
        return each(examples, self._worker, at_once=self._at_once, tell=tell)

    def attack(self, attacks: Sequence[Attack], tell: Callable[[], None] = lambda: None) -> list[Attacked]:
        """Each incident is asked about twice."""
        both = [side for attack in attacks for side in (attack.clean, attack.attacked)]
        answers = [observed.answer for observed in self.observe(both, tell)]
        return [
            Attacked(attack.kind, attack.target, clean, attacked)
            for attack, clean, attacked in zip(attacks, answers[::2], answers[1::2], strict=True)]

    def _worker(self) -> Callable[[Example], Observed]:
        evidence: list[Evidence] = []
        tool = ClassifyIncident(self._parts, evidence.append)
        registry = ToolRegistry((tool,), OUTPUT_LIMIT)

        def ask(example: Example) -> Observed:
            evidence.clear()
            call = CallContext(None, Deadline.after(self._timeout), models=self._models)
            arguments = {"short_description": example.short_description, "description": example.description}
            try:
                result = registry.call(tool, call, arguments)
            except Exception as error:  # noqa: BLE001 - a crash is a result: the gate fails, and the rest is still measured
                return Observed(Answered(example.category, None, error=f"crash: {type(error).__name__}: {error}"), None)
            if result.is_error or result.structured is None:
                return Observed(Answered(example.category, None, error=result.text), None)
            answer = self._checked(example, result.structured, tool)
            return Observed(answer, evidence[0] if evidence else None)

        return ask

    def _checked(self, example: Example, said: Mapping[str, object], tool: ClassifyIncident) -> Answered:
        label = str(said.get("category"))
        if problems := tool.output_schema.validate(dict(said)) if tool.output_schema else {}:
            return Answered(example.category, None, error=f"not as its schema says: {problems}", outside=label not in self._labels)
        flags = said.get("flags")
        return Answered(
            example.category, label, float(str(said["probability"])), abstained=label == UNKNOWN, review=bool(said["review"]),
            degraded=bool(said.get("degraded")), flagged=isinstance(flags, list) and "instructions" in flags, outside=label not in self._labels)


def alone(opinion: str, observed: Sequence[Observed], parameters: Parameters) -> list[Answered]:
    """What the decision would have been with this opinion only."""
    answers = []
    for each_of_them in observed:
        right = each_of_them.answer.right
        decision = decide(OPINIONS[opinion](each_of_them.evidence), parameters) if each_of_them.evidence is not None else None
        if decision is None:
            answers.append(Answered(right, None, error="no opinion"))
        else:
            answers.append(Answered(right, decision.label, decision.probability, abstained=decision.label == UNKNOWN, review=decision.review))
    return answers
