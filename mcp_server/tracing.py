"""Spans: what a request and a model call took, for whoever collects them. Off unless the operator names a collector.

The parts of this server know only what is here. Who makes spans is `outbound/telemetry.py`, and it is not even imported while tracing is off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Protocol

Value = str | int | float | bool

outgoing: ContextVar[Mapping[str, str] | None] = ContextVar("outgoing", default=None)
"""The headers by which the server that is asked now can continue the trace: `traceparent` (W3C Trace Context)."""


class Span(Protocol):
    """What one thing took."""

    def tell(self, **facts: Value | None) -> None:
        """Attributes; a double underscore stands for a dot. None is left out. Never a text of a caller's."""

    def failed(self, kind: str) -> None: ...


class RequestSpan(Span, Protocol):
    """Of a request, from its arrival to the last byte of its answer."""

    @property
    def trace_id(self) -> str: ...
    def end(self) -> None: ...


class Tracer(Protocol):
    def call(self, name: str) -> AbstractContextManager[Span]:
        """A call of another server, as a part of what is done now. In the block `outgoing` has its headers."""


class RequestTracer(Tracer, Protocol):
    """Tracing is on."""

    def request(self, name: str, traceparent: str | None) -> RequestSpan:
        """A request begins: what is called from now on is a part of it. `traceparent` is the caller's word, believed only where that is set."""

    def sends_to(self) -> tuple[str, Mapping[str, str]]:
        """The address that takes the spans, and the headers that go with them; secrets are among these."""

    def begin(self) -> Callable[[], None]:
        """Send spans from now on, beside the requests. Returns what sends the last ones and ends."""


class _Untold:
    def tell(self, **facts: Value | None) -> None: ...
    def failed(self, kind: str) -> None: ...


class Untraced:
    """Tracing is off."""

    _nothing = _Untold()

    def call(self, name: str) -> AbstractContextManager[Span]:  # noqa: ARG002 the port's
        return nullcontext(self._nothing)


UNTRACED = Untraced()
