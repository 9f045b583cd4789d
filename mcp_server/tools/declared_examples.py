"""Whether the model answers the examples of a declared tool as its file says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mcp_server.clock import Elapsed, elapsed
from mcp_server.errors import DependencyUnavailable, ToolError
from mcp_server.mcp.context import CallContext
from mcp_server.tools.declared import DeclaredTool, Example

COMPARED = frozenset({"whole", "number", "flag", "choice"})
"""Types of which an answer has one value; a text may be said in many ways."""


@dataclass(frozen=True, slots=True)
class Tried:
    """`number`: of the example, from 1. `problem` is empty when the answer is good."""

    tool: str
    number: int
    problem: str
    seconds: float


def try_examples(tool: DeclaredTool, new_call: Callable[[], CallContext], clock: Elapsed = elapsed) -> Iterator[Tried]:
    """Each is asked without itself among the examples that the model is shown."""
    examples = tool.declared.examples
    for number, example in enumerate(examples, 1):
        began = clock()
        problem = _problem(tool, new_call(), example, (*examples[: number - 1], *examples[number:]))
        yield Tried(tool.name, number, problem, clock() - began)


def _problem(tool: DeclaredTool, call: CallContext, example: Example, others: tuple[Example, ...]) -> str:
    try:
        answer = tool.answer(call, example.arguments, others)
    except (ToolError, DependencyUnavailable) as error:
        return f"{error.message} ({error.detail})" if error.detail else error.message
    return _difference(tool, answer, example.answer) if isinstance(answer, dict) else ""


def _difference(tool: DeclaredTool, answer: dict[str, Any], wanted: dict[str, Any]) -> str:
    outputs = tool.declared.facts["output"]
    other = [name for name, facts in outputs.items() if facts["type"] in COMPARED and answer.get(name) != wanted.get(name)]
    return ". ".join(f"{name} is {answer.get(name)!r}, not {wanted.get(name)!r}" for name in other)
