"""The stores, and what they hold."""

from __future__ import annotations

from collections.abc import Iterator

from mcp_server.cli.checks.finding import Finding
from mcp_server.errors import StoreUnavailable
from mcp_server.storage import migrations
from mcp_server.storage.redis import RedisState
from mcp_server.web.services import Services, Store

PREPARE = "Run: python -m mcp_server.prepare"
NEARLY_FULL = 0.9
MANY_STALE, STALE_SECONDS = 20, 30 * 86400


def state(built: Services) -> Iterator[Finding]:
    settings = built.settings
    where, mend = ("Redis", "Start Redis, and check REDIS_URL.") if settings.redis_url else (
        str(settings.state_path), f"The folder must exist and be writable (STATE_PATH). {PREPARE}")
    pinged = _ping("state store", built.state, where, mend)
    yield pinged
    if pinged.level == "ok" and isinstance(built.state, RedisState):
        yield from _redis(built.state)


def _redis(redis: RedisState) -> Iterator[Finding]:
    try:
        facts = redis.facts()
    except StoreUnavailable:
        return
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield Finding("Redis policy", "fail",
                      f"Redis may forget what it is told ({policy}): tokens, codes and limits vanish when memory is short.",
                      "Set maxmemory-policy noeviction in redis.conf, and: redis-cli CONFIG SET maxmemory-policy noeviction")
    most, used = int(facts.get("maxmemory", 0)), int(facts.get("used_memory", 0))
    if most and used > NEARLY_FULL * most:
        yield Finding("Redis memory", "warn", f"Redis has used {used / most:.0%} of its maxmemory: then it refuses to write.",
                      "Raise maxmemory, or take what is not ours out of this Redis.")
    if facts.get("aof_enabled") == "0" and facts.get("save") == "":
        yield Finding("Redis on disk", "warn", "Redis writes nothing to disk: after its restart everybody approves anew. Revocations are kept.",
                      "Set appendonly yes in redis.conf, and: redis-cli CONFIG SET appendonly yes")
    elif facts.get("rdb_last_bgsave_status") == "err" or facts.get("aof_last_write_status") == "err":
        yield Finding("Redis on disk", "fail", "Redis could not write to its disk, and may refuse all writes.",
                      "Look at the log of Redis, and at the space on its disk.")


def registry(built: Services) -> Iterator[Finding]:
    where, mend = "the database of DATABASE_URL", "Check DATABASE_URL, and that the database runs and may be reached."
    try:
        if migrations.pending(built.settings.database_url):
            yield Finding("registry", "fail", "The tables are not there, or not those of this release.", PREPARE)
            return
    except StoreUnavailable as error:
        yield Finding("registry", "fail", f"{where} does not answer: {error.detail}", mend)
        return
    yield _ping("registry", built.registry, f"{where} (its tables are up to date)", mend)


def _ping(check: str, store: Store, where: str, mend: str) -> Finding:
    try:
        store.ping()
    except StoreUnavailable as error:
        return Finding(check, "fail", f"{where} does not answer: {error.detail or error.message}", mend)
    return Finding(check, "ok", f"{where} answers")


def people(built: Services) -> Iterator[Finding]:
    try:
        users = [user for user in built.users.all() if not user.disabled]
        clients, grants = len(built.clients.all()), len(built.grants.all(built.clock()))
    except StoreUnavailable:
        return  # the checks of the stores have said why
    if users or built.authorize.automatic:
        yield Finding("users", "ok", f"{len(users)} may sign in")
    else:
        yield Finding("users", "warn", "Nobody can sign in, so nobody can approve an application.", "Run: flask users add NAME")
    yield Finding("clients", "ok", f"{clients} registered, {grants} approvals that have not expired"
                  f"{'' if grants else ': no token was issued to a person yet'}")


def stale_clients(built: Services) -> Iterator[Finding]:
    """ServiceNow registers anew whenever somebody connects."""
    try:
        stale = len(built.administration.stale_clients(STALE_SECONDS))
    except StoreUnavailable:
        return
    if stale > MANY_STALE:
        yield Finding("stale clients", "warn", f"{stale} clients registered themselves, have no approval in force and were not used for 30 days.",
                      "Run: flask clients sweep --dry-run, and then without --dry-run.")
