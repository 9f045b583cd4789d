"""The hot state in Redis, for any number of machines.

Every key starts with the prefix and runs out by itself:

    grant:{grant_id}                    string, JSON; until the grant ends
    grants-of:{subject}                 sorted set, grant ids by when they end; until the last of them ends
    code:{code_digest}                  hash: record, expires_at, claimed; until the code expires
    device:{device_code_digest}         hash: record, codes_expire_at, polled_at and the DEVICE_FIELDS; until the record ends
    user-code:{user_code_digest}        string, the device code's digest; until the codes expire
    refresh:{token_digest}              hash: record, expires_at, rotated_at, dead, successor; until the token expires
    once:{single_use_id}                string, until when; until then
    answer:{question}                   hash: until, answer, at; until then
    revoked:{revoked_id}                string, until when; until then
    revocations-complete                string, the run id of the Redis that was filled; a day, then it is filled again
    hits:{counter}:{window}:{number}    counter; until its window ends
    journal:{journal}                   stream of entries; until the last of them may be forgotten
    session:{session_id}                hash: ended, log_level, and uri:{uri} for each subscription; until the session ends
    chat:{chat}                         list of turns; an hour after the last one
    listing:{name}                      hash: digest, changed_at; 30 days after the last start
    task:{task_id}                      hash: owner, tool, work, status, …, and q:{key} and a:{key} for what is asked and answered; its ttl
    tasks                               sorted set: tasks to be run, by when they may be claimed; until the last of them has expired
    tasks-of:{owner}                    sorted set: a caller's unfinished tasks, by when they expire; until the last of them has
    model-slots                         sorted set: calls that run at the model, by when their lease runs out; until the last of them has
    model-waiting                       sorted set: calls that wait for a slot, by when they count as gone; until the last of them has
    probe                               string, when somebody last asked whether Redis takes writes; a minute

Redis must not evict (`maxmemory-policy noeviction`): an evicted revocation would be one that nobody knows of. When
Redis is restarted or another one takes its place, the copy of the revocations counts as lost, even if it was persisted:
what was written last may be missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mcp_server.clock import Clock, Elapsed, elapsed, wall_clock
from mcp_server.errors import StoreUnavailable
from mcp_server.oauth.models import AuthorizationCode, DeviceAuthorization, Grant, RefreshToken, Revocation, Rotation
from mcp_server.oauth.ports import Admission
from mcp_server.storage import redis_scripts as scripts
from mcp_server.storage.records import SLOWER_BY, dump, load, unexpired, window_of
from mcp_server.storage.redis_connections import RedisConnections
from mcp_server.storage.redis_conversations import RedisChats, RedisJournals, RedisListings, RedisSessions
from mcp_server.storage.redis_facts import facts_of
from mcp_server.storage.redis_model_slots import RedisModelSlots
from mcp_server.storage.redis_records import time_of, token_fields, ttl
from mcp_server.storage.redis_snapshot import RedisSnapshot
from mcp_server.storage.redis_tasks import RedisTasks

COMPLETE_FOR = 86400
PROBE_KEPT = 60
PUT_AT_ONCE = 500
DEVICE_FIELDS = ("record", "interval", "approved", "subject", "grant_id", "claimed")


class RedisState:
    """The hot state in the Redis at `url`. Nothing connects until it is used.

    `clock` tells how long a record that is added now has to be kept.
    """

    def __init__(self, url: str, prefix: str = "mcp:", *, clock: Clock = wall_clock, elapsed: Elapsed = elapsed) -> None:
        self._connections = RedisConnections(url, elapsed)
        self._probe = f"{prefix}probe"
        self.grants = RedisGrants(self._connections, prefix, clock)
        self.codes = RedisAuthorizationCodes(self._connections, prefix, clock)
        self.devices = RedisDeviceAuthorizations(self._connections, prefix, clock)
        self.refresh_tokens = RedisRefreshTokens(self._connections, prefix, clock)
        self.single_use = RedisSingleUse(self._connections, prefix)
        self.revocations = RedisRevocationCopy(self._connections, prefix)
        self.journals = RedisJournals(self._connections, prefix)
        self.sessions = RedisSessions(self._connections, prefix, clock)
        self.listings = RedisListings(self._connections, prefix)
        self.chats = RedisChats(self._connections, prefix)
        self.tasks = RedisTasks(self._connections, prefix)
        self.model_slots = RedisModelSlots(self._connections, prefix)
        self.snapshot = RedisSnapshot(self._connections, url, prefix)

    def ping(self) -> None:
        """Raises StoreUnavailable when Redis does not answer."""
        self._connections.call("PING", repeatable=True)

    def facts(self) -> dict[str, str]:
        """Raises StoreUnavailable."""
        return facts_of(self._connections)

    def write(self, now: float) -> None:
        """Raises StoreUnavailable when Redis takes nothing: it is a replica, its memory is full, or it cannot save."""
        self._connections.call("SET", self._probe, now, "PX", PROBE_KEPT * 1000, repeatable=True)

    def sweep(self, now: float) -> int:  # noqa: ARG002 - as SqliteState has it
        """Nothing to do: keys run out by themselves."""
        return 0

    def close(self) -> None:
        self._connections.close()


class RedisGrants:
    def __init__(self, connections: RedisConnections, prefix: str, clock: Clock) -> None:
        self._redis, self._prefix, self._of, self._clock = connections, f"{prefix}grant:", f"{prefix}grants-of:", clock

    def add(self, grant: Grant) -> None:
        keys, now = [self._prefix + grant.grant_id, self._of + grant.subject], self._clock()
        arguments = (dump(grant), ttl(grant.expires_at, now), grant.grant_id, grant.expires_at, now)
        self._redis.run(scripts.ADD_GRANT, keys, arguments, repeatable=True)

    def find(self, grant_id: str, now: float) -> Grant | None:
        record = self._redis.call("GET", self._prefix + grant_id, repeatable=True)
        return unexpired(load(Grant, record), now) if record is not None else None

    def of_subject(self, subject: str, now: float) -> list[Grant]:
        records = self._redis.run(scripts.GRANTS_OF, [self._of + subject], (now, self._prefix), repeatable=True)
        return _newest_first(grant for record in records if (grant := load(Grant, record)).expires_at > now)

    def all(self, now: float) -> list[Grant]:
        grants = {grant.grant_id: grant for grant in self._stored() if grant.expires_at > now}  # SCAN may name a key twice
        return _newest_first(grants.values())

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
        self._redis.run(scripts.ADD_CODE, [self._prefix + code_digest], (ttl(code.expires_at, self._clock()), *fields), repeatable=True)

    def find(self, code_digest: str, now: float) -> AuthorizationCode | None:
        record, claimed = self._redis.call("HMGET", self._prefix + code_digest, "record", "claimed", repeatable=True)
        return unexpired(load(AuthorizationCode, record, claimed=claimed == b"1"), now) if record is not None else None

    def claim(self, code_digest: str, now: float) -> bool:
        """Sent once: an answer that was lost on the way is StoreUnavailable, and the code may be used up."""
        return bool(self._redis.run(scripts.CLAIM_CODE, [self._prefix + code_digest], (now,), repeatable=False))


class RedisDeviceAuthorizations:
    def __init__(self, connections: RedisConnections, prefix: str, clock: Clock) -> None:
        self._redis, self._prefix, self._user_codes, self._clock = connections, f"{prefix}device:", f"{prefix}user-code:", clock

    def add(self, device_code_digest: str, user_code_digest: str, device: DeviceAuthorization, now: float) -> bool:
        keys = [self._prefix + device_code_digest, self._user_codes + user_code_digest]
        arguments = (now, self._prefix, device_code_digest, ttl(device.expires_at, self._clock()), ttl(device.codes_expire_at, self._clock()))
        fields = (name_or_value for field in _device_fields(device).items() for name_or_value in field)
        return bool(self._redis.run(scripts.ADD_DEVICE, keys, (*arguments, *fields), repeatable=True))

    def find(self, device_code_digest: str, now: float) -> DeviceAuthorization | None:
        device = _device(self._redis.call("HMGET", self._prefix + device_code_digest, *DEVICE_FIELDS, repeatable=True))
        return unexpired(device, now) if device else None

    def find_by_user_code(self, user_code_digest: str, now: float) -> DeviceAuthorization | None:
        key = [self._user_codes + user_code_digest]
        device = _device(self._redis.run(scripts.DEVICE_OF_USER_CODE, key, (self._prefix, *DEVICE_FIELDS), repeatable=True))
        return device if device and device.codes_expire_at > now else None

    def decide(self, user_code_digest: str, *, approved: bool, subject: str, grant_id: str, now: float) -> bool:
        """Sent once: an answer that was lost on the way is StoreUnavailable, and it may count."""
        arguments = (now, self._prefix, int(approved), subject, grant_id)
        return bool(self._redis.run(scripts.DECIDE, [self._user_codes + user_code_digest], arguments, repeatable=False))

    def poll(self, device_code_digest: str, now: float, *, leeway: float) -> bool:
        return bool(self._redis.run(scripts.POLL, [self._prefix + device_code_digest], (now, leeway, SLOWER_BY), repeatable=False))

    def claim(self, device_code_digest: str, now: float) -> bool:
        """Sent once, as `RedisAuthorizationCodes.claim` is."""
        return bool(self._redis.run(scripts.CLAIM_DEVICE, [self._prefix + device_code_digest], (now,), repeatable=False))


class RedisRefreshTokens:
    def __init__(self, connections: RedisConnections, prefix: str, clock: Clock) -> None:
        self._redis, self._prefix, self._clock = connections, f"{prefix}refresh:", clock

    def add(self, token_digest: str, token: RefreshToken) -> None:
        fields = (name_or_value for field in token_fields(token).items() for name_or_value in field)
        self._redis.run(scripts.ADD_RECORD, [self._prefix + token_digest], (ttl(token.expires_at, self._clock()), *fields), repeatable=True)

    def find(self, token_digest: str, now: float) -> RefreshToken | None:
        record, rotated_at, dead = self._redis.call("HMGET", self._prefix + token_digest, "record", "rotated_at", "dead", repeatable=True)
        if record is None:
            return None
        return unexpired(load(RefreshToken, record, rotated_at=time_of(rotated_at), dead=dead == b"1"), now)

    def rotate(self, token_digest: str, successor_digest: str, successor: RefreshToken, *, now: float, grace: float) -> Rotation:
        """Sent once: an answer that was lost on the way is StoreUnavailable, and the token may be used up."""
        keys = [self._prefix + token_digest, self._prefix + successor_digest]
        arguments = (now, grace, self._prefix, successor_digest, *token_fields(successor).values(), ttl(successor.expires_at, now))
        return Rotation(self._redis.run(scripts.ROTATE, keys, arguments, repeatable=False).decode())


class RedisSingleUse:
    def __init__(self, connections: RedisConnections, prefix: str) -> None:
        self._redis, self._prefix, self._answers = connections, f"{prefix}once:", f"{prefix}answer:"

    def claim(self, single_use_id: str, until: float, now: float) -> bool:
        """Also False when `until` has passed: there is no time in which it could be the first."""
        if until <= now:
            return False
        return bool(self._redis.run(scripts.CLAIM_ONCE, [self._prefix + single_use_id], (now, until, ttl(until, now)), repeatable=False))

    def settle(self, question: str, answer: str, until: float, now: float) -> tuple[str, float]:
        """May be sent again: who was first stays so."""
        settled, answered_at = self._redis.run(scripts.SETTLE, [self._answers + question], (now, until, ttl(until, now), answer), repeatable=True)
        try:
            return settled.decode(), float(answered_at)
        except ValueError as error:
            raise StoreUnavailable(detail=f"A stored answer cannot be read: {error}") from error


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
            arguments = [argument for revocation in batch for argument in (revocation.until, ttl(revocation.until, now))]
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


def _newest_first(grants: Iterable[Grant]) -> list[Grant]:
    return sorted(grants, key=lambda grant: (-grant.created_at, grant.grant_id))


def _device_fields(device: DeviceAuthorization) -> dict[str, Any]:
    approved = "" if device.approved is None else int(device.approved)
    return {"record": dump(device), "codes_expire_at": device.codes_expire_at, "interval": device.interval, "approved": approved,
            "subject": device.subject, "grant_id": device.grant_id, "claimed": int(device.claimed)}


def _device(fields: Sequence[bytes | None] | None) -> DeviceAuthorization | None:
    """From the DEVICE_FIELDS; None where there is no record."""
    if not fields or fields[0] is None:
        return None
    try:
        record, interval, approved, subject, grant_id, claimed = (field or b"" for field in fields)
        changed = {"interval": int(interval), "approved": approved == b"1" if approved else None, "subject": subject.decode(),
                   "grant_id": grant_id.decode(), "claimed": claimed == b"1"}
    except ValueError as error:
        raise StoreUnavailable(detail=f"A stored device authorization cannot be read: {error}") from error
    return load(DeviceAuthorization, record, **changed)
