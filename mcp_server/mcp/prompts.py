"""Prompts: texts that a person chooses in the client, with blanks to fill in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mcp_server.errors import InvalidParams, ToolError
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.shown import Icon, icons_of, told

LONGEST_ARGUMENT = 100_000


@dataclass(frozen=True, slots=True)
class PromptArgument:
    """A blank to fill in. Its value is always text."""

    name: str
    description: str | None = None
    required: bool = False
    title: str | None = None

    @property
    def definition(self) -> dict[str, Any]:
        return told(name=self.name, title=self.title, description=self.description) | {"required": self.required}


class Prompt:
    """Facts on top and one method, as a tool. `quick`: it asks the client nothing. `completes`: it has values for an argument."""

    name: str
    title: str | None = None
    description: str
    arguments: Sequence[PromptArgument] = ()
    icons: tuple[Icon, ...] = ()
    quick: bool = True
    completes: bool = False

    def messages(self, call: CallContext, *_: Any, **arguments: Any) -> Sequence[Mapping[str, Any]]:
        """The messages as they go out; `say` makes one of text. Arguments are text. Raises ToolError, and InvalidParams for values that do not do."""
        raise NotImplementedError

    def complete(self, argument: str, typed: str, given: Mapping[str, str]) -> Sequence[str]:  # noqa: ARG002 for the subclasses
        """The values that what is typed can become. `given`: arguments that are known already."""
        return ()

    @cached_property
    def definition(self) -> dict[str, Any]:
        """The prompt as `prompts/list` shows it."""
        return told(
            name=self.name, title=self.title, description=self.description, icons=icons_of(self.icons),
            arguments=[argument.definition for argument in self.arguments])


def say(role: str, text: str) -> dict[str, Any]:
    """A message of text. `role`: user or assistant."""
    return {"role": role, "content": {"type": "text", "text": text}}


class PromptRegistry:
    """The prompts of this server, in the order in which they are listed."""

    def __init__(self, prompts: Iterable[Prompt] = ()) -> None:
        self._by_name = {prompt.name: prompt for prompt in prompts}

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def __getitem__(self, name: str) -> Prompt:
        """Raises InvalidParams when there is no such prompt."""
        try:
            return self._by_name[name]
        except KeyError:
            raise InvalidParams(f"Unknown prompt: {name[:64]!r}. Call prompts/list for the prompts of this server.") from None

    def find(self, name: Any) -> Prompt | None:
        return self._by_name.get(name) if isinstance(name, str) else None

    @property
    def completes(self) -> bool:
        return any(prompt.completes for prompt in self._by_name.values())

    @cached_property
    def definitions(self) -> list[dict[str, Any]]:
        return [prompt.definition for prompt in self._by_name.values()]

    def get(self, prompt: Prompt, call: CallContext, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The prompt with its blanks filled in. Raises InvalidParams for arguments that do not do."""
        _check(prompt, arguments)
        try:
            messages = prompt.messages(call, **arguments)
        except ToolError as error:
            raise InvalidParams(error.message) from error
        return {"description": prompt.description, "messages": list(messages)}

    def complete(self, name: str, argument: str, typed: str, given: Mapping[str, str]) -> Sequence[str]:
        """Raises InvalidParams for what is no prompt or none of its arguments."""
        prompt = self[name]
        if argument not in {known.name for known in prompt.arguments}:
            raise InvalidParams(f"This prompt has {_named(prompt)}.")
        return prompt.complete(argument, typed, given)


def _check(prompt: Prompt, arguments: Mapping[str, Any]) -> None:
    if arguments.keys() - {argument.name for argument in prompt.arguments}:
        raise InvalidParams(f"`arguments` names one that this prompt has not. It has {_named(prompt)}.")
    for argument in prompt.arguments:
        value = arguments.get(argument.name)
        if argument.name not in arguments and not argument.required:
            continue
        if not isinstance(value, str) or (argument.required and not value.strip()):
            raise InvalidParams(f"The argument {argument.name!r} must be given, as text.")
        if len(value) > LONGEST_ARGUMENT:
            raise InvalidParams(f"The argument {argument.name!r} is longer than {LONGEST_ARGUMENT} characters.")


def _named(prompt: Prompt) -> str:
    names = ", ".join(argument.name for argument in prompt.arguments)
    return f"the arguments: {names}" if names else "no arguments"
