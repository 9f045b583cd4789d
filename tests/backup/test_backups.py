"""What a backup holds, and what it is to come back from one: every back end into every other."""

from __future__ import annotations

import uuid
from dataclasses import replace

import orjson
import pytest

from mcp_server.backup import contents
from mcp_server.backup.backups import Backups, NotEmpty, OtherSecret, fingerprint
from mcp_server.backup.container import BackupError, DamagedBackup, NewerBackup, Sealer
from mcp_server.errors import StoreUnavailable
from mcp_server.oauth.models import Client, Grant, InitialAccessToken, RefreshToken, Revocation, Rotation, SigningKey, User
from mcp_server.storage.migrations import migrate
from mcp_server.storage.redis import RedisState
from mcp_server.storage.registry import Registry
from mcp_server.storage.sqlite import SqliteState
from tests.contract.conftest import NOW

KEY = "Kq7vRt2mXb9cLw4zNs8dHf3gJp6yAe1u"
SECRET, OTHER_SECRET = "kV9mRr2Yb7xQ4tWz8nLs3cHd6fJg1pAe", "Rw3yTb6nMk9pLq2vXs5cZd8fGh1jAe4u"
ISSUER = "https://mcp.acme.test"
LATER = NOW + 5000.0

CLIENT = Client("client-1", "ServiceNow", ("https://dev1.service-now.com/oauth_redirect.do",), ("authorization_code",), ("code",),
                "client_secret_basic", created_at=NOW - 0.123456789, client_secret_digests=("digest",), metadata={"client_uri": "https://dev1.service-now.com"})
USER = User("user-1", "Ada", "hash", NOW - 1, operator=True)
TOKEN = InitialAccessToken("token-1", "dev", "token-digest", NOW, uses_left=3)
SIGNING_KEY = SigningKey("kid-1", "ES256", "wrapped", NOW)
GRANT = Grant("grant-1", "client-1", "user-1", "tools:read", f"{ISSUER}/mcp", NOW - 10, LATER, ends_at=LATER + 10)
REFRESH = RefreshToken("client-1", "user-1", "tools:read", f"{ISSUER}/mcp", "grant-1", LATER)


def backups_of(registry, state, *secrets):
    return Backups(registry, state, issuer=ISSUER, secrets=secrets or (SECRET,), clock=lambda: NOW)


def fill(registry, state):
    registry.clients.add(CLIENT)
    registry.users.add(USER)
    registry.initial_access_tokens.add(TOKEN)
    registry.signing_keys.add_first(SIGNING_KEY)
    registry.imports.take_over("content", [], NOW)
    registry.revocations.record(["grant-0"], LATER)
    state.grants.add(GRANT)
    state.refresh_tokens.add("first", REFRESH)
    assert state.refresh_tokens.rotate("first", "second", REFRESH, now=NOW, grace=60) is Rotation.ROTATED


@pytest.fixture
def filled(registry, state):
    fill(registry, state)
    return backups_of(registry, state)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "one.mcpbackup"


