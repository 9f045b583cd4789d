"""What an operator writes in `config/`: the taxonomy, tools, prompts, what clients may use. All files are read, and all problems told, together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from config.settings import ConfigurationError
from mcp_server.tools.classification import Parameters
from mcp_server.tools.client_policies import ClientPolicies
from mcp_server.tools.declared import Declaration, declaration
from mcp_server.tools.declared_prompts import DeclaredPrompt, declared_prompt, lists_of
from mcp_server.tools.taxonomy import Taxonomy
from mcp_server.tools.yaml_file import files_in, top_keys

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class OperatorFiles:
    taxonomy: Taxonomy
    tools: tuple[Declaration, ...]
    prompts: tuple[DeclaredPrompt, ...]
    classification: Parameters = field(default_factory=Parameters)
    clients: ClientPolicies = field(default_factory=ClientPolicies)

    @classmethod
    def read(cls, folder: Path, taken: Collection[str]) -> OperatorFiles:
        """`taken`: names of tools that are code. Raises ConfigurationError with every problem of every file."""
        problems: list[str] = []
        taxonomy = _without(problems, partial(Taxonomy.load, folder / "incident_taxonomy.yaml"))
        lists = lists_of(taxonomy) if taxonomy else {}
        classification = _without(problems, partial(Parameters.load, folder / "classification.yaml"))
        clients = _without(problems, partial(ClientPolicies.load, folder / "clients.yaml"))
        tools = _each(problems, folder / "tools", declaration)
        prompts = _each(problems, folder / "prompts", partial(declared_prompt, lists=lists))
        problems += _twice({str(tool.path): tool.facts["name"] for tool in tools}, taken)
        problems += _twice({prompt.declared_in: prompt.name for prompt in prompts}, ())
        if not problems and clients is not None:
            _without(problems, partial(clients.require_known_tools, {*taken, *(tool.facts["name"] for tool in tools)}))
        if problems or taxonomy is None or classification is None or clients is None:
            raise ConfigurationError(problems)
        return cls(taxonomy, tuple(tools), tuple(prompts), classification, clients)

    def summary(self) -> list[tuple[str, str, Path]]:
        """What is declared: kind, name and file."""
        tools = [("tool", tool.facts["name"], tool.path) for tool in self.tools]
        return tools + [("prompt", prompt.name, Path(prompt.declared_in)) for prompt in self.prompts]


def check(files: Iterable[Path], folder: Path, taken: Collection[str]) -> list[tuple[str, str, Path]]:
    """Kind, name and file of single files, which may lie anywhere. Raises ConfigurationError with every problem of every file."""
    problems: list[str] = []
    taxonomy = _without(problems, partial(Taxonomy.load, folder / "incident_taxonomy.yaml"))
    lists = lists_of(taxonomy) if taxonomy else {}
    tools, prompts = [], []
    for path in files:
        if "messages" in top_keys(path):
            prompts += [found] if (found := _without(problems, partial(declared_prompt, path, lists))) else []
        else:
            tools += [tool] if (tool := _without(problems, partial(declaration, path))) else []
    problems += _twice({str(tool.path): tool.facts["name"] for tool in tools}, taken)
    if problems or taxonomy is None:
        raise ConfigurationError(problems)
    return OperatorFiles(taxonomy, tuple(tools), tuple(prompts)).summary()


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
