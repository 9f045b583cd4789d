"""One line for each request and each security event, and never a secret in any of them (nor in any file)."""

from __future__ import annotations

import base64
import sqlite3
import stat

import pytest

from mcp_server.storage.migrations import migrate
from tests.gateway import (
    API_KEY,
    DCR_TOKEN,
    ENVIRON,
    JWT_SECRET,
    PASSWORD,
    VERIFIER,
    Browser,
    both_back_ends,
    challenge_of,
    hidden_fields,
    query_of,
    registration_body,
)
from tests.workers import searching


@pytest.fixture
def whole_run(gateway, log, client, browser):
    """Everything once, good and bad; returns every secret that was seen."""
    first, wrong = Browser(gateway), Browser(gateway)
    wrong.sign_in(password="wr0ng-password-typed")
    page = first.consent_page(client.asks())
    fields = hidden_fields(page)
    code = query_of(first.decide(page).location)["code"]
    gateway.token(client.redeems(code, code_verifier="x" * 43))
    tokens = gateway.token(client.redeems(code), headers={}).json
    refreshed = gateway.refresh(client, tokens["refresh_token"]).json
    again = gateway.token({"grant_type": "refresh_token", "refresh_token": refreshed["refresh_token"]}, headers=client.basic).json
    unused = gateway.code(client)
    for token in (tokens["access_token"], "wr0ng-token-sent", f"{tokens['access_token']}x"):
        gateway.mcp(token=token)
        gateway.get(f"/mcp?access_token={token}")
        gateway.token({"grant_type": "refresh_token"} | client.proof, headers={"Authorization": token})
    for headers in ({"X-API-Key": API_KEY}, {"Authorization": f"ApiKey {API_KEY}x"}, {"Cookie": f"a={tokens['access_token']}"}):
        gateway.mcp(headers=headers)
    gateway.post("/oauth/register", json=registration_body(token_value=DCR_TOKEN))
    gateway.post("/oauth/register", json=registration_body(token_value=DCR_TOKEN, redirect_uris=["https://elsewhere.test/"]))
    gateway.post("/oauth/register", json=registration_body(), headers={"Authorization": "Bearer wr0ng-registration-token"})
    gateway.get("/oauth/authorize", query_string=client.asks(client_secret=client.client_secret))
    gateway.post("/oauth/token", query_string=client.redeems(unused))
    gateway.token(client.redeems(unused, client_secret="wr0ng-secret-sent"))
    gateway.revoke({"token": again["refresh_token"]} | client.proof)
    gateway.refresh(client, tokens["refresh_token"])
    gateway.token(client.redeems(code))
    secrets = {
        "JWT_SECRET": JWT_SECRET, "DCR token": DCR_TOKEN, "API key": API_KEY, "password": PASSWORD, "wrong password": "wr0ng-password-typed",
        "wrong token": "wr0ng-token-sent",
        "wrong secret": "wr0ng-secret-sent", "wrong registration token": "wr0ng-registration-token", "client secret": client.client_secret,
        "code": code, "other code": unused,
        "verifier": VERIFIER, "csrf": fields["csrf"], "transaction": fields["transaction"][:60], "cookie": first.cookie,
        "basic": client.basic["Authorization"][6:]}
    for number, each in enumerate((tokens, refreshed, again)):
        secrets |= {f"access token {number}": each["access_token"].rsplit(".", 1)[1], f"refresh token {number}": each["refresh_token"]}
    assert all(len(secret) > 12 for secret in secrets.values())
    return secrets


@both_back_ends
@pytest.mark.requirement("LGG-001")
def test_no_secret_gets_into_a_log_line(whole_run, log):
    text = log.text
    assert len(log.lines()) > 40
    for name, secret in whole_run.items():
        assert secret not in text, name
        assert secret[:16] not in text, name


@both_back_ends
@pytest.mark.requirement("SEC-012")
def test_no_secret_gets_into_a_file_or_into_redis(gateway, whole_run, data_folder, back_end):
    stored = b""
    if back_end:
        stored = b"".join(searching.of_redis(back_end["REDIS_URL"]).values())
        assert stored
    gateway.services.close()
    stored += b"".join(path.read_bytes() for path in data_folder.iterdir())
    assert len(stored) > 10_000
    for name, secret in whole_run.items():
        assert secret.encode() not in stored, name
        assert base64.b64encode(secret.encode())[:-4] not in stored, name
    if not back_end:
        with sqlite3.connect(data_folder / "state.db") as connection:
            assert connection.execute("SELECT count(*) FROM refresh_tokens").fetchone()[0] >= 3
    # what the run left there, so that the search above is known to look at the right bytes
    assert challenge_of(VERIFIER).encode() in stored


@pytest.mark.requirement("SEC-011")
def test_the_files_are_for_their_owner_only(open_gateway, data_folder):
    (data_folder / "registry.db").unlink()
    migrate(f"sqlite:///{data_folder / 'registry.db'}")
    gateway = open_gateway(AUDIT_LOG_PATH=str(data_folder / "audit.log"))
    gateway.get("/health")
    gateway.services.audit.record("security", "x", "success")
    assert {path.name for path in data_folder.iterdir()} >= {"registry.db", "state.db", "audit.log"}
    for path in data_folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


