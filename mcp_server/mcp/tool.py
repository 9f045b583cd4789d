"""What a tool is: facts on top and one method. What is advertised comes from the schema that checks the call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from marshmallow import Schema

from mcp_server.errors import DependencyUnavailable, InvalidParams, ToolError
from mcp_server.json_schema import json_schema
from mcp_server.mcp import jsonrpc
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.policies import Policies, Policy
from mcp_server.mcp.shown import Icon, icons_of
from mcp_server.principal import Principal
from mcp_server.validation import load


@dataclass(slots=True)  # not frozen: made for every call, and freezing costs three times as much
class ToolResult:
    """One complete text, the same as an object where the tool declares an output schema. `content`: blocks instead of the text."""

    text: str
    structured: Mapping[str, Any] | None = None
    is_error: bool = False
    content: list[dict[str, Any]] | None = None

    @property
    def on_the_wire(self) -> dict[str, Any]:
        """As `tools/call` answers it."""
        wire: dict[str, Any] = {"content": self.content or [{"type": "text", "text": self.text}]}
        if self.structured is not None:
            wire["structuredContent"] = self.structured
        if self.is_error:
            wire["isError"] = True
        return wire


@dataclass(frozen=True, slots=True)
class Blocks:
    """What a tool returns that has more to show than text: MCP's content blocks, as they go out."""

    blocks: list[dict[str, Any]]


