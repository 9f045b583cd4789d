"""`config/clients.yaml`: what each client may use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from marshmallow import Schema, fields, post_load, validate

from config.settings import ConfigurationError
from mcp_server.clock import Clock
from mcp_server.mcp.policies import NO_POLICY, Count, Named, Policies, Policy
from mcp_server.tools.yaml_file import YamlFile, read

_PATTERN = validate.Regexp(r"^[^\x00-\x1f]{1,300}$", error="must be the id or the name of a client, with * for any part of it.")
_TOOL = validate.Regexp(r"^[a-z0-9_*?]{1,50}$", error="must be the name of a tool, with * for any part of it.")


class PolicySchema(Schema):
    tools = fields.List(fields.String(validate=_TOOL), validate=validate.Length(min=0, max=100))
    models = fields.List(fields.String(validate=validate.Length(min=1, max=128)), validate=validate.Length(min=1, max=50))
    calls_per_minute = fields.Integer(strict=True, validate=validate.Range(1, 1_000_000))
    concurrent_calls = fields.Integer(strict=True, validate=validate.Range(1, 10_000))
    output_limit = fields.Integer(strict=True, validate=validate.Range(200, 5_000_000))

    @post_load
    def make(self, facts: dict[str, Any], **_: Any) -> Policy:
        read: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
        return Policy(**read)


class ClientsFileSchema(Schema):
    default = fields.Nested(PolicySchema, load_default=NO_POLICY)
    clients = fields.Dict(
        keys=fields.String(validate=_PATTERN), values=fields.Nested(PolicySchema), load_default=dict, validate=validate.Length(max=1000))


@dataclass(frozen=True, slots=True)
class ClientPolicies:
    """`rules` by pattern, in the order of the file."""

    default: Policy = NO_POLICY
    rules: dict[str, Policy] = field(default_factory=dict)
    _file: YamlFile | None = None

    def __bool__(self) -> bool:
        return bool(self.rules) or self.default != NO_POLICY

    @classmethod
    def load(cls, path: Path) -> ClientPolicies:
        """No policies where there is no file. Raises ConfigurationError with every problem."""
        if not path.is_file():
            return cls()
        file = read(path, ClientsFileSchema())
        return cls(file.values["default"], file.values["clients"], file)

    def enforced(self, *, find: Callable[[str], Named | None], count: Count, workers: int, clock: Clock) -> Policies | None:
        """What holds clients to it; None when there is nothing to hold them to."""
        return Policies(self.rules, self.default, find=find, count=count, workers=workers, clock=clock) if self else None

    def require_known_tools(self, names: Collection[str]) -> None:
        """Raises ConfigurationError for a tool that is not there: a slip would take it from the client without a word."""
        if self._file is not None and (problems := list(self._unknown(self._file, names))):
            raise ConfigurationError(problems)

    def _unknown(self, file: YamlFile, names: Collection[str]) -> Iterator[str]:
        places: list[tuple[tuple[Any, ...], Policy]] = [(("default",), self.default), *((("clients", key), each) for key, each in self.rules.items())]
        for where, policy in places:
            for number, pattern in enumerate(policy.tools or ()):
                if not any(fnmatchcase(name, pattern) for name in names):
                    yield file.problem((*where, "tools", number), f"there is no tool {pattern!r}.")
