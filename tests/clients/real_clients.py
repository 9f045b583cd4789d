"""The clients that are run, each in every era it has, and how one is played through.

What they can do stands in docs/clients.md as well; a test compares the two.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.node import FOLDER, NODE, package
from tests.running import PATIENCE, ROOT

STATELESS, HANDSHAKE = "2026-07-28", "2025-11-25"
DRIVERS = ROOT / "tests/clients/drivers"
ENVIRONMENTS = {"mcp 1.x": "mcp1", "fastmcp 3.x": "fastmcp3", "fastmcp 4.x": "fastmcp4"}  # the others are in .venv


@dataclass(frozen=True)
class RealClient:
    """`line` is the package and its major version, `chosen_by` what a person writes to get this era, `steps_up` what docs/clients.md says of it."""

    line: str
    revision: str
    chosen_by: str
    era: str
    seen_as: str
    steps_up: str = "yes"

    @property
    def name(self):
        return self.line.split(" ")[0]

    def __str__(self):
        return f"{self.line}, {self.revision}"

    @property
    def pinned(self):
        """The version that bin/test installs."""
        if (manifest := json.loads((FOLDER / "package.json").read_text())["dependencies"]).get(self.name):
            return manifest[self.name]
        file = f"tests/clients/environments/{ENVIRONMENTS[self.line]}.txt" if self.line in ENVIRONMENTS else "requirements-dev.txt"
        return re.search(rf"^{self.name}==(\S+)", (ROOT / file).read_text(), re.MULTILINE)[1]

    @property
    def installed(self):
        """The version that is there, where a driver does not tell it."""
        return json.loads((package(self.name) / "package.json").read_text())["version"]

    def command(self, url):
        if self.name == "mcp":
            return [self._python(), DRIVERS / "python_sdk.py", url, self.era]
        if self.name == "fastmcp":
            return [self._python(), DRIVERS / "fastmcp_library.py", url, self.era]
        installed = package(self.name)
        if self.name == "mcp-remote":
            return [sys.executable, DRIVERS / "mcp_remote.py", url, self.era, NODE, installed / "dist/proxy.js"]
        if self.name == "@modelcontextprotocol/inspector":
            return [sys.executable, DRIVERS / "inspector.py", url, self.era, NODE, installed / "clients/launcher/build/index.js"]
        return [NODE, FOLDER / "mcp_client.mjs", url, self.era, self.name]

    def _python(self):
        if self.line not in ENVIRONMENTS:
            return sys.executable
        found = ROOT / ".venv/clients" / ENVIRONMENTS[self.line] / "bin/python"
        if not found.exists():
            raise RuntimeError(f"tests/clients/environments/{ENVIRONMENTS[self.line]}.txt is not installed; bin/test installs it")
        return found


SDK, CLIENT, INSPECTOR = "@modelcontextprotocol/sdk 1.x", "@modelcontextprotocol/client 2.x", "@modelcontextprotocol/inspector 2.x"
CLIENTS = [
    RealClient("mcp 2.x", STATELESS, "default", "auto", "a Python program"),
    RealClient("mcp 2.x", HANDSHAKE, 'mode="legacy"', "legacy", "a Python program"),
    RealClient("mcp 1.x", HANDSHAKE, "default", "legacy", "a Python program"),
    RealClient("fastmcp 4.x", STATELESS, "default", "auto", "FastMCP Client"),
    RealClient("fastmcp 4.x", HANDSHAKE, 'mode="legacy"', "legacy", "FastMCP Client"),
    RealClient("fastmcp 3.x", HANDSHAKE, "default", "legacy", "FastMCP Client"),
    RealClient(CLIENT, STATELESS, 'versionNegotiation: {mode: "auto"}', "auto", "a TypeScript program"),
    RealClient(CLIENT, HANDSHAKE, "default", "legacy", "a TypeScript program"),
    RealClient(SDK, HANDSHAKE, "default", "legacy", "a TypeScript program", steps_up="no"),
    RealClient(INSPECTOR, STATELESS, "--protocol-era auto", "auto", "MCP Inspector", steps_up="with --client-id"),
    RealClient(INSPECTOR, HANDSHAKE, "default", "legacy", "MCP Inspector", steps_up="with --client-id"),
    RealClient("mcp-remote 0.x", STATELESS, "--protocol auto", "auto", "MCP CLI Proxy"),
    RealClient("mcp-remote 0.x", HANDSHAKE, "default", "legacy", "MCP CLI Proxy"),
]


@dataclass(frozen=True)
class Played:
    """What the client told, what the person saw in the browser, and the lines that the gateway wrote meanwhile."""

    told: dict
    browser: list[dict]
    events: list[dict]

    def requests(self):
        return [f"{line['method']} {line['path']} {line['status']}" for line in self.events if line["event"] == "request"]

    def methods(self):
        return [line["mcp_method"] for line in self.events if line["event"] == "request"]

    def audited(self, action):
        return [line for line in self.events if line["event"] == "audit" and line["action"] == action]


def play(client: RealClient, gateway, home: Path, **environ) -> Played:
    """Run it to its end: connect, list, call, and call again an hour later. Raises AssertionError with all that was said when it fails."""
    browser = home / "browser"
    browser.write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m tests.clients.browser {home} "$@"\n')
    browser.chmod(0o755)
    environ |= {"PATH": os.environ["PATH"], "HOME": str(home), "BROWSER": str(browser), "AHEAD": str(gateway.folder / "ahead")}
    began = len(gateway.events())
    with subprocess.Popen(
            [str(part) for part in client.command(f"{gateway.url}/mcp")], cwd=home, env=environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
    diary = home / "diary"
    seen = [json.loads(line) for line in diary.read_text().splitlines()] if diary.exists() else []
    events = gateway.events()[began:]
    assert process.returncode == 0, f"{client}: status {process.returncode}\n{out}\n{err}\n{seen}\n{events}"
    return Played(json.loads(out), seen, events)
