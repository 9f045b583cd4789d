"""An answer that something may be said before: the work runs beside its connection, and the form of the answer is decided late.

JSON when the answer is the first thing that is said; else a stream of server-sent events. A client that went away is noticed
by watching its socket, since writing to it would fail much later.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response

from mcp_server.clock import Elapsed, elapsed
from mcp_server.concurrency import Inbox, pause, spawn, watch_for_the_end
from mcp_server.errors import InternalError, StoreUnavailable
from mcp_server.mcp import jsonrpc
from mcp_server.mcp.dispatcher import Reply, refusal
from mcp_server.mcp.jsonrpc import RequestId
from mcp_server.mcp.streams import DEAD_AFTER, GOES_ON_EVERY, Heard, StreamLog

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent: proxies end a stream on which nothing moves."""
RETRY_MILLISECONDS = 1000
"""How soon a client should come back for the rest of a stream that was ended."""
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
PING = b": ping\n\n"
LOST = "The worker that was to answer this has stopped. Call again."


@dataclass(slots=True)
class _Outcome:
    """How the work ended: with a reply, or with neither since it was cancelled. `error`: HTTP has to tell it, while it can."""

    reply: Reply | None = None
    error: Exception | None = None


@dataclass(slots=True)
class _Event:
    """`position`: where it can be taken up again."""

    content: bytes
    position: str | None = None


_HANG_UP = object()


class Exchange:
    """One request, from its arrival to the end of its answer. It is the outlet of the call."""

    def __init__(self, log: StreamLog | None = None, request_id: RequestId | None = None, *, lost_means_cancelled: bool = True) -> None:
        """`log`: keeps what is said, for a client that comes back. `lost_means_cancelled`: nobody can get the answer any more."""
        self.log = log
        self.request_id = request_id
        self._lost_means_cancelled = lost_means_cancelled
        self._said = Inbox()
        self._stop: Callable[[], None] = lambda: None
        self._ended = False
        self.outcome: _Outcome | None = None

    # What the call may use.

    def send(self, message: Mapping[str, Any]) -> None:
        if self._ended:
            return
        content = jsonrpc.dumps(message)
        self._said.put(_Event(content, self.log.append(content) if self.log else None))

    def open(self) -> None:
        self._said.put(None)

    def hang_up(self) -> None:
        if self.log is not None:
            self._said.put(_HANG_UP)

    def cancel(self) -> None:
        if not self._ended:
            self._ended = True
            self._stop()
            self._said.put(_Outcome())
            if self.log is not None:
                self.log.finish(None)

    # What the connection does.

    def begin(self, work: Callable[[], Reply]) -> None:
        """Run the work beside. It sees the facts of this request."""
        context = contextvars.copy_context()
        self._stop = spawn(lambda: context.run(self._run, work))

    def begin_to_stream(self) -> None:
        """The client can come back from now on: until the call ends, its log tells that it goes on."""
        log = self.log
        if log is None or self._ended:
            return
        log.goes_on(self.request_id)

        def tell() -> None:
            pause(GOES_ON_EVERY)
            while not self._ended:
                log.goes_on(self.request_id)
                pause(GOES_ON_EVERY)

        spawn(tell)

    def lost(self) -> None:
        """The client is gone."""
        if self._lost_means_cancelled:
            self.cancel()

    def next(self, seconds: float | None) -> Any:
        """What is said next; None when nothing was in that time."""
        return self._said.get(seconds)

    def _run(self, work: Callable[[], Reply]) -> None:
        try:
            outcome = _Outcome(reply=work())
        except Exception as error:  # noqa: BLE001 it is raised again where the request is answered, or told on the stream
            outcome = _Outcome(None if self.request_id is None else refusal(self.request_id, error), error)
        if self._ended:
            return
        self._ended = True
        self._said.put(outcome)
        if self.log is not None:
            self.log.finish(outcome.reply.body if outcome.reply else None)


@dataclass(frozen=True, slots=True)
class Listener:
    """The other side of an exchange. `socket` is its connection. `streams`: it reads event streams. `primed`: they begin with an empty event.

    `still_admitted` is asked now and then, `ended` is told how a stream ended.
    """

    socket: Any
    streams: bool
    primed: bool
    still_admitted: Callable[[], bool]
    ended: Callable[[str, Reply | None], None]