@both_back_ends
@pytest.mark.requirement("LGG-004")
def test_each_security_event_is_audited_with_who_when_where_and_what_came_of_it(gateway, whole_run, log, client, clock):
    expected = {"dcr_registration": {"success", "failure", "denied"}, "sign_in": {"success", "failure"}, "consent": {"success"},
        "authorization_code_issued": {"success"},
                "token_issued": {"success"}, "token_refreshed": {"success"}, "token_revoked": {"success"},
                "authentication_failed": {"failure", "denied"},
                "token_refused": {"failure"}}
    accesses = {line["request_id"]: line for line in log.accesses()}
    for action, results in expected.items():
        lines = log.audited(action)
        assert {line["result"] for line in lines} == results, action
        for line in lines:
            assert line["request_id"] in accesses
            assert line["source_ip"] == "127.0.0.1"
            assert line["timestamp"].endswith("Z")
    for action in ("token_issued", "token_refreshed", "token_revoked", "consent", "authorization_code_issued"):
        assert {line["client_id"] for line in log.audited(action)} == {client.client_id}
    user = gateway.services.users.find("ada").user_id
    for action in ("token_issued", "token_refreshed", "consent", "sign_in"):
        assert {line["user_id"] for line in log.audited(action)} == {user}


@pytest.mark.requirement("LGG-004")
def test_a_client_that_failed_to_prove_itself_is_named_however_it_tried(gateway, client, log):
    for headers, form in (({}, client.refreshes("x", client_secret="wrong")),
        (client.basic, {"grant_type": "refresh_token", "client_secret": "twice"}),
                          (type(client)(client.client_id, "wrong").basic, {"grant_type": "refresh_token", "refresh_token": "x"})):
        gateway.token(form, headers=headers)
    lines = log.audited("authentication_failed") + log.audited("token_refused")
    assert [line["client_id"] for line in lines] == [client.client_id] * 3


def test_reuse_and_replay_are_audited_as_what_they_are(open_gateway, log):
    gateway = open_gateway(REFRESH_REUSE_GRACE="0")
    gateway.add_user()
    client = gateway.register()
    first, second = gateway.code(client), gateway.tokens(client)["refresh_token"]
    gateway.token(client.redeems(first))
    gateway.token(client.redeems(first))
    gateway.refresh(client, second)
    gateway.refresh(client, second)
    for action in ("authorization_code_replayed", "refresh_token_reused"):
        [line] = log.audited(action)
        assert (line["event_type"], line["result"], line["client_id"]) == ("security", "denied", client.client_id)
        assert line["details"]["grant_id"]


@pytest.mark.requirement("LGG-003")
@pytest.mark.requirement("LGG-005")
def test_no_text_of_a_caller_ends_a_line_or_floods_the_log(gateway, log):
    nasty = 'x\r\n{"event":"audit","action":"forged"}\n\x1b[2J\u2028\x85"}'
    for path in ("/\r\nforged", "/\x1b[31m", "/é\u2028", "/" + "x" * 50_000):
        gateway.get("/", environ_overrides={"PATH_INFO": path.encode().decode("latin-1")}, headers={"User-Agent": "x" * 100_000})
    gateway.post("/oauth/register", json=registration_body(client_name=nasty), headers={"Authorization": f"Bearer {DCR_TOKEN}"})
    gateway.post("/oauth/register", json=registration_body(client_name="line\u2028sep \u202e"), headers={"Authorization": f"Bearer {DCR_TOKEN}"})
    gateway.token({"grant_type": nasty, "client_id": nasty})
    gateway.get("/oauth/authorize", query_string={"client_id": "x" * 3_000, "redirect_uri": nasty})
    gateway.mcp({"jsonrpc": "2.0", "id": 1, "method": nasty}, headers={"X-API-Key": API_KEY})
    Browser(gateway).sign_in(username=nasty)
    lines = log.lines()  # every line is JSON
    assert not [line for line in lines if line.get("action") == "forged"]
    assert len(lines) == len(log.text.splitlines())
    assert max(map(len, log.text.split("\n"))) < 3_000
    assert not {"\x1b", "\r", "\u2028", "\x85"} & set(log.text)


def test_each_request_is_one_access_line_without_its_query(gateway, log, flow):
    token = flow()["access_token"]
    before = len(log.accesses())
    response = gateway.mcp("tools/list", token, path="/mcp?secret=x")
    [line] = log.accesses()[before:]
    assert line["request_id"] == response.headers["X-Request-ID"]
    assert (line["method"], line["path"], line["status"], line["mcp_method"]) == ("POST", "/mcp", 200, "tools/list")
    assert line["client_id"]
    assert line["duration_ms"] >= 0


def test_the_audit_may_go_to_a_file_of_its_own(open_gateway, data_folder, log):
    gateway = open_gateway(AUDIT_LOG_PATH=str(data_folder / "audit.log"))
    gateway.register()
    assert '"action":"dcr_registration"' in (data_folder / "audit.log").read_text()
    assert log.audited("dcr_registration") == []
    assert log.accesses()
    assert ENVIRON["DCR_AUTH_TOKEN"] not in (data_folder / "audit.log").read_text()
