"""The hot state in Redis, for any number of machines.

Every key starts with the prefix and runs out by itself:

    grant:{grant_id}                    string, JSON; until the grant ends
    code:{code_digest}                  hash: record, expires_at, claimed; until the code expires
    refresh:{token_digest}              hash: record, expires_at, rotated_at, dead, successor; until the token expires
    once:{single_use_id}                string, until when; until then
    revoked:{revoked_id}                string, until when; until then
    revocations-complete                string, the run id of the Redis that was filled; a day, then it is filled again
    hits:{counter}:{window}:{number}    counter; until its window ends
    journal:{journal}                   stream of entries; until the last of them may be forgotten
    session:{session_id}                hash: ended, log_level, and uri:{uri} for each subscription; until the session ends
    listing:{name}                      hash: digest, changed_at; 30 days after the last start
    task:{task_id}                      hash: owner, tool, work, status, …, and q:{key} and a:{key} for what is asked and answered; its ttl
    tasks                               sorted set: tasks to be run, by when they may be claimed; until the last of them has expired
    tasks-of:{owner}                    sorted set: a caller's unfinished tasks, by when they expire; until the last of them has

Redis must not evict (`maxmemory-policy noeviction`): an evicted revocation would be one that nobody knows of. When
Redis is restarted or another one takes its place, the copy of the revocations counts as lost, even if it was persisted:
what was written last may be missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mcp_server.clock import Clock, Elapsed, elapsed, wall_clock
from mcp_server.errors import StoreUnavailable
from mcp_server.oauth.models import AuthorizationCode, Grant, RefreshToken, Revocation, Rotation
from mcp_server.oauth.ports import Admission
from mcp_server.storage import redis_scripts as scripts
from mcp_server.storage.records import dump, load, unexpired, window_of
from mcp_server.storage.redis_connections import RedisConnections
from mcp_server.storage.redis_conversations import RedisJournals, RedisListings, RedisSessions
from mcp_server.storage.redis_tasks import RedisTasks

COMPLETE_FOR = 86400
PUT_AT_ONCE = 500


class RedisState:
    """The hot state in the Redis at `url`. Nothing connects until it is used.

    `clock` tells how long a record that is added now has to be kept.
    """

    def __init__(self, url: str, prefix: str = "mcp:", *, clock: Clock = wall_clock, elapsed: Elapsed = elapsed) -> None:
        self._connections = RedisConnections(url, elapsed)
        self.grants = RedisGrants(self._connections, prefix, clock)
        self.codes = RedisAuthorizationCodes(self._connections, prefix, clock)
        self.refresh_tokens = RedisRefreshTokens(self._connections, prefix, clock)
        self.single_use = RedisSingleUse(self._connections, prefix)
        self.revocations = RedisRevocationCopy(self._connections, prefix)
        self.journals = RedisJournals(self._connections, prefix)
        self.sessions = RedisSessions(self._connections, prefix, clock)
        self.listings = RedisListings(self._connections, prefix)
        self.tasks = RedisTasks(self._connections, prefix)

    def ping(self) -> None:
        """Raises StoreUnavailable when Redis does not answer."""
        self._connections.call("PING", repeatable=True)

    def sweep(self, now: float) -> int:  # noqa: ARG002 - as SqliteState has it
        """Nothing to do: keys run out by themselves."""
        return 0

    def close(self) -> None:
        self._connections.close()


class RedisGrants:
    def __init__(self, connections: RedisConnections, prefix: str, clock: Clock) -> None:
        self._redis, self._prefix, self._clock = connections, f"{prefix}grant:", clock

    def add(self, grant: Grant) -> None:
        self._redis.call("SET", self._prefix + grant.grant_id, dump(grant), "PX", _ttl(grant.expires_at, self._clock()), repeatable=True)

    def find(self, grant_id: str, now: float) -> Grant | None:
        record = self._redis.call("GET", self._prefix + grant_id, repeatable=True)
        return unexpired(load(Grant, record), now) if record is not None else None

    def all(self, now: float) -> list[Grant]:
        grants = {grant.grant_id: grant for grant in self._stored() if grant.expires_at > now}  # SCAN may name a key twice
        return sorted(grants.values(), key=lambda grant: (-grant.created_at, grant.grant_id))

    def _stored(self) -> Iterator[Grant]:
        cursor = b"0"
        while True:
            cursor, keys = self._redis.call("SCAN", cursor, "MATCH", f"{self._prefix}*", "COUNT", 1000, repeatable=True)
            records = self._redis.run(scripts.GET_ALL, keys, (), repeatable=True) if keys else ()
            yield from (load(Grant, record) for record in records if record is not None)
            if cursor == b"0":
                return


class RedisAuthorizationCodes:
    def __init__(self, connections: RedisConnections, prefix: str, clock: Clock) -> None:
        self._redis, self._prefix, self._clock = connections, f"{prefix}code:", clock

    def add(self, code_digest: str, code: AuthorizationCode) -> None:
        fields = ("record", dump(code), "expires_at", code.expires_at, "claimed", int(code.claimed))
        self._redis.run(scripts.ADD_RECORD, [self._prefix + code_digest], (_ttl(code.expires_at, self._clock()), *fields), repeatable=True)

    def find(self, code_digest: str, now: float) -> AuthorizationCode | None:
        record, claimed = self._redis.call("HMGET", self._prefix + code_digest, "record", "claimed", repeatable=True)
        return unexpired(load(AuthorizationCode, record, claimed=claimed == b"1"), now) if record is not None else None

    def claim(self, code_digest: str, now: float) -> bool:
        """Sent once: an answer that was lost on the way is StoreUnavailable, and the code may be used up."""
        return bool(self._redis.run(scripts.CLAIM_CODE, [self._prefix + code_digest], (now,), repeatable=False))


class RedisRefreshTokens:
    def __init__(self, connections: RedisConnections, prefix: str, clock: Clock) -> None:
        self._redis, self._prefix, self._clock = connections, f"{prefix}refresh:", clock

    def add(self, token_digest: str, token: RefreshToken) -> None:
        fields = (name_or_value for field in _fields(token).items() for name_or_value in field)
        self._redis.run(scripts.ADD_RECORD, [self._prefix + token_digest], (_ttl(token.expires_at, self._clock()), *fields), repeatable=True)

    def find(self, token_digest: str, now: float) -> RefreshToken | None:
        record, rotated_at, dead = self._redis.call("HMGET", self._prefix + token_digest, "record", "rotated_at", "dead", repeatable=True)
        if record is None:
            return None
        return unexpired(load(RefreshToken, record, rotated_at=_time(rotated_at), dead=dead == b"1"), now)

    def rotate(self, token_digest: str, successor_digest: str, successor: RefreshToken, *, now: float, grace: float) -> Rotation:
        """Sent once: an answer that was lost on the way is StoreUnavailable, and the token may be used up."""
        keys = [self._prefix + token_digest, self._prefix + successor_digest]
        arguments = (now, grace, self._prefix, successor_digest, *_fields(successor).values(), _ttl(successor.expires_at, now))
        return Rotation(self._redis.run(scripts.ROTATE, keys, arguments, repeatable=False).decode())


class RedisSingleUse:
    def __init__(self, connections: RedisConnections, prefix: str) -> None:
        self._redis, self._prefix = connections, f"{prefix}once:"

    def claim(self, single_use_id: str, until: float, now: float) -> bool:
        """Also False when `until` has passed: there is no time in which it could be the first."""
        if until <= now:
            return False
        return bool(self._redis.run(scripts.CLAIM_ONCE, [self._prefix + single_use_id], (now, until, _ttl(until, now)), repeatable=False))


class RedisRevocationCopy:
    """The copy counts as complete only in the run of Redis that it was put into."""

    def __init__(self, connections: RedisConnections, prefix: str) -> None:
        self._redis, self._prefix, self._hits = connections, f"{prefix}revoked:", f"{prefix}hits:"
        self._marker = f"{prefix}revocations-complete"
        self._put_into = b""  # the first run of Redis since the last mark

    def put(self, revocations: Iterable[Revocation], now: float) -> None:
        in_force = [revocation for revocation in revocations if revocation.until > now]
        for start in range(0, len(in_force), PUT_AT_ONCE):
            batch = in_force[start : start + PUT_AT_ONCE]
            keys = [self._prefix + revocation.revoked_id for revocation in batch]
            arguments = [argument for revocation in batch for argument in (revocation.until, _ttl(revocation.until, now))]
            run_id = self._redis.run(scripts.PUT_REVOCATIONS, keys, arguments, repeatable=True)
            self._put_into = self._put_into or run_id

    def mark_complete(self) -> None:
        """Raises StoreUnavailable when Redis was restarted since the first `put`: some of it is lost, begin again."""
        put_into, self._put_into = self._put_into, b""
        if not self._redis.run(scripts.MARK_COMPLETE, [self._marker], (put_into, COMPLETE_FOR * 1000), repeatable=True):
            raise StoreUnavailable(detail="Redis was restarted while the revocations were copied into it.")

    def any_revoked(self, revoked_ids: Sequence[str], now: float) -> bool | None:
        admission = self.admit(revoked_ids, "", 1, now)
        return True if admission.revoked else False if admission.complete else None

    def admit(self, revoked_ids: Sequence[str], counter: str, window: int, now: float) -> Admission:
        """One round trip. An empty `counter` is not counted: `hits` is 0. So it is when Redis takes no writes."""
        name, seconds_left = window_of(counter, window, now)
        keys = [self._marker, *[self._prefix + revoked_id for revoked_id in revoked_ids]]
        if counter:
            keys.append(self._hits + name)
        arguments = (now, 1 if counter else 0, seconds_left * 1000)
        revoked, complete, hits = self._redis.run(scripts.ADMIT, keys, arguments, repeatable=True)
        return Admission(revoked == 1, complete == 1, hits, seconds_left)


def _fields(token: RefreshToken) -> dict[str, Any]:
    rotated_at = "" if token.rotated_at is None else token.rotated_at
    return {"record": dump(token), "expires_at": token.expires_at, "rotated_at": rotated_at, "dead": int(token.dead)}


def _ttl(until: float, now: float) -> int:
    """Milliseconds. A second more than needed, because the time is compared when a record is read."""
    return max(1, math.ceil((until - now + 1) * 1000))


def _time(text: bytes) -> float | None:
    try:
        return float(text) if text else None
    except ValueError as error:
        raise StoreUnavailable(detail=f"A stored time cannot be read: {error}") from error
