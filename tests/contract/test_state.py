"""What holds for the hot state as a whole, in each back end."""

import dataclasses
import os
import re
import sqlite3
import stat
import subprocess
import sys
import uuid

import pytest
import redis as redis_py

from mcp_server.errors import StoreUnavailable
from mcp_server.llm.leases import Seat
from mcp_server.mcp.ports import Task
from mcp_server.oauth.models import AuthorizationCode, DeviceAuthorization, Grant, RefreshToken, Revocation
from mcp_server.storage import redis as redis_module
from mcp_server.storage.open import open_state
from mcp_server.storage.redis import RedisState
from mcp_server.storage.sqlite import SqliteState

CODE = AuthorizationCode("client", "https://example.com/cb", True, "tools:read", "user", "https://example.com/mcp", "grant", expires_at=1_000_060.0)
TOKEN = RefreshToken("client", "user", "tools:read", "https://example.com/mcp", "grant", expires_at=1_000_060.0)
DEVICE = DeviceAuthorization("client", "tools:read", "https://example.com/mcp", "192.0.2.1", requested_at=1_000_000.0, codes_expire_at=1_000_060.0,
                             expires_at=1_000_120.0, interval=5)
GRANT = Grant("grant", "client", "user", "tools:read", "https://example.com/mcp", created_at=1_000_000.0, expires_at=1_000_060.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "state.db"


@pytest.fixture
def file_state(path):
    state = SqliteState(path)
    yield state
    state.close()


@pytest.fixture
def raw(redis_url):
    with redis_py.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def redis_state(redis_url, now):
    state = RedisState(redis_url, prefix=f"{uuid.uuid4().hex}:", clock=lambda: now)
    yield state
    state.close()


def fill(state, now):
    """Use everything that is kept."""
    state.grants.add(GRANT)
    state.codes.add("code", CODE)
    state.codes.claim("code", now)
    state.devices.add("device", "user code", DEVICE, now)
    state.devices.poll("device", now, leeway=0)
    state.refresh_tokens.add("token", TOKEN)
    state.refresh_tokens.rotate("token", "successor", TOKEN, now=now, grace=60)
    state.refresh_tokens.rotate("token", "another", TOKEN, now=now, grace=60)
    state.single_use.claim("once", now + 60, now)
    state.single_use.settle("question", "yes", now + 60, now)
    state.revocations.put([Revocation(1, "revoked", now + 60)], now)
    state.revocations.mark_complete()
    state.revocations.admit(["revoked"], "caller", 60, now)
    state.journals.append("journal", b"entry", until=now + 60, now=now)
    state.sessions.set_log_level("session", "info", now + 60)
    state.listings.see("tools", "digest", until=now + 60, now=now)
    state.chats.add("chat", b"turn", most=2, until=now + 60, now=now)
    state.tasks.create(Task("task", "owner", "tool", b"{}", now, now + 60, now), most=2)
    state.tasks.create(Task("asks", "owner", "tool", b"{}", now, now + 60, now), most=2, lease="lease", until=now + 15)
    state.tasks.ask("asks", "lease", {"key": b"{}"}, now)
    for seat in (Seat("runs", "client", patient=False, since=now), Seat("waits", "client", patient=False, since=now)):
        state.model_slots.take(seat, most=1, patient_most=1, now=now, until=now + 15, waits_until=now + 1)


def test_a_redis_url_chooses_redis_and_none_the_file(path):
    assert isinstance(open_state("redis://127.0.0.1:1/0", path), RedisState)
    assert isinstance(open_state(None, path), SqliteState)
    assert not path.exists()


def test_a_state_that_answers_pings(state):
    state.ping()


def test_a_state_that_was_closed_opens_again_when_it_is_used(state, now):
    state.grants.add(GRANT)
    state.close()
    assert state.grants.find("grant", now) == GRANT


def test_a_sweep_keeps_what_has_not_expired(state, now):
    fill(state, now)
    state.sweep(1_000_000.0)
    assert state.codes.find("code", now).claimed is True
    assert state.refresh_tokens.find("another", now) == TOKEN
    assert state.revocations.any_revoked(["revoked"], now) is True


def test_a_sweep_deletes_what_has_expired_five_hundred_rows_a_table_at_a_time(file_state, path, now):
    file_state.revocations.put([Revocation(1, f"id{number}", now + 60) for number in range(1001)], now)
    fill(file_state, now)
    swept = [file_state.sweep(now + 3600) for _ in range(4)]
    # 1002 revocations; a grant, a code, a device, three tokens, one single use, one answer and one window of hits; an entry, a session,
    # a chat, two tasks and a question, two seats at the model
    assert swept == [518, 500, 2, 0]


def test_a_record_from_a_newer_release_is_read_without_what_is_new(redis_state, raw, now):
    redis_state.grants.add(GRANT)
    [key] = raw.keys(f"{redis_state.grants._prefix}*")
    raw.set(key, raw.get(key)[:-1] + b',"novelty":1}')
    assert redis_state.grants.find("grant", now) == GRANT


def test_a_copy_that_lost_everything_is_not_complete(redis_state, raw, now):
    fill(redis_state, now)
    raw.delete(*raw.keys(f"{redis_state.revocations._marker[:33]}*"))
    assert redis_state.revocations.any_revoked(["revoked"], now) is None
    assert redis_state.revocations.admit(["revoked"], "caller", 60, now).complete is False


def test_a_file_that_was_deleted_and_made_anew_is_not_complete(file_state, path, now):
    fill(file_state, now)
    file_state.close()
    for file in path.parent.iterdir():
        file.unlink()
    assert file_state.revocations.any_revoked(["revoked"], now) is None


def test_a_copy_whose_rows_were_deleted_is_not_complete(file_state, path, now):
    fill(file_state, now)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM revocations")
        connection.execute("DELETE FROM revocations_complete")
    connection.close()
    assert file_state.revocations.any_revoked(["revoked"], now) is None


def test_the_files_and_their_folder_are_private_whatever_the_umask(file_state, path, now):
    former = os.umask(0)
    try:
        fill(file_state, now)
    finally:
        os.umask(former)
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {
        "state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_is_not_a_database_is_an_outage_and_is_not_touched(file_state, path):
    path.parent.mkdir()
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreUnavailable, match="storage") as caught:
        file_state.ping()
    assert str(path) in caught.value.detail
    assert path.read_bytes() == b"garbage" * 1000


def test_a_folder_that_cannot_be_made_is_an_outage(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StoreUnavailable):
        SqliteState(tmp_path / "data" / "state.db").ping()


def test_a_lock_that_is_held_is_an_outage_of_writes_only(file_state, path, now):
    fill(file_state, now)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        file_state.codes.claim("code", now)
    assert file_state.revocations.any_revoked(["revoked"], now) is True
    other.close()
    assert file_state.single_use.claim("another", now + 60, now) is True


def test_a_failed_transaction_leaves_nothing_behind(file_state, now):
    file_state.refresh_tokens.add("token", TOKEN)
    with pytest.raises(StoreUnavailable):
        file_state.refresh_tokens.rotate("token", "token", TOKEN, now=now, grace=0)  # the successor's key is taken
    assert file_state.refresh_tokens.find("token", now) == TOKEN
    assert file_state.refresh_tokens.rotate("token", "successor", TOKEN, now=now, grace=0).value == "rotated"


@pytest.mark.parametrize("garbage", ["a wrong type", "not JSON", "another shape"])
def test_garbage_under_our_keys_is_an_outage_and_never_not_found(redis_state, raw, now, garbage):
    prefix = redis_state.grants._prefix.removesuffix("grant:")
    names = ("grant", "code", "device", "user-code", "refresh", "once", "revoked", "grants-of", "answer")
    for key in (*(f"{name}:id" for name in names), f"hits:caller:60:{int(now // 60)}"):
        if garbage == "a wrong type":
            raw.rpush(prefix + key, "garbage")
        elif key.startswith("answer"):
            raw.hset(prefix + key, mapping={"until": now + 60, "answer": b"\xff{", "at": "then"})
        elif key.startswith(("code", "device", "refresh")):
            times = dict.fromkeys(("expires_at", "rotated_at", "codes_expire_at", "polled_at", "interval"), "soon")
            raw.hset(prefix + key, mapping={"record": b"\xff{" if garbage == "not JSON" else "{}", **times})
        elif key.startswith("user-code"):
            raw.set(prefix + key, "id")
        else:
            raw.set(prefix + key, b"\xff{" if garbage == "not JSON" else "{}")
    for call in (
        lambda: redis_state.grants.find("id", now),
        lambda: redis_state.grants.all(now),
        lambda: redis_state.grants.of_subject("id", now),
        lambda: redis_state.codes.find("id", now),
        lambda: redis_state.codes.claim("id", now),
        lambda: redis_state.devices.find("id", now),
        lambda: redis_state.devices.find_by_user_code("id", now),
        lambda: redis_state.devices.decide("id", approved=True, subject="user", grant_id="grant", now=now),
        lambda: redis_state.devices.poll("id", now, leeway=1),
        lambda: redis_state.devices.claim("id", now),
        lambda: redis_state.devices.add("other", "id", DEVICE, now),
        lambda: redis_state.refresh_tokens.find("id", now),
        lambda: redis_state.refresh_tokens.rotate("id", "other", TOKEN, now=now, grace=0),
        lambda: redis_state.single_use.claim("id", now + 60, now),
        lambda: redis_state.single_use.settle("id", "yes", now + 60, now),
        lambda: redis_state.revocations.any_revoked(["id"], now),
        lambda: redis_state.revocations.admit(["id"], "caller", 60, now),
        lambda: redis_state.revocations.admit(["other"], "caller", 60, now),
        lambda: redis_state.revocations.put([Revocation(1, "id", now + 60)], now),
    ):
        with pytest.raises(StoreUnavailable):
            call()


def test_every_redis_key_runs_out_and_is_in_the_documented_list(redis_state, raw, now):
    fill(redis_state, now)
    redis_state.write(now)
    prefix = redis_state.grants._prefix.removesuffix("grant:")
    keys = [key.decode() for key in raw.keys(f"{prefix}*")]
    assert [key for key in keys if raw.pttl(key) <= 0] == []
    documented = re.findall(r"^    (\S+) ", redis_module.__doc__, re.MULTILINE)
    patterns = {name: re.compile(re.sub(r"\\\{\w+\\\}", "[^:]+", re.escape(name))) for name in documented}
    used = [[name for name, pattern in patterns.items() if pattern.fullmatch(key.removeprefix(prefix))] for key in keys]
    assert all(len(names) == 1 for names in used)
    assert {name for names in used for name in names} == set(documented)


def test_a_full_redis_still_says_what_is_revoked_and_takes_no_writes(redis_state, raw, now):
    fill(redis_state, now)
    raw.config_set("maxmemory", 1)
    try:
        admission = redis_state.revocations.admit(["revoked"], "caller", 60, now)
        with pytest.raises(StoreUnavailable):
            redis_state.revocations.put([Revocation(1, "other", now + 60)], now)
        with pytest.raises(StoreUnavailable):
            redis_state.codes.add("another", CODE)
        with pytest.raises(StoreUnavailable):
            redis_state.refresh_tokens.rotate("another", "newest", TOKEN, now=now, grace=0)
        assert redis_state.codes.find("code", now) is not None
    finally:
        raw.config_set("maxmemory", 0)
    assert dataclasses.astuple(admission)[:3] == (True, True, 0)


IN_GREENLETS = """
from gevent import monkey; monkey.patch_all()
import sys, gevent
from pathlib import Path
from mcp_server.storage.open import open_state
url, path = sys.argv[1] or None, Path(sys.argv[2])
state = open_state(url, path)
counter = "greenlets" + str(path)
jobs = [gevent.spawn(state.revocations.admit, ["a", "b"], counter, 3600, 1e6) for _ in range(600)]
gevent.joinall(jobs, raise_error=True)
print(sorted(job.value.hits for job in jobs) == list(range(1, 601)))
state.close()
"""


@pytest.mark.parametrize("back_end", ["sqlite", "redis"])
def test_more_greenlets_than_connections_are_all_served(back_end, path, request):
    url = request.getfixturevalue("redis_url") if back_end == "redis" else ""
    done = subprocess.run([sys.executable, "-c", IN_GREENLETS, url, str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