def answer(exchange: Exchange, work: Callable[[], Reply], listener: Listener) -> Reply | Response:
    """A Reply for JSON, or a Response that streams. Raises what the work raised before anything was said."""
    exchange.begin(work)
    stop_watching = watch_for_the_end(listener.socket, exchange.lost)
    first = exchange.next(HEARTBEAT if listener.streams else None)
    while not listener.streams and not isinstance(first, _Outcome):
        first = exchange.next(None)  # it cannot be told, but for its answer
    if isinstance(first, _Outcome):
        stop_watching()
        if first.error is not None:
            raise first.error
        return first.reply or Reply(202, None)
    return Response(_events(exchange, first, listener, stop_watching), 200, HEADERS, mimetype="text/event-stream")


def stream(exchange: Exchange, listen: Callable[[], None], listener: Listener) -> Response:
    """A stream that has no answer at its end. It begins when the listening does. Raises what kept it from listening."""

    def work() -> Reply:
        listen()
        return Reply(200, None)

    exchange.begin(work)
    stop_watching = watch_for_the_end(listener.socket, exchange.lost)
    first = exchange.next(HEARTBEAT)
    if isinstance(first, _Outcome) and first.error is not None:
        stop_watching()
        raise first.error
    return Response(_events(exchange, first, listener, stop_watching), 200, HEADERS, mimetype="text/event-stream")


def _events(exchange: Exchange, said: Any, listener: Listener, stop_watching: Callable[[], None]) -> Iterator[bytes]:
    how, reply, log = "lost", None, exchange.log
    try:
        exchange.begin_to_stream()
        if listener.primed and log is not None:
            yield f"id: {log.event_id('')}\nretry: {RETRY_MILLISECONDS}\ndata: \n\n".encode()
        while not isinstance(said, _Outcome):
            if said is _HANG_UP:
                how = "hung up"
                return
            if not listener.still_admitted():
                how = "cancelled"
                exchange.cancel()
                return
            yield PING if said is None else event(said.content, log.event_id(said.position) if log and said.position else None)
            said = exchange.next(HEARTBEAT)
        how, reply = ("answered", said.reply) if said.reply else ("cancelled", None)
        if reply is not None and reply.body is not None:
            yield event(reply.body)
    finally:
        stop_watching()
        if how == "lost":
            exchange.lost()
        listener.ended(how, reply)


def event(content: bytes, event_id: str | None = None) -> bytes:
    """One message as a server-sent event."""
    return (f"id: {event_id}\n".encode() if event_id else b"") + b"event: message\ndata: " + content + b"\n\n"


def resume(log: StreamLog, position: str, listener: Listener) -> Response:
    """The rest of a stream that broke."""
    gone: list[bool] = []
    stop_watching = watch_for_the_end(listener.socket, lambda: gone.append(True))
    rest = replay(log, position, lambda: not gone and listener.still_admitted(), pause)
    response = Response(rest, 200, HEADERS, mimetype="text/event-stream")
    response.call_on_close(stop_watching)
    return response


def replay(
    log: StreamLog, position: str, still_open: Callable[[], bool], pause: Callable[[float], None], clock: Elapsed = elapsed,
) -> Iterator[bytes]:
    """What was said behind `position`, until the answer comes, or nobody works on it any more."""
    yield PING  # the client sees at once that it is heard
    told_at = heard_at = clock()
    while still_open():
        try:
            heard = log.after(position)
            if heard.position == position and not heard.finished and clock() - heard_at > DEAD_AFTER:
                if (request_id := log.unanswered()) is not None:
                    yield event(jsonrpc.dumps(jsonrpc.error(request_id, InternalError(LOST))))
                return
        except StoreUnavailable:  # the call cannot say either that it goes on
            heard, heard_at = Heard([], position, finished=False), clock()
        for entry in heard.entries:
            yield event(entry.content, log.event_id(entry.position))
        if heard.finished:
            return
        if heard.position != position:
            position, heard_at = heard.position, clock()
        if heard.entries:
            told_at = clock()
        elif clock() - told_at > HEARTBEAT:
            told_at = clock()
            yield PING
        pause(0.1)