class Tool:
    """One thing that an agent can have done.

    `description` is written for the model that chooses: purpose, exact inputs, what comes back, when not to use it.
    `annotations` are MCP's hints: readOnlyHint, destructiveHint, idempotentHint, openWorldHint. `quick`: it answers in
    milliseconds, so it need not report progress, ask, or be cancelled. `declared_in`: the file of a tool that is not code. `as_task`: whether it
    may go on after its request was answered, for a client that can follow a task. It may then be run again from its start, by another worker.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    scope: ClassVar[str] = "tools:execute"
    input_schema: Schema
    output_schema: Schema | None = None
    annotations: ClassVar[Mapping[str, bool]] = {}
    icons: ClassVar[tuple[Icon, ...]] = ()
    quick: ClassVar[bool] = False
    declared_in: ClassVar[str | None] = None
    as_task: ClassVar[Literal["never", "optional", "required"]] = "never"

    def prepare(self, call: CallContext, *_: Any, **arguments: Any) -> Mapping[str, Any]:  # noqa: ARG002 - for those that need it
        """What has to be asked or decided while the caller waits. Comes back: more arguments for `run`, in what JSON can hold."""
        return {}

    def run(self, call: CallContext, *_: Any, **arguments: Any) -> Any:  # `*_: Any` lets a tool name its own arguments (mypy)
        """Do it. Returns text, Blocks, or what `output_schema` can dump. Raises ToolError or DependencyUnavailable."""
        raise NotImplementedError

    @cached_property
    def definition(self) -> dict[str, Any]:
        """The tool as `tools/list` shows it."""
        definition: dict[str, Any] = {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": json_schema(self.input_schema),
        }
        if self.output_schema is not None:
            definition["outputSchema"] = json_schema(self.output_schema)
        if self.annotations:
            definition["annotations"] = dict(self.annotations)
        if self.icons:
            definition["icons"] = icons_of(self.icons)
        return definition


class ToolRegistry:
    """The tools of this server, in the order in which they are listed. `policies`: what clients may use of them; None: everybody everything."""

    def __init__(self, tools: Iterable[Tool], output_limit: int, policies: Policies | None = None) -> None:
        self._by_name = {tool.name: tool for tool in tools}
        self._output_limit = output_limit
        self._policies = policies
        self._definitions_by_policy: dict[Policy, list[dict[str, Any]]] = {}

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._by_name.values())

    def __getitem__(self, name: str) -> Tool:
        """Raises InvalidParams when there is no such tool."""
        try:
            return self._by_name[name]
        except KeyError:
            raise _unknown(name) from None

    def find(self, name: Any) -> Tool | None:
        return self._by_name.get(name) if isinstance(name, str) else None

    def offered(self, name: str, principal: Principal | None) -> Tool:
        """As the caller sees it: a tool that its policy does not have is one that is not there. Raises InvalidParams and StoreUnavailable."""
        tool = self[name]
        if self._policies is not None and not self._policies.of(principal).admits(name):
            raise _unknown(name)
        return tool

    @cached_property
    def definitions(self) -> list[dict[str, Any]]:
        return [tool.definition for tool in self._by_name.values()]

    def definitions_for(self, principal: Principal | None) -> list[dict[str, Any]]:
        """What the caller may use. Raises StoreUnavailable."""
        if self._policies is None:
            return self.definitions
        policy = self._policies.of(principal)
        if policy not in self._definitions_by_policy:
            self._definitions_by_policy[policy] = [each for each in self.definitions if policy.admits(each["name"])]
        return self._definitions_by_policy[policy]

    @property
    def differs(self) -> bool:
        """Whether callers see different lists."""
        return self._policies is not None

    @property
    def whole(self) -> list[Any]:
        """All that somebody's list can depend on."""
        return [*self.definitions, *(self._policies.written if self._policies is not None else ())]

    def call(self, tool: Tool, call: CallContext, arguments: Mapping[str, Any], prepared: Mapping[str, Any] | None = None) -> ToolResult:
        """Run the tool. What goes wrong in it is a result too: the agent reads the text and can act on it. `prepared`: if that was done before."""
        if self._policies is None:
            return self._call(tool, call, arguments, prepared, self._output_limit)
        try:
            policy = self._policies.of(call.principal)
            call.models = policy.models
            with self._policies.running(policy, call.principal) if prepared is None else nullcontext():
                if prepared is None:  # a task was counted when it was begun
                    self._policies.count(policy, call.principal)
                return self._call(tool, call, arguments, prepared, min(policy.output_limit or self._output_limit, self._output_limit))
        except (ToolError, DependencyUnavailable) as error:
            return ToolResult(_cut(error.message, self._output_limit), is_error=True)

    def prepare(self, tool: Tool, call: CallContext, arguments: Mapping[str, Any]) -> Mapping[str, Any] | ToolResult:
        """The arguments are good, and what `run` gets besides them; or the result that says why it cannot be run."""
        try:
            if self._policies is not None:
                policy = self._policies.of(call.principal)
                call.models = policy.models
                self._policies.count(policy, call.principal)
            return tool.prepare(call, **load(tool.input_schema, arguments, ToolError))
        except (ToolError, DependencyUnavailable) as error:
            return ToolResult(_cut(error.message, self._output_limit), is_error=True)

    @staticmethod
    def _call(tool: Tool, call: CallContext, arguments: Mapping[str, Any], prepared: Mapping[str, Any] | None, limit: int) -> ToolResult:
        try:
            loaded = load(tool.input_schema, arguments, ToolError)
            value = tool.run(call, **loaded, **(tool.prepare(call, **loaded) if prepared is None else prepared))
        except (ToolError, DependencyUnavailable) as error:
            return ToolResult(_cut(error.message, limit), is_error=True)
        if isinstance(value, Blocks):
            return ToolResult("", content=value.blocks)
        if tool.output_schema is None:
            return ToolResult(_cut(str(value), limit))
        structured: dict[str, Any] = tool.output_schema.dump(value)
        return ToolResult(_cut(jsonrpc.dumps(structured).decode(), limit), structured)


def _unknown(name: str) -> InvalidParams:
    return InvalidParams(f"Unknown tool: {name[:64]!r}. Call tools/list for the tools of this server.")


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    mark = f"\n[truncated: {len(text)} characters in all]"
    return text[: limit - len(mark)] + mark
