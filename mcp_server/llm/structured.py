"""Answers in a given form: asked for, checked, repaired once, never invented."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import orjson
from marshmallow import Schema, ValidationError

from mcp_server.deadline import Deadline
from mcp_server.errors import BadModelOutput
from mcp_server.json_schema import json_schema
from mcp_server.llm.ports import Answer, LanguageModel, Message, OnToken, Prompt
from mcp_server.llm.untrusted import plain
from mcp_server.validation import in_words

_FENCE = re.compile(r"\A\s*```(?:json)?\s*(.*?)\s*```\s*\Z", re.DOTALL)
SHOWN_CHARACTERS = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class StructuredAnswer:
    """`values` satisfy the schema. `answer` is what they were read from."""

    values: dict[str, Any]
    answer: Answer


def ask_structured(model: LanguageModel, prompt: Prompt, schema: Schema, deadline: Deadline, on_token: OnToken | None = None) -> StructuredAnswer:
    """Ask for an object as `schema` describes it.

    The model server holds the model to the JSON Schema; the answer is checked against `schema` all the same, since not
    every model is held. Asks a second time, with what was wrong, if as much time is left as the first try took.
    Raises a ModelError; BadModelOutput when both answers do not do.
    """
    prompt = dataclasses.replace(prompt, schema=json_schema(schema))
    at_first = deadline.left
    answer = model.answer(prompt, deadline, on_token)
    try:
        return StructuredAnswer(_read(answer, schema), answer)
    except _Violation as violation:
        if deadline.left < at_first - deadline.left:
            raise _bad(violation) from None
        prompt = _with_objection(prompt, answer, violation)
    answer = model.answer(prompt, deadline, on_token)
    try:
        return StructuredAnswer(_read(answer, schema), answer)
    except _Violation as violation:
        raise _bad(violation) from None


class _Violation(Exception):
    """What is wrong with an answer, in words."""


def _read(answer: Answer, schema: Schema) -> dict[str, Any]:
    if not answer.complete:
        raise _Violation("It was cut off: it must be shorter.")
    fenced = _FENCE.match(answer.text)
    try:
        values: dict[str, Any] = schema.load(orjson.loads(fenced[1] if fenced else answer.text))
    except orjson.JSONDecodeError:
        raise _Violation("It is not JSON.") from None
    except ValidationError as error:
        raise _Violation(in_words(error)) from None
    return values


def _with_objection(prompt: Prompt, answer: Answer, violation: _Violation) -> Prompt:
    """The same question with what was wrong, and another seed: the same one could give the same answer.

    What the model wrote may repeat what somebody planted, so nothing in it may pass for the end of a message.
    """
    objection = f"That answer cannot be used. {plain(str(violation))} Answer again, with the JSON object alone."
    messages = [*prompt.messages, Message("assistant", plain(answer.text)[:SHOWN_CHARACTERS]), Message("user", objection)]
    return dataclasses.replace(prompt, messages=messages, seed=None if prompt.seed is None else prompt.seed + 1)


def _bad(violation: _Violation) -> BadModelOutput:
    return BadModelOutput("The model's answer cannot be used. Try again, or ask for another model.", detail=str(violation))
