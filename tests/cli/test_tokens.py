from __future__ import annotations

import pytest

from mcp_server.oauth.models import Grant, RefreshToken

GRANT, USER, CLIENT = "a" * 32, "b" * 32, "c" * 32
BEGINS_WITH_A_DASH = "-9eVrHIe-B4CMJh7JRoGGEw4jsdgwPglVOS1yfFnd6g"


@pytest.fixture
def grant(machine):
    built = machine.services
    now = built.clock()
    granted = Grant(GRANT, CLIENT, USER, "tools:read", machine.settings().resource, now, now + 1000)
    built.grants.add(granted)
    return granted


@pytest.fixture
def access_token(machine, grant):
    return machine.services.access_tokens.issue(client_id=CLIENT, subject=USER, scope="tools:read", grant_id=GRANT)


@pytest.fixture
def refresh_token(machine, grant):
    built = machine.services
    built.state.refresh_tokens.add(
        built.digests.digest("refresh", "a-refresh-token"), RefreshToken(CLIENT, USER, "tools:read", grant.resource, GRANT, built.clock() + 1000))
    return "a-refresh-token"


def test_an_access_token_is_shown_with_its_claims(run, access_token):
    shown = run("tokens", "show", access_token, "--json").json
    assert shown["kind"] == "access token"
    assert shown["valid"]
    assert (shown["sub"], shown["client_id"], shown["grant_id"]) == (USER, CLIENT, GRANT)


def test_a_token_is_read_from_standard_input(run, access_token):
    assert "access token" in run("tokens", "show", "-", input=f"{access_token}\n").out


def test_an_expired_access_token_is_said_to_be_expired(machine, grant):
    app = machine.app(ACCESS_TOKEN_LIFETIME="1")
    tokens = app.extensions["services"].access_tokens
    tokens._clock = lambda: 1_700_000_000
    old = tokens.issue(client_id=CLIENT, subject=USER, scope="tools:read", grant_id=GRANT)
    shown = machine.run("tokens", "show", old, "--json").json
    assert shown["expired"]
    assert not shown["valid"]


@pytest.mark.parametrize("revoked_id", [GRANT, f"user:{USER}", f"client:{CLIENT}"])
def test_an_access_token_is_revoked_by_whatever_ends_it(machine, run, access_token, revoked_id):
    built = machine.services
    built.revocations.revoke((revoked_id,), built.clock() + 100)
    shown = run("tokens", "show", access_token, "--json").json
    assert shown["revoked"]
    assert not shown["valid"]


def test_a_refresh_token_is_shown_with_its_grant(run, refresh_token):
    shown = run("tokens", "show", refresh_token, "--json").json
    assert (shown["kind"], shown["grant_id"], shown["sub"], shown["revoked"]) == ("refresh token", GRANT, USER, False)


def test_the_configured_secrets_are_recognised(machine, run):
    assert run("tokens", "show", machine.environ["DCR_AUTH_TOKEN"], "--json").json["setting"] == "DCR_AUTH_TOKEN"


@pytest.mark.parametrize("text", ["nonsense", "a.b.c", "ü", "x" * 10_000, "e30.e30."])
def test_what_is_no_token_is_unknown(run, text):
    assert run("tokens", "show", text, "--json").json["kind"] == "unknown"


def test_revoking_an_access_token_leaves_the_approval(run, access_token):
    assert run("tokens", "revoke", access_token).status == 0
    assert run("tokens", "show", access_token, "--json").json["revoked"]
    assert [row["grant_id"] for row in run("tokens", "list", "--json").json] == [GRANT]


@pytest.mark.parametrize("given", ["refresh", "grant"])
def test_revoking_a_refresh_token_or_its_grant_ends_everything(run, access_token, refresh_token, given):
    assert run("tokens", "revoke", refresh_token if given == "refresh" else GRANT).status == 0
    assert run("tokens", "show", access_token, "--json").json["revoked"]
    assert run("tokens", "show", refresh_token, "--json").json["revoked"]
    assert run("tokens", "list", "--json").json == []


def test_an_access_token_is_revoked_by_its_id(run, access_token):
    jti = run("tokens", "show", access_token, "--json").json["jti"]
    assert run("tokens", "revoke", "-", input=f"{jti}\n").status == 0
    assert run("tokens", "show", access_token, "--json").json["revoked"]


@pytest.mark.parametrize("given", [(BEGINS_WITH_A_DASH, "--json"), ("--json", BEGINS_WITH_A_DASH), ("--json", "--", BEGINS_WITH_A_DASH)])
def test_a_token_that_begins_with_a_dash_is_no_option(run, given):
    assert run("tokens", "show", *given).json["kind"] == "unknown"
    assert "This is no token of this server" in run("tokens", "revoke", *given).err


def test_an_option_that_does_not_exist_is_still_told(run):
    assert "--clinet" in run("tokens", "revoke", "--clinet", "x").err


def test_what_is_nothing_of_ours_cannot_be_revoked(run):
    refused = run("tokens", "revoke", "nonsense")
    assert refused.status == 1
    assert "no token of this server" in refused.err


def test_an_empty_standard_input_is_refused(run):
    assert run("tokens", "show", "-", input="").status == 2


def test_a_revocation_is_audited_without_the_token(machine, run, access_token):
    revoked = run("tokens", "revoke", access_token)
    *_, record = machine.audit
    assert record["action"] == "token_revoked"
    assert access_token not in f"{record}{revoked.err}{revoked.out}"


def test_an_approval_of_a_client_that_a_url_names_is_listed_by_its_host(machine, run):
    built = machine.services
    now, url = built.clock(), "https://app.acme.test/client.json"
    built.grants.add(Grant(GRANT, url, USER, "tools:read", machine.settings().resource, now, now + 1000))
    [row] = run("tokens", "list", "--json").json
    assert (row["client"], row["client_id"]) == ("app.acme.test", url)
    run("clients", "revoke", url)
    assert run("tokens", "list", "--json").json == []
