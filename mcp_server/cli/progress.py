"""How far a long command is, on stderr; only where somebody looks at it."""

from __future__ import annotations

import sys
from typing import Any, Self

import click


class Bars:
    """One bar for each stage, one after the other. Where stderr is no terminal nothing is drawn."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def show(self, stage: str, done: int, total: int | None) -> None:
        if not sys.stderr.isatty():
            return
        if stage != self._stage:
            self._end()
            self._stage, self._at = stage, 0
            self._bar = click.progressbar(length=max(total or 0, 1), label=stage, file=sys.stderr, show_pos=True)
            self._bar.__enter__()
        if total:
            self._bar.length = max(total, done)
        self._bar.update(done - self._at)
        self._at = done

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
        self._bar, self._stage = None, ""
