"""Category, impact, urgency and group of an incident, among what is given: by the model, by similar incidents, and by what categories mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from mcp_server.errors import ModelError, ToolError
from mcp_server.mcp.arguments import Text, TextList
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import Tool
from mcp_server.tools.classification import CONFIDENCES, DESCRIPTIONS, MODEL, NEIGHBOURS, Decision, Evidence, decide
from mcp_server.tools.classification_evidence import Gatherer
from mcp_server.tools.inquiry import Inquiry, and_facts
from mcp_server.tools.parts import READS, Parts
from mcp_server.tools.taxonomy import UNKNOWN, Category

MOST_CHARACTERS_READ = 6000
ANSWER_TOKENS = 320  # twice the longest answer
REASON_CHARACTERS = 160
MOST_CATEGORIES_GIVEN = 40
_NAME = re.compile(r"[^\x00-\x1f]{1,60}")
LEVELS = validate.Range(min=1, max=3)
CATEGORIES = """Choose the category that fits best from this list. If one of the subcategories in brackets clearly fits, write category/subcategory.
{categories}
- unknown: nothing above fits, or the incident is too unclear.
"""
INSTRUCTION = """You classify IT incidents for a service desk.
{categories}
impact: 1 the whole company or a critical service, 2 a department or many people, 3 one person or a few.
urgency: 1 work is stopped now, 2 work is hindered, 3 it can wait.
reason: one short sentence that names the words of the incident which decided.
Answer with one JSON object: reason, category, impact, urgency."""


class ClassifyIncidentInput(Schema):
    short_description = Text(
        required=True, validate=validate.Length(min=1, max=1000),
        metadata={"description": "The incident's short description, such as: VPN drops every ten minutes."},
    )
    description = Text(
        load_default="", validate=validate.Length(max=100_000),
        metadata={"description": f"The incident's description. Of a long one the middle is left out: {MOST_CHARACTERS_READ} characters are read."},
    )
    categories = TextList(
        validate=validate.Length(min=1, max=MOST_CATEGORIES_GIVEN),
        metadata={"description": "Only these categories may be answered, comma separated or as a list. Leave it out for all that this server knows."},
    )


WITHOUT = "Left out when the model did not answer."


class ClassifyIncidentOutput(Schema):
    category = fields.String(required=True, metadata={"description": "Id of the category, or `unknown`."})
    subcategory = fields.String(metadata={"description": "Id of the subcategory, when one clearly fits."})
    impact = fields.Integer(validate=LEVELS, metadata={"description": f"1 high, 2 medium, 3 low. {WITHOUT}"})
    urgency = fields.Integer(validate=LEVELS, metadata={"description": f"1 high, 2 medium, 3 low. {WITHOUT}"})
    priority = fields.Integer(
        validate=validate.Range(min=1, max=5),
        metadata={"description": f"1 critical to 5 planning. Looked up from impact and urgency, not guessed. {WITHOUT}"},
    )
    assignment_group = fields.String(metadata={"description": "The group that this server's taxonomy gives to the category."})
    confidence = fields.String(
        required=True, validate=validate.OneOf(CONFIDENCES),
        metadata={"description": "`high` only when independent methods agree. Have a person look at the others."},
    )
    probability = fields.Float(
        required=True, validate=validate.Range(0, 1),
        metadata={"description": "The share of proposals like this one whose category is right, as far as it was measured."})
    review = fields.Boolean(required=True, metadata={"description": "True: have a person look at it before it is used."})
    reason = fields.String(required=True, metadata={"description": "Why, in the model's words."})
    method = fields.String(required=True, metadata={"description": f"What it rests on: {MODEL}, {NEIGHBOURS}, {DESCRIPTIONS}, joined by +."})
    similar_incidents = fields.List(fields.String(), metadata={"description": "Numbers of the labelled incidents that were taken into account."})


class ClassifyIncident(Tool):
    name = "classify_incident"
    title = "Classify an incident"
    description = (
        "Proposes category, subcategory, impact, urgency, priority and assignment group for one IT incident, with a reason and a confidence. "
        "Inputs: `short_description` (required), `description`, and optionally `categories` to choose from. "
        "Comes back: an object whose ids are from the list given to the model; `unknown` when nothing fits. "
        "It is a proposal: it changes no record; `review` says when a person should look. Use it for one new or wrongly sorted incident. "
        "Do not use it to summarise, to search for solutions, or for changes and problems."
    )
    input_schema = ClassifyIncidentInput()
    output_schema = and_facts(ClassifyIncidentOutput)
    annotations: ClassVar[Mapping[str, bool]] = READS
    as_task = "optional"

    def __init__(self, parts: Parts, observe: Callable[[Evidence], None] | None = None) -> None:
        """`observe` is shown what each decision rests on: an evaluation measures the opinions one by one."""
        self._parts = parts
        self._gatherer = Gatherer(parts)
        self._observe = observe

    def run(self, call: CallContext, *, short_description: str, description: str, categories: list[str] | None = None) -> dict[str, Any]:
        offered = self._offered(categories)
        inquiry = Inquiry(call, self._parts.model, self._parts.redact)
        incident = inquiry.data(f"{short_description}\n\n{description}".strip(), MOST_CHARACTERS_READ, "The incident")
        seen = self._gatherer.gather(call, incident, offered)
        offered = seen.most_likely(offered)
        choices = _choices(offered)
        probabilities = self._gatherer.probabilities(call, inquiry, incident, offered, seen)
        said = self._ask(inquiry, incident, offered, tuple(choices))
        stated = choices[said["category"]] if said else None
        evidence = Evidence(
            (*(category.id for category in offered), UNKNOWN), UNKNOWN, probabilities, stated[0].id if stated else None, seen.neighbours,
            seen.similarities, inquiry.flagged)
        if self._observe is not None:
            self._observe(evidence)
        decision = decide(evidence, self._parts.parameters)
        if decision is None:
            raise ToolError(inquiry.facts["problem"])
        similar = {"similar_incidents": list(seen.numbers)} if seen.numbers else {}
        return inquiry.restored_all(_proposal(decision, said, stated, offered)) | similar | inquiry.facts

    def _ask(self, inquiry: Inquiry, incident: str, offered: Sequence[Category], choices: tuple[str, ...]) -> dict[str, Any] | None:
        """What the model says; None, and why, when it does not answer as it must."""
        instruction = INSTRUCTION.format(categories=CATEGORIES.format(categories="\n".join(map(_line, offered))))
        prompt = inquiry.prompt(instruction, inquiry.around(incident), max_tokens=ANSWER_TOKENS, version=INSTRUCTION + CATEGORIES)
        try:
            return inquiry.ask(prompt, _answer_schema(choices))
        except ModelError as error:
            inquiry.without_the_model(error.message)
            return None

    def _offered(self, wanted: list[str] | None) -> tuple[Category, ...]:
        """A category that the caller names and the taxonomy knows keeps its description, subcategories and group."""
        if wanted is None:
            return self._parts.taxonomy.categories
        names = dict.fromkeys(name.strip() for name in wanted)
        if any(not _NAME.fullmatch(name) for name in names):
            raise ToolError("categories: each must be one line of at most 60 characters.")
        return tuple(self._parts.taxonomy.find(name) or Category(name, "") for name in names if name != UNKNOWN)


def priority_of(impact: int, urgency: int) -> int:
    """ITIL's matrix, as ServiceNow ships it: 1/1 is critical, 3/3 is planning."""
    return impact + urgency - 1


