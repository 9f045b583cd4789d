"""What a reload of an installation takes. No request is lost meanwhile: test_day_of_operation.py."""

from __future__ import annotations

import json
import os
import signal
from contextlib import closing

import pytest

from tests.running import until

FORMER, NEXT = "Qx7cVb1nMl4kJh8gFd2sAp6oIu3yTr9e", "Lq8sVn3xYc6wRt1mKd5hGf9zPb2jTe7u"
BODY = json.dumps({"redirect_uris": ["http://127.0.0.1/callback"]})


@pytest.fixture(autouse=True)
def unlimited(installed):
    installed.set(RATE_LIMIT_OAUTH_MAX=0)


def registers(installed, token):
    with closing(installed.connection()) as connection:
        connection.request("POST", "/oauth/register", BODY, {"Content-Type": "application/json", "Authorization": f"Bearer {token}"})
        return connection.getresponse().status



@pytest.mark.requirement("OPS-007")
def test_a_reload_takes_what_was_changed_added_and_removed(installed):
    installed.start()
    first = installed.secret("DCR_AUTH_TOKEN").read_text()
    installed.secret("DCR_AUTH_TOKEN").write_text(NEXT)
    installed.secret("DCR_AUTH_TOKEN_PREVIOUS").write_text(first)
    assert (registers(installed, first), registers(installed, NEXT)) == (201, 401)  # nothing counts before the reload
    installed.reload()
    assert (registers(installed, first), registers(installed, NEXT)) == (201, 201)
    installed.secret("DCR_AUTH_TOKEN_PREVIOUS").unlink()
    environment = installed.path("etc/mcp-server/environment")
    before = environment.read_text()
    environment.write_text(before + "OAUTH_ISSUER=https://other.example.com\n")
    installed.reload()
    assert (registers(installed, first), registers(installed, NEXT)) == (401, 201)
    assert installed.get("/.well-known/oauth-authorization-server")[1]["issuer"] == "https://other.example.com"
    environment.write_text(before)
    installed.reload()
    assert installed.get("/.well-known/oauth-authorization-server")[1]["issuer"] == "https://mcp.example.com"


@pytest.mark.requirement("OPS-007")
def test_a_reload_into_a_bad_secret_takes_nothing_and_says_which(installed):
    installed.start()
    workers, first = installed.workers(), installed.secret("DCR_AUTH_TOKEN").read_text()
    installed.secret("DCR_AUTH_TOKEN").write_text("short")
    os.kill(installed.main_pid(), signal.SIGHUP)
    until(lambda: "Reload refused" in installed.log.read_text(), "the reload is refused")
    assert "DCR_AUTH_TOKEN must have at least" in installed.log.read_text()
    assert installed.workers() == workers
    assert registers(installed, first) == 201
    assert any(line.startswith("STATUS=Reload refused") and "DCR_AUTH_TOKEN" in line for line in installed.told())  # systemctl status
