"""The servers that are compared, each started as production starts it, in a folder and with settings of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from mcp_server.clock import wall_clock
from mcp_server.oauth.keys import SigningKeys
from mcp_server.oauth.models import SCOPES
from mcp_server.oauth.tokens import AccessTokens

ROOT = Path(__file__).parent.parent
ISSUER = "https://mcp.example.com"
JWT_SECRET = secrets.token_urlsafe(48)
SETTINGS = {
    "ENVIRONMENT": "production", "ECHO_TOOL": "on", "OAUTH_ISSUER": ISSUER, "JWT_SECRET": JWT_SECRET, "DCR_AUTH_TOKEN": secrets.token_urlsafe(48),
    "SERVICENOW_INSTANCE": "https://example.service-now.com", "WEB_CONCURRENCY": "1", "LOG_FORMAT": "json", "LOG_LEVEL": "INFO",
    "RATE_LIMIT_MCP_MAX": "1000000",  # every request is counted and none refused
}
SECONDS_TO_START = 30.0
SECONDS_TO_STOP = 10.0
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Unusable(Exception):
    """A server did not start; the text says which, and what it wrote."""


def new_token(client_id: str = "benchmark") -> str:
    """An access token that every server here believes, because it has the same secret."""
    tokens = AccessTokens(ISSUER, f"{ISSUER}/mcp", SigningKeys(JWT_SECRET), 86400, wall_clock)
    return tokens.issue(client_id=client_id, subject=f"client:{client_id}", scope=" ".join(SCOPES), grant_id=client_id)


def redis_is_installed() -> bool:
    return shutil.which("redis-server") is not None


class Process:
    """A program that is stopped whatever happens. What it writes goes into a file, as a service manager would have it."""

    def __init__(self, name: str, command: list[str], folder: Path, environ: Mapping[str, str]) -> None:
        self.name = name
        self.output = folder / "output"
        folder.mkdir(parents=True, exist_ok=True)
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=folder, env=dict(environ), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        self.pid = self._process.pid

    def wait_for(self, port: int) -> None:
        until = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < until and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise Unusable(f"{self.name} did not start. It wrote:\n{self.output.read_text(errors='replace')[-3000:]}")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)  # the session that was begun for it, and nothing else
            self._process.wait()


class Server:
    """One gunicorn with one worker. `application` is what it loads, `tree` the checkout with its gunicorn.conf.py."""

    def __init__(
        self, name: str, application: str, folder: Path, *, redis_url: str = "", tree: Path = ROOT, more: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.port = free_port()
        environ = {
            "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "PYTHONPATH": str(tree),
            **SETTINGS, "PORT": str(self.port), "REDIS_URL": redis_url, **(more or {})}
        command = [sys.executable, "-m", "gunicorn", "--config", str(tree / "gunicorn.conf.py"), application]
        self._process = Process(name, command, folder / name.replace(" ", "-"), environ)
        self._worker = 0

    def __enter__(self) -> Self:
        try:
            self._process.wait_for(self.port)
            self._worker = self._one_worker()
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.stop()

    @property
    def cpu_seconds(self) -> float:
        """User and system time of the worker so far."""
        fields = Path(f"/proc/{self._worker}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def resident_megabytes(self) -> float:
        return int(Path(f"/proc/{self._worker}/statm").read_text().split()[1]) * PAGE / 1e6

    @property
    def access_lines(self) -> int:
        with self._process.output.open("rb") as output:
            return sum(b'"event":"request"' in line for line in output)

    def _one_worker(self) -> int:
        until = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < until:
            workers = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            if len(workers) == 1 and "gunicorn" in Path(f"/proc/{workers[0]}/cmdline").read_text():
                return int(workers[0])
            time.sleep(0.05)
        raise Unusable(f"{self.name} has no worker.")


class Redis:
    """A Redis of our own that keeps nothing, or none where it is not installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "redis"
        self._process: Process | None = None
        self.url = ""

    def __enter__(self) -> Self:
        if redis_is_installed():
            port = free_port()
            command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no",
                       "--maxmemory-policy", "noeviction", "--dir", str(self._folder)]
            self._process = Process("redis-server", command, self._folder, {"PATH": os.environ.get("PATH", os.defpath)})
            try:
                self._process.wait_for(port)
            except BaseException:
                self._process.stop()
                raise
            self.url = f"redis://127.0.0.1:{port}/0"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process:
            self._process.stop()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
