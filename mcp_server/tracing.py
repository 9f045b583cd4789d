"""Spans: what a request and a model call took, for whoever collects them. Off unless the operator names a collector.

The parts of this server know only what is here. Who makes spans is `outbound/telemetry.py`, and it is not even imported while tracing is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Protocol

Value = str | int | float | bool

outgoing: ContextVar[Mapping[str, str] | None] = ContextVar("outgoing", default=None)
"""The headers by which the server that is asked now can continue the trace: `traceparent` (W3C Trace Context)."""


class Span(Protocol):
    def tell(self, **facts: Value | None) -> None:
        """Attributes; a double underscore stands for a dot. None is left out. Never a text of a caller's."""

    def failed(self, kind: str) -> None: ...


class Tracer(Protocol):
    def call(self, name: str) -> AbstractContextManager[Span]:
        """A call of another server, as a part of what is done now. In the block `outgoing` has its headers."""


class _Untold:
    def tell(self, **facts: Value | None) -> None: ...
    def failed(self, kind: str) -> None: ...


class Untraced:
    """Tracing is off."""

    _nothing = _Untold()

    def call(self, name: str) -> AbstractContextManager[Span]:  # noqa: ARG002 the port's
        return nullcontext(self._nothing)


UNTRACED = Untraced()
