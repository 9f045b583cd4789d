"""A real Redis and a real PostgreSQL of a test's own: on a free port, in a folder that goes away with them."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

UP_WITHIN = 20.0


def free_port() -> int:
    """A port on loopback that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class RedisServer:
    """Empty at every start, unless it was stopped with `persist` (SIGTERM then writes a snapshot)."""

    def __init__(self, *, persist: bool = False) -> None:
        self._program = program("redis-server")
        self._folder = tempfile.mkdtemp(prefix="redis-")
        self._persist = persist
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        save = "3600 1000000" if self._persist else ""
        self.process = subprocess.Popen(
            [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", save, "--appendonly", "no", "--dir", self._folder],
            stdout=subprocess.DEVNULL)
        wait_until(self._answers, self.process)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
        return False

    def stop(self) -> None:
        end(self.process, self.process.terminate if self.process else None)

    def kill(self) -> None:
        end(self.process, self.process.kill if self.process else None)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


class PostgresServer:
    """Keeps its data over a restart. Never runs as root; trusts everybody who comes over loopback. `programs`: the folder of another one."""

    def __init__(self, programs: Path | None = None) -> None:
        self._programs = programs
        self._identity = {} if os.getuid() else _unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self.port = free_port()
        self.url = self.url_of("postgres")
        self.process: subprocess.Popen[bytes] | None = None
        if self._identity:
            os.chown(self._folder, self._identity["user"], self._identity["group"])
        self._run("initdb", "--pgdata", self._data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def url_of(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def start(self, *options: str) -> None:
        settings = (f"listen_addresses=127.0.0.1 port={self.port} unix_socket_directories={self._folder} fsync=off "
                    "shared_buffers=16MB max_connections=60").split()
        self.process = subprocess.Popen(
            [self._program("postgres"), "-D", self._data, *(part for setting in (*settings, *options) for part in ("-c", setting))],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._folder, **self._identity)
        wait_until(self._answers, self.process)

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def execute(self, sql: str) -> None:
        with psycopg.connect(f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres connect_timeout=2", autocommit=True) as connection:
            connection.execute(sql)

    def stop(self) -> None:
        """At once, as after a crash: connections are cut, what was committed stays."""
        end(self.process, lambda: self._run("pg_ctl", "stop", "--pgdata", self._data, "--mode", "immediate"))

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _program(self, name: str) -> str:
        return str(self._programs / name) if self._programs else program(name)

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run([self._program(name), *arguments], check=True, stdout=subprocess.DEVNULL, cwd=self._folder, **self._identity)


def program(name: str) -> str:
    """Where the program is. Never skips: a test that did not run proved nothing."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / name).exists():
            return str(folder / name)
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed; bin/test installs it")
    return found


def wait_until(answers, process: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + UP_WITHIN
    while not answers():
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise RuntimeError(f"{process.args[0]} did not start")
        time.sleep(0.01)


def end(process: subprocess.Popen[bytes] | None, signal) -> None:
    if process and process.poll() is None:
        signal()
        process.wait(timeout=UP_WITHIN)


def _unprivileged() -> dict[str, object]:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError("There is no user that PostgreSQL could run as.")
