"""Whether `flask doctor` notices that no backup is made, and keeps still where none is expected."""

from __future__ import annotations

import time

import pytest

from mcp_server.backup import backups, container
from mcp_server.oauth.models import Client

KEY = "Kq7vRt2mXb9cLw4zNs8dHf3gJp6yAe1u"
DAY = 86400
PRODUCTION = {"ENVIRONMENT": "production", "OAUTH_ISSUER": "https://localhost", "LLM_BACKEND": "ollama"}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "backups"
    made.mkdir()
    return made


def look(machine, **changes):
    return [(finding["level"], finding["said"], finding["next_step"]) for finding in machine.run("doctor", "--json", **changes).json
            if finding["check"] == "backup"]


def put(folder, *ages):
    for age in ages:
        (folder / backups.named("mcp-server", time.time() - age)).touch()


def register_a_client(machine, age):
    machine.services.clients.add(Client(
        "c1", "Dev", ("https://dev1.service-now.com/oauth_redirect.do",), ("authorization_code",), ("code",), "client_secret_basic",
        created_at=time.time() - age, origin="registration"))


@pytest.mark.parametrize(("ages", "level"), [((3600,), "ok"), ((40 * 3600, 9 * DAY), "ok"), ((2 * DAY + 60,), "fail"), ((9 * DAY, 3 * DAY), "fail")])
def test_the_newest_backup_must_be_of_the_last_two_days(*, machine, folder, ages, level):
    put(folder, *ages)
    [(found, _, next_step)] = look(machine, BACKUP_KEY=KEY, BACKUP_PATH=str(folder))
    assert (found, "systemctl list-timers" in next_step) == (level, level == "fail")


def test_what_the_command_makes_is_what_the_doctor_looks_for(machine, folder, monkeypatch):
    monkeypatch.setattr(container, "COST", 2)
    configured = {"BACKUP_KEY": KEY, "BACKUP_PATH": str(folder)}
    assert look(machine, **configured)[0][0] == "warn"
    assert machine.run("backup", "create", **configured).status == 0
    assert look(machine, **configured)[0][0] == "ok"


@pytest.mark.parametrize(("age", "level"), [(DAY, "warn"), (3 * DAY, "fail")])
def test_that_there_is_none_fails_once_there_is_something_to_lose(*, machine, folder, age, level):
    register_a_client(machine, age)
    (folder / "before-restore-20990101T000000Z.mcpbackup").touch()
    assert [found for found, _, _ in look(machine, BACKUP_KEY=KEY, BACKUP_PATH=str(folder))] == [level]
    assert [found for found, _, _ in look(machine, BACKUP_KEY=KEY, BACKUP_PATH=str(folder / "missing"))] == [level]


def test_a_folder_that_is_none_is_told(machine, tmp_path):
    (tmp_path / "file").touch()
    [(level, said, next_step)] = look(machine, BACKUP_KEY=KEY, BACKUP_PATH=str(tmp_path / "file"))
    assert (level, "not a directory" in said, "BACKUP_PATH" in next_step) == ("warn", True, True)


def test_a_missing_key_is_told_with_where_to_get_one(machine, folder):
    put(folder, 60)
    (level, said, next_step), newest = look(machine, BACKUP_PATH=str(folder))
    assert (level, "BACKUP_KEY is not set" in said, "flask secrets generate" in next_step) == ("warn", True, True)
    assert newest[0] == "ok"


@pytest.mark.parametrize(("changes", "words"), [
    ({}, ["BACKUP_KEY is not set"]),
    ({"BACKUP_KEY": KEY}, ["BACKUP_PATH is not set"]),
    ({"DATABASE_URL": "postgresql+psycopg://mcp:Jx3tTz9qLm4wRb@127.0.0.1:1/mcp"}, []),
])
def test_in_production_a_server_whose_data_are_files_is_expected_to_have_backups(machine, changes, words):
    assert [said.partition(":")[0].partition(",")[0] for _, said, _ in look(machine, **PRODUCTION, **changes)] == words


def test_nothing_is_said_at_a_trial(machine):
    register_a_client(machine, 9 * DAY)
    assert look(machine) == look(machine, BACKUP_KEY=KEY) == []
