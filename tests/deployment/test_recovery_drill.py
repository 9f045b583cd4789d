"""The shell blocks of docs/recovery.md, as they stand, against a real server; `systemctl` is a stand-in that starts and stops it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.gateway import VERIFIER, challenge_of
from tests.running import COMMAND, ROOT, SECRETS, environment, until

KEY = "Kq7vRt2mXb9cLw4zNs8dHf3gJp6yAe1u"
REDIRECT_URI = "http://127.0.0.1/callback"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SYSTEMCTL = f"""#!/bin/sh
# A stand-in: it starts and stops the server of this folder, and waits as systemd does.
[ "$2" = mcp-server ] || exit 5
case "$1" in
  start) {COMMAND[0]} {COMMAND[1]} --pid run.pid >>log 2>&1 & until [ -s run.pid ]; do sleep 0.05; done ;;
  stop) pid=$(cat run.pid); kill "$pid"; while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done ;;
esac
"""


@pytest.fixture
def installed(gateway):
    """A server in a folder as it is installed. On port 8080 in the page, on a free one here."""
    gateway.configured(BACKUP_KEY=KEY, AUTHORIZATION_MODE="auto", RATE_LIMIT_OAUTH_MAX=0)
    (gateway.folder / ".flaskenv").symlink_to(ROOT / ".flaskenv")
    (gateway.folder / ".venv").symlink_to(sys.prefix)
    programs = gateway.folder / "programs"
    programs.mkdir()
    (programs / "systemctl").write_text(SYSTEMCTL)
    (programs / "systemctl").chmod(0o755)
    systemctl(gateway, "start")
    yield gateway
    systemctl(gateway, "stop")


def shell(gateway, block):
    """Run a block of the page. Its output."""
    path = f"{gateway.folder}/programs:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", block.replace(":8080", f":{gateway.port}")], cwd=gateway.folder,
                          env={**environment(), "PATH": path}, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
    return done.stdout


def systemctl(gateway, what):
    shell(gateway, f"systemctl {what} mcp-server")
    if what == "start":
        until(gateway.is_up, "the server answers")


def blocks():
    page = (ROOT / "docs/recovery.md").read_text()
    sections = {part.partition("\n")[0]: part for part in page.split("\n## ")}
    return {title: [textwrap.dedent(block) for block in re.findall(r"^ *```bash\n(.*?)^ *```", part, re.MULTILINE | re.DOTALL)]
            for title, part in sections.items()}


class Connected:
    """A client as it was registered and approved, which refreshes."""

    def __init__(self, gateway):
        self._gateway = gateway
        body = {"redirect_uris": [REDIRECT_URI], "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]}
        status, answer = gateway.request("POST", "/oauth/register", json.dumps(body), {
            "Content-Type": "application/json", "Authorization": f"Bearer {SECRETS['DCR_AUTH_TOKEN']}"})
        assert status == 201, answer
        self._proof = {name: json.loads(answer)[name] for name in ("client_id", "client_secret")}
        asks = {"response_type": "code", "client_id": self._proof["client_id"], "redirect_uri": REDIRECT_URI, "state": "s",
                "code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"}
        connection = gateway.connection()
        connection.request("GET", f"/oauth/authorize?{urlencode(asks)}")
        code = parse_qs(urlsplit(connection.getresponse().headers["Location"]).query)["code"][0]
        connection.close()
        self.tokens = self._token({"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER})[1]

    def refresh(self):
        status, self.tokens = self._token({"grant_type": "refresh_token", "refresh_token": self.tokens["refresh_token"]})
        return status

    def revoke(self):
        return self._post("/oauth/revoke", {"token": self.tokens["refresh_token"]})[0]

    def calls(self):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Authorization": f"Bearer {self.tokens.get('access_token')}"}
        return self._gateway.request("POST", "/mcp", body, headers)[0]

    def _token(self, form):
        status, answer = self._post("/oauth/token", form)
        return status, json.loads(answer)

    def _post(self, path, form):
        return self._gateway.request("POST", path, urlencode(form | self._proof), FORM)


def test_every_block_of_the_page_is_in_a_section_that_is_run_here():
    assert {title: len(found) for title, found in blocks().items() if found} == {
        "Making one": 2, "The drill: the machine is lost": 4, "Restoring over a server that is not empty": 1}
    assert (ROOT / "docs/recovery.md").read_text().count("```") == 2 * 7


@pytest.mark.requirement("REC-006")
def test_the_drill_brings_everybody_back_and_nothing_that_was_revoked(installed):
    page = blocks()
    kept, revoked = Connected(installed), Connected(installed)
    assert revoked.revoke() == 200
    for block in page["Making one"]:
        assert "clients" in shell(installed, block)
    stop, restore, look, start = page["The drill: the machine is lost"]
    shell(installed, stop)
    assert not (installed.folder / "data").exists()
    assert "clients" in shell(installed, restore)
    shell(installed, look)
    shell(installed, start)
    assert kept.calls() == 200
    assert revoked.calls() == 401
    assert kept.refresh() == 200
    assert revoked.refresh() == 400
    assert kept.calls() == 200


def test_going_back_leaves_dead_what_was_revoked_after_the_backup_and_keeps_a_backup_of_what_was_there(installed):
    page = blocks()
    kept, revoked = Connected(installed), Connected(installed)
    for block in page["Making one"]:
        shell(installed, block)
    assert revoked.revoke() == 200
    [again] = page["Restoring over a server that is not empty"]
    shell(installed, again)
    until(installed.is_up, "the server answers")
    assert kept.refresh() == 200
    assert (revoked.calls(), revoked.refresh()) == (401, 400)
    [safety_copy] = (installed.folder / "backups").glob("before-restore-*")
    assert shell(installed, f".venv/bin/flask backup verify --json {Path('backups') / safety_copy.name}")
