"""A time as operators say it: 90m, 12h, 7d."""

from __future__ import annotations

import re
from typing import Any

import click

from mcp_server.clock import in_words

_SECONDS = {"m": 60, "h": 3600, "d": 86400}


class Duration(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic only in later releases
    """Becomes seconds; at least `least` of them."""

    name = "duration"

    def __init__(self, least: int) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,4})([mhd])", str(value).strip().lower())
        seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
        if seconds < self._least:
            self.fail(f"{value!r} is no time such as 90m, 12h or 7d, or it is too short: at least {in_words(self._least)}.", param, ctx)
        return seconds
