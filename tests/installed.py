"""An installation in a folder of its own, made by bin/install, and run as systemd would run its unit."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.running import ROOT, environment, until
from tests.servers import free_port

VENV = Path(sys.prefix)
ANSWERS = ("--issuer", "https://mcp.example.com", "--servicenow", "https://dev12345.service-now.com")
SHIPPED = (
    "wsgi.py", "gunicorn.conf.py", "requirements.txt", "requirements.lock", "README.md", "bin", "config", "docs", "mcp_server", "supervisor",
    "systemd")


class Sources:
    """A copy of the project that a test may change into another version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if folder.exists():
            return
        folder.mkdir()
        for name in SHIPPED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name, **({"ignore": shutil.ignore_patterns("__pycache__")} if copy is shutil.copytree else {}))

    def version(self, number):
        self.replace("mcp_server/__init__.py", f'__version__ = "{self._number()}"', f'__version__ = "{number}"')

    def _number(self):
        return (self.folder / "mcp_server/__init__.py").read_text().split('__version__ = "')[1].split('"')[0]

    def replace(self, path, old, new):
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new))


class Installation:
    """`root` stands for /."""

    def __init__(self, root: Path, sources: Sources) -> None:
        self.root, self.sources, self.port = root, sources, free_port()
        self.runtime = root / "run/mcp-server"
        self.log = root.parent / "service.log"
        self.process = None
        self.notifications = None

    def path(self, text):
        return self.root / text

    def run(self, program, *options, check=True):
        done = subprocess.run(
            [self.sources.folder / "bin" / program, "--prefix", self.root, *options], env=environment(), capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def install(self, *options, **how):
        return self.run("install", "--venv", VENV, *ANSWERS, "--no-redis", *options, **how)

    def upgrade(self, *options, **how):
        return self.run("upgrade", "--venv", VENV, *options, **how)

    def command(self, *arguments, given=None):
        program = self.path("usr/local/sbin/mcp-server")
        return subprocess.run([program, *arguments], input=given, env=environment(), capture_output=True, text=True, check=False)

    def set(self, **settings):
        with self.path("etc/mcp-server/environment").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())

    def releases(self):
        return sorted(folder.name.rpartition("-")[0] for folder in self.path("opt/mcp-server/releases").iterdir())

    def current(self):
        return self.path("opt/mcp-server/current").resolve().name.rpartition("-")[0]

    def secret(self, name):
        """The file of a secret. Whoever writes to it changes the secret of the service, at its next reload."""
        return self.path(f"etc/mcp-server/credentials/{name}")

    def start(self):
        """Play systemd: the unit's settings, its folders, its socket for notifications."""
        self.set(PORT=self.port)
        unit = _lines(self.path("etc/systemd/system/mcp-server.service"))
        settings = dict(line.split("=", 1) for line in unit["Environment"])
        self.runtime.mkdir(parents=True)
        (self.root.parent / "notify").unlink(missing_ok=True)
        self.notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notifications.bind(str(self.root.parent / "notify"))
        self.notifications.settimeout(60)
        settings |= {"PWD": unit["WorkingDirectory"][0], "RUNTIME_DIRECTORY": str(self.runtime), "NOTIFY_SOCKET": str(self.root.parent / "notify")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                unit["ExecStart"][0].split(), cwd=unit["WorkingDirectory"][0], env=environment() | settings, stdout=log, stderr=log,
                start_new_session=True)
        until(lambda: self.process.poll() is not None or self.get("/health/ready")[0] == 200, "the service is ready")
        assert self.process.poll() is None, self.log.read_text()

    def main_pid(self):
        """gunicorn takes the file away and writes it anew at each reload."""
        written = []

        def there():
            with contextlib.suppress(FileNotFoundError, ValueError):
                written.append(int((self.runtime / "gunicorn.pid").read_text()))
            return written

        until(there, "there is a main process")
        return written[0]

    def workers(self):
        """The pids that run now: the main process's children."""
        pid = self.main_pid()
        return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    def reload(self):
        """What ExecReload= does, and then until the workers of before have left."""
        before = self.workers()
        os.kill(self.main_pid(), signal.SIGHUP)
        until(lambda: not before & self.workers() or "Reload refused" in self.log.read_text(), "the workers of before have left")
        assert "Reload refused" not in self.log.read_text()

    def end(self):
        """As systemd ends it, who then removes the folder in /run."""
        os.kill(self.main_pid(), signal.SIGTERM)
        assert self.process.wait(60) == 0
        self.notifications.close()
        shutil.rmtree(self.runtime)

    def told(self):
        """What the service has told systemd and was not read yet."""
        self.notifications.setblocking(False)
        lines = []
        with contextlib.suppress(BlockingIOError):
            while True:
                lines += self.notifications.recv(4096).decode().splitlines()
        return lines

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError as error:
            return 0, error

    def stop(self):
        """All processes of its session: an upgrade has made others than the one that was started."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.notifications.close()


def _lines(path):
    found = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found
