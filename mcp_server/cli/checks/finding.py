"""What a check of `flask doctor` says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from mcp_server.web.services import Services

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`said` is what was found; `next_step` is for what is not ok."""

    check: str
    level: Level
    said: str
    next_step: str = ""


Check = Callable[[Services], Iterator[Finding]]
