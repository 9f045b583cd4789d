"""Connections to one Redis, and what happens when it does not answer.

redis-py's own client is not used: on the way of every request it costs more than the rest of the request, its pools
refuse a caller when they are full instead of letting it wait, and it retries commands that must not run twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from redis.connection import Connection, parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from mcp_server.clock import Elapsed
from mcp_server.concurrency import Places
from mcp_server.errors import StoreUnavailable
from mcp_server.storage.breaker import Breaker
from mcp_server.storage.redis_scripts import Script

TIMEOUT = 0.5
"""Seconds for connecting, for each answer, and for a free place among the connections."""

MOST = 256
"""Connections of one process."""

TRUSTED_IDLE = 30.0
"""Seconds after which an idle connection may have been forgotten by something on the way."""

_NETWORK = (RedisConnectionError, RedisTimeoutError)
_OF_POOLS_ONLY = ("connection_class", "max_connections", "timeout")
_RUN_ID = object()  # stands for the run id of the Redis that a command is sent to


class _Process:
    """What one process has: its idle connections, the one used last on top, and how many more it may open."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.idle: list[_Link] = []
        self.places = Places(MOST)

    def drop_idle(self) -> None:
        while self.idle:
            self.idle.pop().connection.disconnect()


class _Link:
    """One connection, and which run of Redis is at its other end."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.run_id: bytes | None = None
        self.used_at = 0.0

    def ask(self, command: tuple[Any, ...]) -> Any:
        if command[-1] is _RUN_ID:
            if self.run_id is None:
                self.run_id = self._ask_for_run_id()
            command = (*command[:-1], self.run_id)
        return self._ask(command)

    def alive(self, now: float) -> bool:
        """Nothing waits to be read, not even the end of the connection, and it was not idle for long."""
        if now - self.used_at > TRUSTED_IDLE:
            return False
        try:
            return not self.connection.can_read(timeout=0)
        except RedisConnectionError:
            return False

    def _ask(self, command: tuple[Any, ...]) -> Any:
        self.connection.send_packed_command((_packed(command),), check_health=False)
        return self.connection.read_response()

    def _ask_for_run_id(self) -> bytes:
        try:
            information: bytes = self._ask(("INFO", "server"))
        except ResponseError:  # INFO is not for everybody; then restarts go unnoticed
            return b""
        _, _, rest = information.partition(b"run_id:")
        return rest.partition(b"\r\n")[0]


def _packed(command: tuple[Any, ...]) -> bytes:
    """The command as RESP. redis-py's own packing asks of each argument what kinds of thing it might be, and costs three times as much."""
    pieces = [b"*%d\r\n" % len(command)]
    for argument in command:
        written = argument if isinstance(argument, bytes) else str(argument).encode()
        pieces.append(b"$%d\r\n%b\r\n" % (len(written), written))
    return b"".join(pieces)


class RedisConnections:
    """Runs commands. Every failure is StoreUnavailable; while Redis is gone, callers are told at once.

    Nothing connects until it is used; each process has connections of its own.
    """

    def __init__(self, url: str, elapsed: Elapsed) -> None:
        options = parse_url(url)  # type: ignore[no-untyped-call] # redis-py's types are partial
        self._kind = options.get("connection_class", Connection)
        self._options = {name: value for name, value in options.items() if name not in _OF_POOLS_ONLY}
        self._elapsed = elapsed
        self._breaker = Breaker(elapsed)
        self._process = _Process()
        self._new()  # so that an option that redis-py does not know is found at the start

    def call(self, *command: Any, repeatable: bool) -> Any:
        """The answer to one command. Only if it is `repeatable` is it sent again when a connection turns out to be dead."""
        return self._answering(lambda: self._exchange(command, repeatable=repeatable))

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Any], *, repeatable: bool) -> Any:
        """The answer of a script, which also gets the run id of its Redis as the last argument."""
        def exchange() -> Any:
            try:
                return self._exchange(("EVALSHA", script.sha, len(keys), *keys, *arguments, _RUN_ID), repeatable=repeatable)
            except NoScriptError:  # Redis was restarted: it has not run
                return self._exchange(("EVAL", script.text, len(keys), *keys, *arguments, _RUN_ID), repeatable=repeatable)

        return self._answering(exchange)

    def close(self) -> None:
        self._own().drop_idle()

    def _answering(self, exchange: Callable[[], Any]) -> Any:
        self._breaker.check()
        process = self._own()
        if not process.places.take(TIMEOUT):
            raise StoreUnavailable(detail=f"All {MOST} connections to Redis are in use.")
        try:
            answer = exchange()
        except _NETWORK as error:
            self._breaker.failed()
            process.drop_idle()  # what cut one connection has most likely cut them all
            raise StoreUnavailable(detail=f"Redis: {error}") from error
        except ReadOnlyError as error:
            process.drop_idle()  # after a failover the same name may lead to another machine
            raise StoreUnavailable(detail=f"Redis: {error}") from error
        except RedisError as error:
            self._breaker.succeeded()  # it did answer
            raise StoreUnavailable(detail=f"Redis: {error}") from error
        else:
            self._breaker.succeeded()
            return answer
        finally:
            process.places.give_back()

    def _exchange(self, command: tuple[Any, ...], *, repeatable: bool) -> Any:
        link = self._pooled(certain=not repeatable)
        if link is None:
            return self._send(_Link(self._new()), command)
        try:
            return self._send(link, command)
        except RedisConnectionError:
            if not repeatable:
                raise
        self._own().drop_idle()
        return self._send(_Link(self._new()), command)

    def _send(self, link: _Link, command: tuple[Any, ...]) -> Any:
        try:
            answer = link.ask(command)
        except ResponseError:  # Redis said no; the connection is as good as before
            self._give_back(link)
            raise
        except BaseException:  # also when the greenlet is ended in the middle of an answer
            link.connection.disconnect()
            raise
        self._give_back(link)
        return answer

    def _pooled(self, *, certain: bool) -> _Link | None:
        """An idle connection. `certain`: only one that is known to be alive."""
        idle = self._own().idle
        while idle:
            link = idle.pop()
            if not certain or link.alive(self._elapsed()):
                return link
            link.connection.disconnect()
        return None

    def _give_back(self, link: _Link) -> None:
        link.used_at = self._elapsed()
        self._own().idle.append(link)

    def _own(self) -> _Process:
        if self._process.pid != os.getpid():
            self._process = _Process()
        return self._process

    def _new(self) -> Any:
        defaults = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT, "socket_keepalive": True}
        if not issubclass(self._kind, Connection):
            del defaults["socket_keepalive"]  # a unix socket has none
        ours = {"protocol": 2, "driver_info": None}  # no pushed messages, and no round trips to introduce ourselves
        return self._kind(**{**defaults, **self._options, **ours})
