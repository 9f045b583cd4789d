from __future__ import annotations

import json
import secrets
import urllib.parse
from types import MappingProxyType

import pytest

from tests.conformance.token_proxy import TokenProxy
from tests.gateway import FORM, PASSWORD, USERNAME, challenge_of
from tests.gateway_fixtures import back_end, clock, data_folder, gateway, migrated_file, open_gateway
from tests.person import Person
from tests.running import ROOT, SECRETS, Gateway, until

__all__ = ["back_end", "clock", "data_folder", "gateway", "migrated_file", "open_gateway"]

CALLBACK = "http://127.0.0.1:3000/callback"  # never listened on: the redirect is read, not followed
PING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
SETUPS = ("one worker on SQLite", "four workers on Redis")


@pytest.fixture
def serve(tmp_path, request):
    """serve(setup) → the proxy before a real server that has the fixtures, with a token that a person approved."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    running = Gateway(tmp_path, "tests.conformance.wsgi:app")
    with TokenProxy(running.port) as proxy:

        def started(setup):
            shared = {"REDIS_URL": request.getfixturevalue("redis_url"), "WEB_CONCURRENCY": 4} if setup == SETUPS[1] else {}
            running.configured(OAUTH_ISSUER=proxy.url, MCP_SESSIONS="always", RATE_LIMIT_OAUTH_MAX=0, **shared)
            running.started(seconds=120)
            until(lambda: len(running.workers()) == shared.get("WEB_CONCURRENCY", 1), "every worker runs")
            assert running.request("POST", "/mcp", PING, {"Content-Type": "application/json", "Accept": "text/event-stream"})[0] == 401
            running.add_user(USERNAME, PASSWORD)
            proxy.token = token(running, proxy.url)
            return proxy

        yield started
    running.stop()


def token(running, issuer):
    """Of a client that registers itself, for a person who signs in and approves."""
    registration = {"client_name": "the conformance suite", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    client_id = posted(running, "/oauth/register", json.dumps(registration), {
        "Content-Type": "application/json", "Authorization": f"Bearer {SECRETS['DCR_AUTH_TOKEN']}"})["client_id"]
    verifier = secrets.token_urlsafe(32)
    asked = {"response_type": "code", "client_id": client_id, "redirect_uri": CALLBACK, "resource": f"{issuer}/mcp",
             "code_challenge": challenge_of(verifier), "code_challenge_method": "S256"}
    answer = Person(USERNAME, PASSWORD).approve(f"{issuer}/oauth/authorize?{urllib.parse.urlencode(asked)}")
    redeemed = {"grant_type": "authorization_code", "client_id": client_id, "redirect_uri": CALLBACK, "code": answer["code"],
                "code_verifier": verifier}
    return posted(running, "/oauth/token", urllib.parse.urlencode(redeemed), {"Content-Type": FORM})["access_token"]


def posted(running, path, body, headers=MappingProxyType({})):
    status, answer = running.request("POST", path, body, headers)
    assert status < 300, answer
    return json.loads(answer)