def _choices(offered: Sequence[Category]) -> dict[str, tuple[Category, str | None]]:
    """Category and subcategory are one choice, so that they fit each other."""
    choices: dict[str, tuple[Category, str | None]] = {UNKNOWN: (Category(UNKNOWN, ""), None)}
    for category in offered:
        choices[category.id] = (category, None)
        choices |= {f"{category.id}/{subcategory}": (category, subcategory) for subcategory in category.subcategories}
    return choices


def _answer_schema(choices: tuple[str, ...]) -> Schema:
    """What the model may answer. `reason` comes first: a model that has said why chooses better."""
    return Schema.from_dict({
        "reason": fields.String(required=True, validate=validate.Length(max=REASON_CHARACTERS)),
        "category": fields.String(required=True, validate=validate.OneOf(choices)),
        "impact": fields.Integer(required=True, strict=True, validate=LEVELS),
        "urgency": fields.Integer(required=True, strict=True, validate=LEVELS),
    })()


def _line(category: Category) -> str:
    subcategories = f" [{', '.join(category.subcategories)}]" if category.subcategories else ""
    return f"- {category.id}{subcategories}: {category.description}" if category.description else f"- {category.id}"


def _proposal(
    decision: Decision, said: Mapping[str, Any] | None, stated: tuple[Category, str | None] | None, offered: Sequence[Category],
) -> dict[str, Any]:
    """The decision, and what follows from it. What the model said of another category than was decided on is not repeated."""
    category = next((category for category in offered if category.id == decision.label), None)
    proposal: dict[str, Any] = {
        "category": decision.label, "confidence": decision.confidence, "probability": round(decision.probability, 2), "review": decision.review,
        "method": decision.method}
    if category is not None and category.assignment_group:
        proposal["assignment_group"] = category.assignment_group
    if said is None or stated is None:
        return proposal | {"review": True, "reason": "The model gave no reason: the category is what was found without one."}
    proposal |= {"impact": said["impact"], "urgency": said["urgency"], "priority": priority_of(said["impact"], said["urgency"])}
    if stated[0].id != decision.label:
        return proposal | {"reason": f"The methods do not agree: the model said {stated[0].id}, and together they point to {decision.label}."}
    return proposal | {"reason": said["reason"]} | ({"subcategory": stated[1]} if stated[1] else {})
