"""What MCP keeps between requests, in Redis: journals as streams, chats as lists, sessions and what the lists looked like as hashes."""

from __future__ import annotations

import math
import re

from mcp_server.clock import Clock
from mcp_server.mcp.ports import MOST_SUBSCRIPTIONS, Entry, Seen, SessionRecord
from mcp_server.storage import redis_scripts as scripts
from mcp_server.storage.redis_connections import RedisConnections

READ_AT_ONCE = 500
_POSITION = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")
_URI = b"uri:"


class RedisJournals:
    def __init__(self, connections: RedisConnections, prefix: str) -> None:
        self._redis, self._prefix = connections, f"{prefix}journal:"

    def append(self, journal: str, content: bytes, *, until: float, now: float) -> str:
        """An answer that was lost on the way is StoreUnavailable, and the entry may be there."""
        kept = math.ceil((until - now) * 1000)
        position: bytes = self._redis.run(scripts.APPEND, [self._prefix + journal], (content, kept), repeatable=False)
        return position.decode()

    def end(self, journal: str) -> str:
        last = self._redis.call("XREVRANGE", self._prefix + journal, "+", "-", "COUNT", 1, repeatable=True)
        return last[0][0].decode() if last else "0-0"

    def after(self, journal: str, position: str, now: float) -> list[Entry]:  # noqa: ARG002 - Redis forgets by itself
        start = f"({position}" if _POSITION.fullmatch(position) else "-"
        rows = self._redis.call("XRANGE", self._prefix + journal, start, "+", "COUNT", READ_AT_ONCE, repeatable=True)
        return [Entry(number.decode(), fields[1]) for number, fields in rows]


class RedisSessions:
    def __init__(self, connections: RedisConnections, prefix: str, clock: Clock) -> None:
        self._redis, self._prefix, self._clock = connections, f"{prefix}session:", clock

    def find(self, session_id: str, now: float) -> SessionRecord:  # noqa: ARG002 - Redis forgets by itself
        flat = self._redis.call("HGETALL", self._prefix + session_id, repeatable=True)
        record = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
        level = record.get(b"log_level")
        uris = frozenset(name[len(_URI) :].decode() for name in record if name.startswith(_URI))
        return SessionRecord(b"ended" in record, level.decode() if level else None, uris)

    def end(self, session_id: str, until: float) -> None:
        self._set(session_id, until, "ended", "1")

    def set_log_level(self, session_id: str, level: str, until: float) -> None:
        self._set(session_id, until, "log_level", level)

    def subscribe(self, session_id: str, uri: str, until: float) -> bool:
        arguments = (f"uri:{uri}", "1", self._ttl(until), MOST_SUBSCRIPTIONS)
        return bool(self._redis.run(scripts.SUBSCRIBE, [self._prefix + session_id], arguments, repeatable=True))

    def unsubscribe(self, session_id: str, uri: str, until: float) -> None:  # noqa: ARG002 - the key has its end already
        self._redis.call("HDEL", self._prefix + session_id, f"uri:{uri}", repeatable=True)

    def _set(self, session_id: str, until: float, field: str, value: str) -> None:
        self._redis.run(scripts.ADD_RECORD, [self._prefix + session_id], (self._ttl(until), field, value), repeatable=True)

    def _ttl(self, until: float) -> int:
        """Milliseconds."""
        return max(1, math.ceil((until - self._clock()) * 1000))


class RedisListings:
    def __init__(self, connections: RedisConnections, prefix: str) -> None:
        self._redis, self._prefix = connections, f"{prefix}listing:"

    def see(self, name: str, digest: str, *, until: float, now: float) -> Seen:
        arguments = (digest, now, max(1, math.ceil((until - now) * 1000)))
        first, changed_at = self._redis.run(scripts.SEE, [self._prefix + name], arguments, repeatable=True)
        return Seen(first == 1, float(changed_at) if changed_at else None)


class RedisChats:
    def __init__(self, connections: RedisConnections, prefix: str) -> None:
        self._redis, self._prefix = connections, f"{prefix}chat:"

    def add(self, chat: str, turn: bytes, *, most: int, until: float, now: float) -> None:
        """An answer that was lost on the way is StoreUnavailable, and the turn may be there."""
        self._redis.run(scripts.ADD_TURN, [self._prefix + chat], (turn, most, max(1, math.ceil((until - now) * 1000))), repeatable=False)

    def turns(self, chat: str, now: float) -> list[bytes]:  # noqa: ARG002 - Redis forgets by itself
        found: list[bytes] = self._redis.call("LRANGE", self._prefix + chat, 0, -1, repeatable=True)
        return found
