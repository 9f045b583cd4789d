"""The grants and refresh tokens in Redis: read while the server goes on, and replaced in one step. For backups.

SCAN knows no moment, so a chain of refresh tokens could be read half before and half after a refresh, and two branches of one approval would
live on in the backup. Therefore the live tokens of a grant are read again in one step, together with what has come after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis

from mcp_server.errors import StoreUnavailable
from mcp_server.oauth.models import Grant, RefreshToken
from mcp_server.storage import redis_scripts as scripts
from mcp_server.storage.records import KeptRefreshToken, dump, load
from mcp_server.storage.redis_connections import RedisConnections
from mcp_server.storage.redis_records import time_of, token_fields, ttl

PATIENCE = 60.0
"""Seconds that Redis may take to replace everything."""


class RedisSnapshot:
    kind = "redis"

    def __init__(self, connections: RedisConnections, url: str, prefix: str) -> None:
        self._redis, self._url, self._prefix = connections, url, prefix

    def records(self, now: float) -> Iterator[Grant | KeptRefreshToken]:
        """All that are in force, and the refresh tokens that were used up. One may come twice: the later one is right."""
        for keys in self._scan("grant:"):
            records = self._redis.run(scripts.GET_ALL, keys, (), repeatable=True)
            yield from (grant for record in records if record is not None and (grant := load(Grant, record)).expires_at > now)
        live: dict[str, list[str]] = {}
        for keys in self._scan("refresh:"):
            for token in self._tokens(keys, now, and_successors=False):
                if token.token.rotated_at is None and not token.token.dead:
                    live.setdefault(token.token.grant_id, []).append(token.digest)
                else:
                    yield token
        for digests in live.values():
            yield from self._tokens([f"{self._prefix}refresh:{digest}" for digest in dict.fromkeys(digests)], now, and_successors=True)

    def counts(self, now: float) -> dict[str, int]:
        grants = sum(isinstance(record, Grant) for record in self.records(now))
        return {"grants": grants, "refresh_tokens": sum(len(keys) for keys in self._scan("refresh:"))}

    def revocations(self, now: float) -> dict[str, float]:
        """What the copy knows: until when each id is revoked."""
        found = {}
        beginning = f"{self._prefix}revoked:"
        for keys in self._scan("revoked:"):
            untils = self._redis.run(scripts.GET_ALL, keys, (), repeatable=True)
            for key, until in zip(keys, untils, strict=True):
                if until is not None and (time_of(until) or 0.0) > now:
                    found[key.removeprefix(beginning)] = float(until)
        return found

    @contextmanager
    def replacing(self, now: float) -> Iterator[RedisReplacement]:
        """In the place of all grants and refresh tokens, what is added in the block: all of it at the end of the block, or nothing."""
        replacement = RedisReplacement(self._prefix, now)
        yield replacement
        former = [key for kind in ("grant:", "grants-of:", "refresh:") for keys in self._scan(kind) for key in keys]
        self._in_one_step([("DEL", key) for key in former] + replacement.commands())

    def _in_one_step(self, commands: Sequence[tuple[Any, ...]]) -> None:
        try:
            with redis.Redis.from_url(self._url, socket_timeout=PATIENCE, protocol=2) as connection, connection.pipeline() as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                pipeline.execute()
        except redis.RedisError as error:
            raise StoreUnavailable(detail=f"Redis: {error}") from error

    def _scan(self, kind: str) -> Iterator[list[str]]:
        cursor = b"0"
        while True:
            cursor, keys = self._redis.call("SCAN", cursor, "MATCH", f"{self._prefix}{kind}*", "COUNT", 1000, repeatable=True)
            if keys:
                yield [key.decode() for key in keys]
            if cursor == b"0":
                return

    def _tokens(self, keys: Sequence[str], now: float, *, and_successors: bool) -> Iterator[KeptRefreshToken]:
        """Read in one step."""
        beginning = f"{self._prefix}refresh:"
        for key, (record, rotated_at, dead, successor) in self._redis.run(scripts.CHAINS, keys, (beginning, int(and_successors)), repeatable=True):
            if record is None:
                continue
            token = load(RefreshToken, record, rotated_at=time_of(rotated_at or b""), dead=dead == b"1")
            if token.expires_at > now:
                yield KeptRefreshToken(key.decode().removeprefix(beginning), token, successor.decode() if successor else None)


class RedisReplacement:
    def __init__(self, prefix: str, now: float) -> None:
        self._prefix, self._now = prefix, now
        self._commands: list[tuple[Any, ...]] = []
        self._lasts: dict[str, int] = {}

    def add(self, record: Grant | KeptRefreshToken) -> None:
        if isinstance(record, Grant):
            lasts, of_subject = ttl(record.expires_at, self._now), f"{self._prefix}grants-of:{record.subject}"
            self._lasts[of_subject] = max(lasts, self._lasts.get(of_subject, 0))
            self._commands += [
                ("SET", f"{self._prefix}grant:{record.grant_id}", dump(record), "PX", lasts),
                ("ZADD", of_subject, record.expires_at, record.grant_id),
            ]
            return
        key = f"{self._prefix}refresh:{record.digest}"
        stored = token_fields(record.token) | ({"successor": record.successor} if record.successor else {})
        self._commands += [
            ("DEL", key), ("HSET", key, *(part for each in stored.items() for part in each)),
            ("PEXPIRE", key, ttl(record.token.expires_at, self._now)),
        ]

    def commands(self) -> list[tuple[Any, ...]]:
        return self._commands + [("PEXPIRE", of_subject, lasts) for of_subject, lasts in self._lasts.items()]
