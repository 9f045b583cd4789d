"""A YAML file that an operator edits: read, checked, and every problem told by file, line and key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from marshmallow import Schema, ValidationError

from config.settings import ConfigurationError


@dataclass(frozen=True, slots=True)
class YamlFile:
    """What the file says, as its schema reads it."""

    path: Path
    values: dict[str, Any]
    node: yaml.Node | None

    def problem(self, where: Sequence[Any], what: str) -> str:
        """`what` is wrong with the key at `where`."""
        return _told(self.path, self.node, where, what)


def read(path: Path, schema: Schema) -> YamlFile:
    """Raises ConfigurationError with every problem: the file, the line where it can be told, the key."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        repeated = [f"{path} line {line}: the key {key!r} is there twice." for key, line in _repeated_keys(node)]
        values = schema.load(yaml.safe_load(text) or {})
    except OSError as error:
        raise ConfigurationError([f"{path} cannot be read: {error.strerror}."]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{path} is not YAML: {' '.join(str(error).split())}"]) from error
    except RecursionError as error:
        raise ConfigurationError([f"{path} is not YAML that can be read: a part of it contains itself."]) from error
    except ValidationError as error:
        raise ConfigurationError([_told(path, node, where, what) for where, what in _problems(error.messages)]) from error
    if repeated:
        raise ConfigurationError(repeated)
    return YamlFile(path, values, node)


def top_keys(path: Path) -> list[str]:
    """The keys of a file that may be anything; none where it cannot be read."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return []
    return [str(key.value) for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []


def files_in(folder: Path) -> list[Path]:
    """Raises ConfigurationError for a name that would be overlooked."""
    overlooked = sorted(folder.glob("*.yml"))
    if overlooked:
        raise ConfigurationError([f"{path} is not read: rename it to {path.stem}.yaml." for path in overlooked])
    return sorted(folder.glob("*.yaml"))


def _told(path: Path, node: yaml.Node | None, where: Sequence[Any], what: str) -> str:
    return f"{path}{_place(node, where)}: {what}"


def _problems(messages: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            # For a mapping marshmallow says whether its key or its value is wrong, one level below the key.
            yield from _problems(inner, where if key in {"key", "value", "_schema"} else (*where, key))
    else:
        yield from ((where, str(message)) for message in messages)


def _place(node: yaml.Node | None, where: Sequence[Any]) -> str:
    """` line 12, categories.network.description`: the line of the innermost key that is there."""
    line = None
    for step in where:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            found = (node.value[step], node.value[step])
        else:
            found = None
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    path = ".".join(str(step) for step in where)
    return (f" line {line}" if line else "") + (f", {path}" if path else "")


def _repeated_keys(node: yaml.Node | None) -> Iterator[tuple[str, int]]:
    """YAML takes the last of two equal keys without a word."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key.value, key.start_mark.line + 1
                seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for member in node.value:
            yield from _repeated_keys(member)
