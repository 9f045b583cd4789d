"""A real gateway, started as bin/serve, systemd and supervisor start it, in a folder of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import MappingProxyType

import pytest

from mcp_server.oauth.credentials import Passwords
from mcp_server.oauth.models import User
from mcp_server.storage.registry import Registry
from tests.servers import free_port

ROOT = Path(__file__).parents[1]
COMMAND = [str(Path(sys.executable).with_name("gunicorn")), "wsgi:app"]
SECRETS = {"JWT_SECRET": "kV9mRr2Yb7xQ4tWz8nLs3cHd6fJg1pAe", "DCR_AUTH_TOKEN": "Zt5uXw0Qy8rKo3mNb7vGc2hLd9sFj4eI"}
API_KEY = "Hc7rTq2vLm9xBn4wKp"
PATIENCE = 120


def until(holds, what, seconds=PATIENCE):
    """Return what `holds` returns as soon as it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(0.02)
    raise AssertionError(f"did not happen in {seconds} s: {what}")


class Gateway:
    """One gunicorn with its workers. Its settings lie in `.env`, its output in `log`."""

    def __init__(self, folder: Path, application: str = COMMAND[1]) -> None:
        self.folder = folder
        self.command = [COMMAND[0], application]
        self.port = free_port()
        self.process = None
        for name in ("wsgi.py", "gunicorn.conf.py", "config", "mcp_server"):
            (folder / name).symlink_to(ROOT / name)

    def configure(self, **settings):
        lines = [f"{name}={value}" for name, value in settings.items() if value is not None]
        (self.folder / ".env").write_text("\n".join(lines) + "\n")
        (self.folder / ".env").chmod(0o600)

    def configured(self, **changes):
        return self.configure(**{**SECRETS, "PORT": self.port, "LOG_FORMAT": "json", "MCP_API_KEY": API_KEY, "RATE_LIMIT_MCP_MAX": 0, **changes})

    @property
    def url(self):
        return f"http://localhost:{self.port}"

    def add_user(self, username, password, **changes):
        registry = Registry(f"sqlite:///{self.folder}/data/mcp-server.db")
        registry.users.add(User(username, username, Passwords(cost=4).hash(password), created_at=time.time(), **changes))
        registry.close()

    def start(self):
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=environment() | {"RUNTIME_DIRECTORY": str(self.folder)}, stdout=log, stderr=log,
                start_new_session=True)
        return self

    def started(self, seconds=PATIENCE):
        self.start()
        until(lambda: self.process.poll() is not None or self.is_up(), "the server answers", seconds)
        assert self.process.poll() is None, self.output()
        return self

    def is_up(self):
        try:
            return self.get("/health/live") == 200
        except OSError:
            return False

    def get(self, path):
        return self.request("GET", path)[0]

    def request(self, method, path, body=None, headers=MappingProxyType({})):
        with contextlib.closing(self.connection()) as connection:
            connection.request(method, path, body, headers)
            with connection.getresponse() as response:
                return response.status, response.read().decode()

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def call_tool(self, name, **arguments):
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
        headers = {"Content-Type": "application/json", "Accept": "application/json", "X-API-Key": API_KEY}
        return self.request("POST", "/mcp", json.dumps(message), headers)

    def has_tested_its_model(self):
        """Whether the self-test that follows a start is over, and asks the model nothing more."""
        return "the self-test of the model passed" in self.output() or '"self_test":' in self.output()

    def signal(self, number):
        os.kill(self.process.pid, number)

    def ended(self, seconds=PATIENCE):
        return self.process.wait(seconds)

    def output(self):
        return (self.folder / "log").read_text(errors="replace")

    def events(self):
        return [json.loads(line) for line in self.output().splitlines() if line.startswith("{")]

    def workers(self):
        """The pids that were started, oldest first."""
        told = [event["event"] for event in self.events()]
        return [int(line.rsplit(" ", 1)[1]) for line in told if line.startswith("Booting worker")]

    def live_workers(self):
        """The pids that run now: the master's children."""
        return [int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()]

    def flask(self, *arguments, input=None):
        """An operator's command in this folder. Raises AssertionError with what it said when it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "flask", *arguments], cwd=self.folder, env={**environment(), "FLASK_APP": "mcp_server.command_line"}, input=input,
            capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def stop(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def environment():
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}


@pytest.fixture
def gateway(tmp_path):
    built = Gateway(tmp_path)
    built.configured()
    yield built
    built.stop()