@pytest.fixture(params=["sqlite", "redis"])
def other_state(request, tmp_path):
    opened = SqliteState(tmp_path / "other-state.db") if request.param == "sqlite" else RedisState(
        request.getfixturevalue("redis_url"), prefix=f"{uuid.uuid4().hex}:", clock=lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture
def empty(tmp_path, other_state):
    """An empty server, without tables even. `empty(*secrets)` → its backups, registry and state."""
    registry = Registry(f"sqlite:///{tmp_path}/other.db")
    yield lambda *secrets: (backups_of(registry, other_state, *secrets), registry, other_state)
    registry.close()


@pytest.fixture
def sqlite_server(tmp_path):
    """A full server on files, for what does not depend on the back end."""
    migrate(f"sqlite:///{tmp_path}/full.db")
    registry, state = Registry(f"sqlite:///{tmp_path}/full.db"), SqliteState(tmp_path / "full-state.db")
    fill(registry, state)
    yield backups_of(registry, state), registry, state
    registry.close()
    state.close()


def holds_everything(registry, state):
    assert registry.clients.all() == [CLIENT]
    assert registry.users.all() == [USER]
    assert registry.initial_access_tokens.all() == [TOKEN]
    assert registry.signing_keys.all() == [SIGNING_KEY]
    assert registry.imports.take_over("content", [replace(CLIENT, client_id="again")], NOW) == 0
    assert registry.clients.find("again") is None
    assert registry.revocations.any_revoked(["grant-0"], NOW)
    assert state.grants.all(NOW) == [GRANT]
    assert state.grants.of_subject("user-1", NOW) == [GRANT]
    assert state.refresh_tokens.find("first", NOW).rotated_at == NOW
    return True


@pytest.mark.requirement("REC-001")
def test_a_restored_server_is_the_one_that_was_saved_whatever_it_stores_in(filled, file, empty):
    counts = filled.create(file, KEY)
    assert counts == {"clients": 1, "users": 1, "initial_access_tokens": 1, "signing_keys": 1, "imports": 1, "revocations": 1, "grants": 1,
                      "refresh_tokens": counts["refresh_tokens"]}
    assert file.stat().st_mode & 0o777 == 0o600
    backups, registry, state = empty()
    restored = backups.restore(file, KEY, replace=False, keep_state=False)
    assert (restored.safety_copy, restored.left_out) == (None, {})
    assert holds_everything(registry, state)
    # The chain of refresh tokens goes on where it was: the used one is evidence, its successor is live, and the grace still counts.
    assert state.refresh_tokens.rotate("first", "instead", REFRESH, now=NOW + 1, grace=60) is Rotation.REPEATED
    assert state.refresh_tokens.rotate("second", "third", REFRESH, now=NOW + 1, grace=60) is Rotation.REUSED
    assert state.refresh_tokens.rotate("instead", "third", REFRESH, now=NOW + 1, grace=60) is Rotation.ROTATED


def test_a_backup_is_of_one_moment_though_others_write(sqlite_server, file):
    backups, registry, _ = sqlite_server
    rows = registry.snapshot.rows(NOW)
    next(rows)
    registry.users.remove("Ada")
    registry.revocations.record(["late"], LATER)
    left = list(rows)
    assert ("users", "user-1") in [(kind, row.get("user_id")) for kind, row in left]
    assert "late" not in [row.get("revoked_id") for _, row in left]
    assert backups.create(file, KEY)["users"] == 0


def test_what_is_refreshed_while_redis_is_read_leaves_one_live_branch(redis_url):
    state = RedisState(redis_url, prefix=f"{uuid.uuid4().hex}:", clock=lambda: NOW)
    state.grants.add(GRANT)
    state.refresh_tokens.add("first", REFRESH)
    read = state.snapshot.records(NOW)
    original = state.snapshot._tokens
    refreshed = []

    def refresh_in_between(keys, now, *, and_successors):
        if and_successors and not refreshed:  # the first look saw `first` alive
            refreshed.append(state.refresh_tokens.rotate("first", "second", REFRESH, now=NOW, grace=60))
        return original(keys, now, and_successors=and_successors)

    state.snapshot._tokens = refresh_in_between
    newest = {record.digest: record.token for record in read if not isinstance(record, Grant)}
    state.close()
    assert refreshed == [Rotation.ROTATED]
    assert [digest for digest, token in newest.items() if token.rotated_at is None and not token.dead] == ["second"]


@pytest.mark.requirement("REC-002")
def test_what_is_revoked_here_or_there_stays_revoked(filled, registry, state, file, empty):
    filled.create(file, KEY)
    backups, target, target_state = empty()
    migrate(target._database.url.render_as_string(hide_password=False))
    target.revocations.record(["client:client-1"], LATER)
    target_state.revocations.put([_revocation("key:kid-1", LATER), _revocation("user:user-1", LATER)], NOW)  # the database was lost, the copy was not
    restored = backups.restore(file, KEY, replace=False, keep_state=False)
    assert restored.left_out == {"clients": 1, "users": 1, "signing_keys": 1, "grants": 1, "refresh_tokens": 2}
    assert (target.clients.all(), target.users.all(), target.signing_keys.all(), target_state.grants.all(NOW)) == ([], [], [], [])
    assert target_state.refresh_tokens.find("second", NOW) is None
    for revoked_id in ("grant-0", "client:client-1", "user:user-1", "key:kid-1"):
        assert target.revocations.any_revoked([revoked_id], NOW), revoked_id


def test_a_revocation_of_one_grant_ends_that_one_alone(sqlite_server, file):
    backups, registry, state = sqlite_server
    state.grants.add(replace(GRANT, grant_id="grant-2"))
    backups.create(file, KEY)
    registry.revocations.record(["grant-1"], LATER)
    assert backups.restore(file, KEY, replace=True, keep_state=False).left_out == {"grants": 1, "refresh_tokens": 2}
    assert [grant.grant_id for grant in state.grants.all(NOW)] == ["grant-2"]
    assert registry.clients.all() == [CLIENT]


def test_who_was_shut_out_since_the_backup_stays_shut_out(sqlite_server, file):
    backups, registry, _ = sqlite_server
    backups.create(file, KEY)
    registry.users.replace(replace(USER, disabled=True))
    assert backups.restore(file, KEY, replace=True, keep_state=False).disabled == 1
    assert registry.users.find("Ada").disabled


@pytest.mark.requirement("REC-003")
def test_a_server_that_is_not_empty_is_replaced_only_when_asked_and_saved_before(filled, registry, state, file):
    filled.create(file, KEY)
    registry.clients.add(replace(CLIENT, client_id="client-2"))
    with pytest.raises(NotEmpty, match=r"2 clients, 1 users.*--replace"):
        filled.restore(file, KEY, replace=False, keep_state=False)
    restored = filled.restore(file, KEY, replace=True, keep_state=False)
    assert holds_everything(registry, state)
    assert restored.safety_copy.parent == file.parent
    assert filled.verify(restored.safety_copy, KEY).counts["clients"] == 2


def test_with_a_lost_database_alone_approvals_go_on_as_they_are(sqlite_server, file, tmp_path):
    backups, _, state = sqlite_server
    backups.create(file, KEY)
    state.refresh_tokens.rotate("second", "third", REFRESH, now=NOW, grace=60)  # after the backup
    fresh = Registry(f"sqlite:///{tmp_path}/fresh.db")
    restored = backups_of(fresh, state).restore(file, KEY, replace=False, keep_state=True)
    assert restored.safety_copy is None
    assert fresh.clients.all() == [CLIENT]
    assert state.refresh_tokens.find("third", NOW) == REFRESH
    fresh.close()


@pytest.mark.requirement("REC-004")
@pytest.mark.parametrize("secrets", [(OTHER_SECRET,), (OTHER_SECRET, SECRET)])
def test_a_backup_of_another_secret_is_refused_unless_that_one_is_named_too(sqlite_server, file, empty, secrets):
    sqlite_server[0].create(file, KEY)
    backups, _, _ = empty(*secrets)
    if SECRET in secrets:
        assert backups.restore(file, KEY, replace=False, keep_state=False).missing_secrets == []
        return
    with pytest.raises(OtherSecret, match=f"{fingerprint(SECRET)}.*JWT_SECRET_PREVIOUS"):
        backups.restore(file, KEY, replace=False, keep_state=False)
    assert SECRET not in fingerprint(SECRET)
    assert not backups.verify(file, KEY).fits


def test_what_has_ended_since_is_not_brought_back(sqlite_server, file, empty):
    sqlite_server[0].create(file, KEY)
    backups, registry, state = empty()
    backups._clock = lambda: LATER + 1
    backups.restore(file, KEY, replace=False, keep_state=False)
    assert registry.clients.all() == [CLIENT]
    assert list(state.snapshot.records(NOW)) == []


# --- all or nothing ---


@pytest.mark.requirement("REC-005")
@pytest.mark.parametrize("fails", ["the last row", "the hot state"])
def test_a_restore_that_fails_leaves_everything_as_it_was(*, filled, registry, state, file, monkeypatch, fails):
    filled.create(file, KEY)
    registry.clients.add(replace(CLIENT, client_id="client-2"))
    state.grants.add(replace(GRANT, grant_id="grant-2"))
    before = registry.clients.all(), registry.users.all(), state.grants.all(NOW), state.refresh_tokens.find("second", NOW)
    if fails == "the last row":
        read = contents.entries

        def cut(*arguments):
            yield from read(*arguments)
            if monkeypatch.cutting:
                raise DamagedBackup("the disk gave something else")

        monkeypatch.cutting = False
        monkeypatch.setattr(contents, "entries", cut)
        original = filled._safety_copy
        monkeypatch.setattr(filled, "_safety_copy", lambda *arguments: (original(*arguments), setattr(monkeypatch, "cutting", True))[0])
        expected = DamagedBackup
    else:
        monkeypatch.setattr(state.snapshot, "_in_one_step", _fail, raising=False)
        if isinstance(state, SqliteState):
            monkeypatch.setattr("mcp_server.storage.sqlite_snapshot.SqliteReplacement.add", _fail)
        expected = StoreUnavailable
    with pytest.raises(expected):
        filled.restore(file, KEY, replace=True, keep_state=False)
    assert (registry.clients.all(), registry.users.all(), state.grants.all(NOW), state.refresh_tokens.find("second", NOW)) == before


def _fail(*_):
    raise StoreUnavailable


def test_a_backup_that_cannot_be_finished_leaves_no_file(sqlite_server, tmp_path, monkeypatch):
    backups, _, state = sqlite_server
    monkeypatch.setattr(state.snapshot, "records", lambda _: iter([GRANT, _Unwritable()]))
    folder = tmp_path / "backups"
    folder.mkdir()
    with pytest.raises(TypeError):
        backups.create(folder / "one.mcpbackup", KEY)
    assert list(folder.iterdir()) == []


class _Unwritable:
    pass


def test_a_backup_replaces_no_file(sqlite_server, file):
    file.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        sqlite_server[0].create(file, KEY)
    assert file.read_bytes() == b"mine"


# --- contents that are genuine and yet will not do ---

HEADER = {"created_at": NOW, "release": "9.9", "issuer": ISSUER,
          "registry": "sqlite", "state": "sqlite", "revision": "", "secrets": [fingerprint(SECRET)]}
CASES = [
    ("no header", [["clients", {}]], DamagedBackup),
    ("a header without parts", [["header", {}]], DamagedBackup),
    ("not JSON", ["{"], DamagedBackup),
    ("not a kind and an object", [["header", HEADER], ["clients", 5]], DamagedBackup),
    ("no end", [["header", HEADER], ["users", {}]], DamagedBackup),
    ("another number than the end says", [["header", HEADER], ["end", {"clients": 1}]], DamagedBackup),
    ("more kinds than the end says", [["header", HEADER], ["clients", {}], ["end", {"users": 0}]], DamagedBackup),
    ("something after the end", [["header", HEADER], ["end", {}], ["end", {}]], DamagedBackup),
    ("a kind that nobody knows", [["header", HEADER], ["sessions", {}], ["end", {"sessions": 1}]], BackupError),
    ("a grant without parts", [["header", HEADER], ["grants", {"grant_id": "x"}], ["end", {"grants": 1}]], DamagedBackup),
    ("tables of a newer release", [["header", {**HEADER, "revision": "9999"}], ["end", {}]], NewerBackup),
    ("a column that nobody knows", [["header", HEADER], ["imports", {"content_digest": "x", "imported_at": 1, "more": 1}], ["end", {"imports": 1}]],
     DamagedBackup),
    ("a row without what it needs", [["header", HEADER], ["imports", {"content_digest": "x"}], ["end", {"imports": 1}]], BackupError),
    ("a row twice", [["header", HEADER], *[["imports", {"content_digest": "x", "imported_at": 1}]] * 2, ["end", {"imports": 2}]], BackupError),
]


@pytest.mark.parametrize(("lines", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_was_not_written_by_us_is_refused_and_changes_nothing(sqlite_server, file, lines, expected):
    backups, registry, state = sqlite_server
    with file.open("wb") as sealed:
        sealer = Sealer(sealed, KEY)
        sealer.write(b"".join((line.encode() if isinstance(line, str) else orjson.dumps(line)) + b"\n" for line in lines))
        sealer.finish()
    with pytest.raises(expected):
        backups.restore(file, KEY, replace=True, keep_state=False)
    assert holds_everything(registry, state)


def _revocation(revoked_id, until):
    return Revocation(0, revoked_id, until)
