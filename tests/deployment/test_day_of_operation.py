"""A day of operation on one machine: what operators do and what breaks, while clients work on. Nothing that was answered is contradicted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from mcp_server.oauth.key_records import PUBLISHED_FIRST
from tests.installed import ANSWERS, VENV, Installation, Sources
from tests.promises import Promises, kid_of
from tests.running import until
from tests.servers import end, free_port, wait_until

NEXT_SECRET, NEXT_TOKEN = "Lq8sVn3xYc6wRt1mKd5hGf9zPb2jTe7u", "Qx7cVb1nMl4kJh8gFd2sAp6oIu3yTr9e"
BACKUP_KEY = "Kq7vRt2mXb9cLw4zNs8dHf3gJp6yAe1u"
WORKERS = 2


class OwnRedis:
    """The Redis instance of the installation, as its unit would start it: what it was told survives a kill."""

    def __init__(self, installed) -> None:
        self.port = free_port()
        self._configuration = installed.path("etc/redis/redis-mcp-server.conf")
        self._password = installed.secret("REDIS_PASSWORD").read_text()
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["redis-server", self._configuration, "--port", str(self.port)], stdout=subprocess.DEVNULL)
        wait_until(self._answers, self.process)

    def _answers(self):
        asked = ["redis-cli", "-p", str(self.port), "ping"]
        return b"PONG" in subprocess.run(asked, env={**os.environ, "REDISCLI_AUTH": self._password}, capture_output=True, check=False).stdout

    def kill(self):
        end(self.process, self.process.kill)


@pytest.fixture
def installed(tmp_path):
    built = Installation(tmp_path / "root", Sources(tmp_path / "sources"))
    built.run("install", "--venv", VENV, *ANSWERS)
    yield built
    built.stop()


@pytest.fixture
def redis(installed):
    built = OwnRedis(installed)
    built.start()
    yield built
    built.kill()


def done(installed, *command):
    ran = installed.command(*command)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def change_jwt_secret(installed):
    """In two reloads, as docs/operations.md has it."""
    former = installed.secret("JWT_SECRET").read_text()
    for now, other in ((former, NEXT_SECRET), (NEXT_SECRET, former)):
        installed.secret("JWT_SECRET").write_text(now)
        installed.secret("JWT_SECRET_PREVIOUS").write_text(other)
        installed.reload()
    done(installed, "keys", "rewrap")


def change_registration_token(installed, promises):
    """Who types the former one goes on; then everybody has the next, and the former ends."""
    former = installed.secret("DCR_AUTH_TOKEN").read_text()
    installed.secret("DCR_AUTH_TOKEN_PREVIOUS").write_text(former)
    installed.secret("DCR_AUTH_TOKEN").write_text(NEXT_TOKEN)
    installed.reload()
    promises.go_on()
    promises.registration_token = NEXT_TOKEN
    promises.go_on(more=10)
    installed.secret("DCR_AUTH_TOKEN_PREVIOUS").unlink()
    installed.reload()


def change_key(installed, promises):
    """The next key signs when it was published for a while: here that time is over at once, for whoever has seen it."""
    kid = json.loads(done(installed, "keys", "rotate", "--json"))["kid"]
    until(lambda: all(kid in {key["kid"] for key in installed.get("/oauth/jwks.json")[1]["keys"]} for _ in range(8)), "every worker publishes it")
    promises.go_on()
    path = installed.path("var/lib/mcp-server/mcp-server.db")
    with contextlib.closing(sqlite3.connect(path, timeout=20)) as database, database:
        database.execute("UPDATE signing_keys SET created_at = created_at - ?, retired_at = retired_at - ?", (PUBLISHED_FIRST + 1,) * 2)
    until(lambda: promises.contradictions or {kid_of(each["access_token"]) for each in promises.in_force.values()} == {kid}, "it signs")


def kill_a_worker(installed):
    before = installed.workers()
    os.kill(min(before), signal.SIGKILL)
    until(lambda: len(installed.workers() - {min(before)}) == WORKERS, "another one is there")


def kill(redis, promises):
    """It is down until somebody was told so."""
    redis.kill()
    until(lambda: promises.failures["Redis is killed", "503 with Retry-After"] >= 3, "clients hear of it", 20)
    redis.start()


def upgrade(installed):
    installed.sources.version("9.1.0")
    installed.upgrade()
    until(lambda: installed.process.poll() == 0, "the old one has left")
    assert installed.get("/health/live")[1]["version"] == "9.1.0"


def lose_the_database(installed, promises, backups):
    """After a backup, and after somebody has revoked what is in it. Redis is whole."""
    leaving = promises.connect()
    with promises.paused():
        done(installed, "backup", "create", str(backups))
        promises.revoke(*leaving)
        installed.end()
    for each in installed.path("var/lib/mcp-server").glob("mcp-server.db*"):
        each.unlink()
    [file] = backups.iterdir()
    done(installed, "backup", "restore", "--keep-state", str(file))
    installed.start()


@pytest.mark.requirement("OPS-006")
def test_a_day_of_operation_contradicts_nothing_that_was_answered(installed, redis, tmp_path):
    installed.set(REDIS_PORT=redis.port, WEB_CONCURRENCY=WORKERS, AUTHORIZATION_MODE="auto", JWT_ALGORITHM="ES256", ECHO_TOOL="on",
                  RATE_LIMIT_OAUTH_MAX=0, RATE_LIMIT_MCP_MAX=0, OAUTH_ISSUER=f"https://localhost:{installed.port}")
    installed.secret("BACKUP_KEY").write_text(BACKUP_KEY)
    backups = tmp_path / "backups"
    backups.mkdir()
    installed.start()
    assert "steps passed" in done(installed, "servicenow", "simulate", f"http://localhost:{installed.port}", "--tool", "echo")
    promises = Promises(installed, installed.secret("DCR_AUTH_TOKEN").read_text())
    try:
        with promises:
            for act, step in {
                "nothing happens": promises.go_on,
                "JWT_SECRET in two reloads": lambda: change_jwt_secret(installed),
                "DCR_AUTH_TOKEN": lambda: change_registration_token(installed, promises),
                "the signing key": lambda: change_key(installed, promises),
                "a worker is killed": lambda: kill_a_worker(installed),
                "Redis is killed": lambda: kill(redis, promises),
                "the database is lost": lambda: lose_the_database(installed, promises, backups),
                "an upgrade": lambda: upgrade(installed),
            }.items():
                with promises.during(act):
                    step()
    finally:
        sys.stdout.write(f"\n{promises.table()}\n")
    assert promises.contradictions == []
    for act in ("nothing happens", "JWT_SECRET in two reloads", "DCR_AUTH_TOKEN", "the signing key", "an upgrade"):
        assert promises.failed(act) == {}, act
    assert promises.failed("a worker is killed").keys() <= {"cut off without an answer"}
    assert promises.failed("Redis is killed").keys() == {"503 with Retry-After"}
    assert promises.failed("the database is lost").keys() <= {"nobody listens", "cut off without an answer", "503 with Retry-After"}
    assert "Traceback" not in installed.log.read_text()
