"""What an operator writes in `config/`: the taxonomy, tools and prompts. All files are read together, and all problems told together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from config.settings import ConfigurationError
from mcp_server.tools.declared import Declaration, declaration
from mcp_server.tools.declared_prompts import DeclaredPrompt, declared_prompt, lists_of
from mcp_server.tools.taxonomy import Taxonomy
from mcp_server.tools.yaml_file import files_in

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class OperatorFiles:
    taxonomy: Taxonomy
    tools: tuple[Declaration, ...]
    prompts: tuple[DeclaredPrompt, ...]

    @classmethod
    def read(cls, folder: Path, taken: Collection[str]) -> OperatorFiles:
        """`taken`: names of tools that are code. Raises ConfigurationError with every problem of every file."""
        problems: list[str] = []
        taxonomy = _without(problems, partial(Taxonomy.load, folder / "incident_taxonomy.yaml"))
        lists = lists_of(taxonomy) if taxonomy else {}
        tools = _each(problems, folder / "tools", declaration)
        prompts = _each(problems, folder / "prompts", partial(declared_prompt, lists=lists))
        problems += _twice({str(tool.path): tool.facts["name"] for tool in tools}, taken)
        problems += _twice({prompt.declared_in: prompt.name for prompt in prompts}, ())
        if problems or taxonomy is None:
            raise ConfigurationError(problems)
        return cls(taxonomy, tuple(tools), tuple(prompts))


def _each(problems: list[str], folder: Path, read: Callable[[Path], Read]) -> list[Read]:
    paths = _without(problems, partial(files_in, folder)) or ()
    return [found for path in paths if (found := _without(problems, partial(read, path))) is not None]


def _without(problems: list[str], read: Callable[[], Read]) -> Read | None:
    """What was read; None, and its problems among the others."""
    try:
        return read()
    except ConfigurationError as error:
        problems += error.problems
        return None


def _twice(names: Mapping[str, str], taken: Collection[str]) -> list[str]:
    problems, seen = [], dict.fromkeys(taken, "this server itself")
    for path, name in names.items():
        if name in seen:
            problems.append(f"{path}, name: {name!r} is taken by {seen[name]}. Choose another name.")
        seen.setdefault(name, path)
    return problems
