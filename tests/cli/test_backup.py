"""`flask backup` as an operator meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_server.backup import container

KEY, OTHER_KEY = "Kq7vRt2mXb9cLw4zNs8dHf3gJp6yAe1u", "Tb6nMk9pLq2vXs5cZd8fGh1jAe4uRw3y"
OTHER_SECRET = "Rw3yTb6nMk9pLq2vXs5cZd8fGh1jAe4u"
WITH_KEY = {"BACKUP_KEY": KEY}


@pytest.fixture(autouse=True)
def cheap_keys(monkeypatch):
    monkeypatch.setattr(container, "COST", 2)


@pytest.fixture
def backup(run):
    """backup("create", …) → what the command did, on a server with a key."""
    return lambda *arguments, **changes: run("backup", *arguments, **{**WITH_KEY, **changes})


@pytest.fixture
def client_id(run):
    return run("clients", "create", "--name", "Dev", "--redirect-uri", "https://dev1.service-now.com/oauth_redirect.do", "--json").json["client_id"]


@pytest.fixture
def made(backup, client_id):
    return backup("create", "one.mcpbackup", "--json").json


def test_a_backup_in_a_folder_gets_a_name_with_the_time(backup, client_id, tmp_path):
    made = backup("create", str(tmp_path), "--json").json
    assert made["file"].startswith(f"{tmp_path}/mcp-server-2")
    assert made["file"].endswith("Z.mcpbackup")
    assert made["clients"] == 1


def test_as_many_backups_stay_as_were_asked_for_and_nothing_of_anybody_else_is_touched(backup, machine, tmp_path):
    folder = tmp_path / "backups"
    older = [folder / f"mcp-server-2025010{day}T000000Z.mcpbackup" for day in range(1, 6)]
    others = [folder / name for name in ("before-restore-20250101T000000Z.mcpbackup", "mcp-server-old.mcpbackup", "20250101T000000Z.mcpbackup")]
    folder.mkdir()
    for path in older + others:
        path.touch()
    made = backup("create", str(folder), "--keep", "3", "--json").json
    assert sorted(made["removed"]) == [str(path) for path in older[:3]]
    assert set(folder.iterdir()) == {Path(made["file"]), *older[3:], *others}
    assert machine.audit[-1]["action"] == "backups_removed"
    assert machine.audit[-1]["details"]["files"] == made["removed"]


def test_nothing_is_removed_when_no_backup_could_be_made(backup, tmp_path):
    old = [tmp_path / f"mcp-server-2025010{day}T000000Z.mcpbackup" for day in (1, 2)]
    for path in old:
        path.touch()
    assert backup("create", str(tmp_path), "--keep", "1", STATE_PATH="/proc/nothing/state.db").status == 75
    assert all(path.exists() for path in old)


def test_a_backup_that_was_made_is_told_of_when_an_older_one_cannot_be_removed(backup, tmp_path):
    (tmp_path / "mcp-server-20250101T000000Z.mcpbackup").mkdir()  # no file: it cannot be unlinked
    done = backup("create", str(tmp_path), "--keep", "1")
    assert (done.status, "The backup was made." in done.err) == (1, True)
    assert len(list(tmp_path.glob("mcp-server-2*.mcpbackup"))) == 2


def test_without_an_argument_it_goes_to_the_configured_folder_which_is_made(backup, tmp_path):
    made = backup("create", "--json", BACKUP_PATH=str(tmp_path / "var/backups")).json
    assert Path(made["file"]).parent == tmp_path / "var/backups"
    assert (tmp_path / "var/backups").stat().st_mode & 0o077 == 0
    assert Path(backup("create", "--json").json["file"]).parent == Path()


def test_verify_says_what_is_in_it_and_which_secret_it_needs(backup, made):
    found = backup("verify", made["file"], "--json").json
    assert (found["clients"], found["fits_this_server"], found["registry"], found["state"]) == (1, True, "sqlite", "sqlite")
    assert len(found["secret_fingerprints"]) == 1
    shown = backup("verify", made["file"])
    assert "clients" in shown.out
    other = backup("verify", made["file"], JWT_SECRET=OTHER_SECRET)
    assert other.status == 0
    assert found["secret_fingerprints"][0] in other.err


def test_a_restore_over_what_is_there_has_to_be_asked_for_and_confirmed(backup, run, made, client_id):
    run("clients", "create", "--name", "Later", "--redirect-uri", "https://dev1.service-now.com/oauth_redirect.do")
    refused = backup("restore", made["file"])
    assert refused.status == 1
    assert "2 clients" in refused.err
    assert "--replace" in refused.err
    assert backup("restore", made["file"], "--replace", app=None).status == 1  # nobody answered
    assert len(run("clients", "list", "--json").json) == 2
    done = backup("restore", made["file"], "--replace", "--yes", "--json")
    assert done.status == 0
    assert [client["client_id"] for client in run("clients", "list", "--json").json] == [client_id]
    assert backup("verify", done.json["safety_copy"], "--json").json["clients"] == 2
    assert "audit log" in done.err


def test_a_revoked_client_does_not_come_back(backup, run, made, client_id):
    assert run("clients", "revoke", client_id).status == 0
    assert backup("restore", made["file"], "--json").json["left_out_as_revoked"] == 1
    assert run("clients", "list", "--json").json == []


def test_a_removed_signing_key_does_not_come_back(backup, run):
    first = run("keys", "rotate", "--json", JWT_ALGORITHM="ES256").json["kid"]
    made = backup("create", "keys.mcpbackup", "--json").json
    second = run("keys", "rotate", "--json", JWT_ALGORITHM="ES256").json["kid"]
    assert run("keys", "remove", first, JWT_ALGORITHM="ES256").status == 0
    assert backup("restore", made["file"], "--replace", "--yes", "--json").json["left_out_as_revoked"] == 1
    assert run("keys", "list", "--json", JWT_ALGORITHM="ES256").json == []
    assert second


def test_the_audit_hears_of_each_however_it_ends(backup, machine, made):
    backup("verify", made["file"])
    backup("verify", "missing.mcpbackup")
    backup("restore", made["file"])
    backup("restore", made["file"], "--replace", "--yes")
    heard = [(line["action"], line["result"]) for line in machine.audit if line["action"].startswith("backup_")]
    assert heard == [("backup_created", "success"), ("backup_verified", "success"), ("backup_verified", "failure"), ("backup_restored", "failure"),
                     ("backup_restored", "success")]
    assert KEY not in str(machine.audit)


def spoil(path, how):
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:-20], "other": b"PK\x03\x04" * 100, "newer": whole[:9] + b"\x09" + whole[10:]}[how])


@pytest.mark.parametrize(("how", "said"), [("cut", "damaged"), ("other", "no backup"), ("newer", "format 9")])
@pytest.mark.parametrize("command", ["verify", "restore"])
def test_a_file_that_will_not_do_is_65_and_said_in_words(*, backup, made, tmp_path, how, said, command):
    spoil(tmp_path / made["file"], how)
    done = backup(command, made["file"])
    assert done.status == 65
    assert said in done.err


@pytest.mark.parametrize(("arguments", "changes", "status", "said"), [
    (["create"], {"BACKUP_KEY": ""}, 1, "BACKUP_KEY is not set"),
    (["create", "two.mcpbackup", "--keep", "3"], {}, 2, "is none"),
    (["create", "--keep", "0"], {}, 2, "--keep"),
    (["create"], {"BACKUP_PATH": "/proc/nothing/backups"}, 1, "BACKUP_PATH must be a folder"),
    (["verify", "one.mcpbackup"], {"BACKUP_KEY": OTHER_KEY}, 65, "another BACKUP_KEY"),
    (["restore", "one.mcpbackup", "--replace", "--yes"], {"JWT_SECRET": OTHER_SECRET}, 1, "JWT_SECRET_PREVIOUS"),
    (["verify", "one.mcpbackup", "--key-file", "missing"], {}, 1, "cannot be read"),
    (["verify", "one.mcpbackup", "--key-file", "empty"], {}, 1, "at least 32"),
    (["verify", "one.mcpbackup", "--key-file", "key"], {"BACKUP_KEY": ""}, 0, ""),
    (["create", "one.mcpbackup"], {}, 1, "there already"),
    (["create", "nowhere/one.mcpbackup"], {}, 1, "no such file"),
    (["verify", "missing.mcpbackup"], {}, 1, "no such file"),
    (["create", "two.mcpbackup"], {"STATE_PATH": "/proc/nothing/state.db"}, 75, "storage"),
])
def test_what_is_wrong_is_said_with_a_status(*, backup, made, tmp_path, arguments, changes, status, said):
    (tmp_path / "empty").touch()
    (tmp_path / "key").write_text(f"{KEY}\n")
    done = backup(*arguments, **changes)
    assert (done.status, said in done.err) == (status, True), done.err
    assert not (tmp_path / "two.mcpbackup").exists()


@pytest.mark.parametrize("setting", ["JWT_SECRET", "DCR_AUTH_TOKEN"])
def test_a_key_that_is_another_secret_too_is_refused(new_machine, setting):
    done = new_machine.settings
    with pytest.raises(Exception, match="BACKUP_KEY is the same"):
        done(BACKUP_KEY=new_machine.environ[setting])
