"""Category, impact, urgency and group of an incident, chosen by the model among what it is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from mcp_server.errors import ToolError
from mcp_server.llm.ports import LanguageModel, Message, Prompt
from mcp_server.llm.structured import ask_structured
from mcp_server.llm.untrusted import Fence
from mcp_server.mcp.arguments import Text, TextList
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import Tool
from mcp_server.tools.taxonomy import UNKNOWN, Category, Taxonomy

MOST_CHARACTERS_READ = 6000
ANSWER_TOKENS = 320  # twice the longest answer
SEED = 20
REASON_CHARACTERS = 160
_NAME = re.compile(r"[^\x00-\x1f]{1,60}")
CONFIDENCES = ("low", "medium", "high")
LEVELS = validate.Range(min=1, max=3)
INSTRUCTION = """You classify IT incidents for a service desk.
Choose the category that fits best from this list. If one of the subcategories in brackets clearly fits, write category/subcategory.
{categories}
- unknown: nothing above fits, or the incident is too unclear.

impact: 1 the whole company or a critical service, 2 a department or many people, 3 one person or a few.
urgency: 1 work is stopped now, 2 work is hindered, 3 it can wait.
confidence: low, medium or high.
reason: one short sentence that names the words of the incident which decided.
Answer with one JSON object: reason, category, impact, urgency, confidence.
{rule}"""


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
        validate=validate.Length(min=1, max=40),
        metadata={"description": "Only these categories may be answered, comma separated or as a list. Leave it out for all that this server knows."},
    )


class ClassifyIncidentOutput(Schema):
    category = fields.String(required=True, metadata={"description": "Id of the category, or `unknown`."})
    subcategory = fields.String(metadata={"description": "Id of the subcategory, when one clearly fits."})
    impact = fields.Integer(required=True, validate=LEVELS, metadata={"description": "1 high, 2 medium, 3 low."})
    urgency = fields.Integer(required=True, validate=LEVELS, metadata={"description": "1 high, 2 medium, 3 low."})
    priority = fields.Integer(
        required=True, validate=validate.Range(min=1, max=5),
        metadata={"description": "1 critical to 5 planning. Looked up from impact and urgency, not guessed."},
    )
    assignment_group = fields.String(metadata={"description": "The group that this server's taxonomy gives to the category."})
    confidence = fields.String(
        required=True, validate=validate.OneOf(CONFIDENCES),
        metadata={"description": "The model's own estimate; not measured. Have a person look at `low`."},
    )
    reason = fields.String(required=True, metadata={"description": "Why, in the model's words."})
    model = fields.String(required=True, metadata={"description": "The model that answered."})
    back_end = fields.String(required=True, metadata={"description": "What it runs on. `embedded` is an evaluation model: do not rely on it."})


class ClassifyIncident(Tool):
    name = "classify_incident"
    title = "Classify an incident"
    description = (
        "Proposes category, subcategory, impact, urgency, priority and assignment group for one IT incident, with a reason and a confidence. "
        "Inputs: `short_description` (required), `description`, and optionally `categories` to choose from. "
        "Comes back: an object whose ids are from the list given to the model; `unknown` when nothing fits. "
        "It is a proposal by a language model: it changes no record. Use it for one new or wrongly sorted incident. "
        "Do not use it to summarise, to search for solutions, or for changes and problems."
    )
    input_schema = ClassifyIncidentInput()
    output_schema = ClassifyIncidentOutput()
    annotations: ClassVar[Mapping[str, bool]] = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
    as_task = "optional"

    def __init__(self, model: LanguageModel, taxonomy: Taxonomy) -> None:
        self._model = model
        self._taxonomy = taxonomy

    def run(self, call: CallContext, *, short_description: str, description: str, categories: list[str] | None = None) -> dict[str, Any]:
        offered = self._offered(categories)
        if len(short_description) + len(description) > MOST_CHARACTERS_READ:
            call.log("notice", f"The incident is longer than {MOST_CHARACTERS_READ} characters: its middle is left out.")
        prompt = Prompt(_messages(offered, short_description, description), max_tokens=ANSWER_TOKENS, temperature=0.0, seed=SEED)
        choices = _choices(offered)
        structured = ask_structured(self._model, prompt, _answer_schema(tuple(choices)), call.deadline, call.counting_tokens())
        answered_by = {"model": structured.answer.model, "back_end": structured.answer.back_end}
        return {**structured.values, **_chosen(structured.values, choices), **answered_by}

    def _offered(self, wanted: list[str] | None) -> tuple[Category, ...]:
        """A category that the caller names and the taxonomy knows keeps its description, subcategories and group."""
        if wanted is None:
            return self._taxonomy.categories
        names = dict.fromkeys(name.strip() for name in wanted)
        if any(not _NAME.fullmatch(name) for name in names):
            raise ToolError("categories: each must be one line of at most 60 characters.")
        return tuple(self._taxonomy.find(name) or Category(name, "") for name in names if name != UNKNOWN)


def priority_of(impact: int, urgency: int) -> int:
    """ITIL's matrix, as ServiceNow ships it: 1/1 is critical, 3/3 is planning."""
    return impact + urgency - 1


def _choices(offered: tuple[Category, ...]) -> dict[str, tuple[Category, str | None]]:
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
        "confidence": fields.String(required=True, validate=validate.OneOf(CONFIDENCES)),
    })()


def _messages(offered: tuple[Category, ...], short_description: str, description: str) -> list[Message]:
    """The taxonomy first and the random marker after it, so that the model server can keep what it has read of the former."""
    fence = Fence()
    system = INSTRUCTION.format(categories="\n".join(_line(category) for category in offered), rule=fence.rule)
    return [Message("system", system), Message("user", fence.around(f"{short_description}\n\n{description}".strip(), MOST_CHARACTERS_READ))]


def _line(category: Category) -> str:
    subcategories = f" [{', '.join(category.subcategories)}]" if category.subcategories else ""
    return f"- {category.id}{subcategories}: {category.description}" if category.description else f"- {category.id}"


def _chosen(values: Mapping[str, Any], choices: Mapping[str, tuple[Category, str | None]]) -> dict[str, Any]:
    """What follows from the model's choice without asking it."""
    category, subcategory = choices[values["category"]]
    chosen: dict[str, Any] = {"category": category.id, "priority": priority_of(values["impact"], values["urgency"])}
    if subcategory:
        chosen["subcategory"] = subcategory
    if category.assignment_group:
        chosen["assignment_group"] = category.assignment_group
    return chosen
