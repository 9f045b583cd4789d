"""Disks and files that fail under a running server: it says so, loses nothing that it has answered, and recovers by itself."""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import sqlite3
import subprocess

import pytest

from tests.running import SECRETS, until

REGISTRATION = json.dumps({"redirect_uris": ["http://127.0.0.1/callback"], "client_name": "x" * 190})
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {SECRETS['DCR_AUTH_TOKEN']}"}


class Disk:
    """A small file system of its own, under the server's data. Only root can mount one."""

    def __init__(self, folder):
        self._folder = folder
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=700", "tmpfs", folder], check=True)

    def fill(self):
        with contextlib.suppress(OSError), (self._folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)

    def free(self):
        (self._folder / "filler").unlink()

    @contextlib.contextmanager
    def read_only(self, *writers):
        """As the kernel leaves a file system that failed: no write succeeds, and whoever opens a file gets it for reading.

        A file system with open files cannot be remounted, so the writers are kept from writing, and the read-only mount lies on top.
        """
        subprocess.run(["mount", "--bind", self._folder, self._folder], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", self._folder], check=True)
        former = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY)) for pid in writers}
        try:
            yield
        finally:
            for pid, limit in former.items():
                resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
            subprocess.run(["umount", "--lazy", self._folder], check=True)

    def remove(self):
        subprocess.run(["umount", "--lazy", self._folder], check=True)


@pytest.fixture
def disk(gateway):
    built = Disk(gateway.folder / "data")
    yield built
    gateway.stop()
    built.remove()


@pytest.fixture
def server(gateway):
    gateway.configured(RATE_LIMIT_OAUTH_MAX=0)
    return gateway.started()


def register(server):
    status, body = server.request("POST", "/register", REGISTRATION, HEADERS)
    return status, json.loads(body)


def ready(server):
    status, body = server.request("GET", "/health/ready")
    services = json.loads(body)["services"]
    return status, {name: services[name] for name in ("state", "registry")}


def retry_after(server, method, path, body=None, headers=None):
    with contextlib.closing(server.connection()) as connection:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, int(answer.headers.get("Retry-After", 0))


def clients(server):
    with contextlib.closing(sqlite3.connect(server.folder / "data/mcp-server.db")) as connection:
        return {client_id for (client_id,) in connection.execute("SELECT client_id FROM clients")}


def until_refused(server, acknowledged):
    """Register until there is no room, which takes a while where the log of SQLite has some left."""
    for _ in range(2000):
        status, body = register(server)
        if status == 503:
            return
        assert status == 201
        acknowledged.append(body["client_id"])
    raise AssertionError("the disk never filled")


@pytest.mark.requirement("F08")
def test_a_full_disk_is_said_loses_nothing_that_was_answered_and_heals(disk, server):
    acknowledged = [register(server)[1]["client_id"]]
    disk.fill()
    until_refused(server, acknowledged)
    until(lambda: ready(server) == (503, {"state": "read-only", "registry": "read-only"}), "not ready, and why")
    assert retry_after(server, "GET", "/health/ready") == (503, 5)
    assert retry_after(server, "POST", "/register", REGISTRATION, HEADERS) == (503, 5)
    assert server.get("/health/live") == 200
    assert server.call_tool("echo", message="still there")[0] == 200
    disk.free()
    until(lambda: ready(server)[0] == 200, "ready again")
    assert register(server)[0] == 201
    assert set(acknowledged) <= clients(server)
    assert "Traceback" not in server.output()


@pytest.mark.requirement("F09")
def test_a_file_system_that_became_read_only_is_said_and_heals_when_it_takes_writes_again(disk, server):
    acknowledged = [register(server)[1]["client_id"]]
    with disk.read_only(*server.live_workers()):
        _, services = until(lambda: (found := ready(server))[0] == 503 and found, "not ready")
        assert set(services.values()) <= {"read-only", "down"}
        for _ in range(3):  # each opens the file anew
            assert retry_after(server, "POST", "/register", REGISTRATION, HEADERS) == (503, 5)
    until(lambda: ready(server)[0] == 200, "ready again")
    acknowledged.append(register(server)[1]["client_id"])
    assert set(acknowledged) <= clients(server)
    assert "Traceback" not in server.output()


@pytest.mark.requirement("F23")
@pytest.mark.parametrize(("name", "part"), [("mcp-server.db", "registry"), ("state.db", "state")])
def test_a_file_that_is_damaged_under_the_server_is_said_and_a_whole_one_in_its_place_is_taken(server, name, part):
    acknowledged = register(server)[1]["client_id"]
    path = server.folder / "data" / name
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(server.folder / "whole.db"),))
    for each in path.parent.glob(f"{name}*"):
        each.write_bytes(b"\xff" * max(each.stat().st_size, 8192))
    until(lambda: ready(server) == (503, {"state": "up", "registry": "up"} | {part: "down"}), "not ready, and why")
    if part == "registry":
        assert retry_after(server, "POST", "/register", REGISTRATION, HEADERS) == (503, 5)
    for each in path.parent.glob(f"{name}?*"):
        each.unlink()
    shutil.move(server.folder / "whole.db", path)
    until(lambda: ready(server)[0] == 200, "ready again")
    assert register(server)[0] == 201
    assert acknowledged in clients(server)
    assert "Traceback" not in server.output()


@pytest.mark.requirement("F23")
def test_a_database_that_was_deleted_is_not_begun_anew_and_is_taken_when_it_is_back(server):
    acknowledged = register(server)[1]["client_id"]
    path = server.folder / "data/mcp-server.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(server.folder / "whole.db"),))
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()
    until(lambda: ready(server)[1]["registry"] == "down", "not ready, and why")
    assert register(server)[0] == 503
    assert not path.exists()
    shutil.move(server.folder / "whole.db", path)
    until(lambda: ready(server)[0] == 200, "ready again")
    assert acknowledged in clients(server)
    assert register(server)[0] == 201


@pytest.mark.requirement("F23")
def test_a_state_file_that_was_deleted_is_made_anew_and_written_to(server):
    path = server.folder / "data/state.db"
    for each in path.parent.glob("state.db*"):
        each.unlink()
    until(lambda: server.get("/health/ready") == 200 and path.exists(), "ready, with another file")
