from __future__ import annotations

import re
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import orjson
import pytest

from tests.gateway import registration_body

ACME = "https://acme.service-now.com"
TOKEN_ID = re.compile(r"[0-9a-f]{32}")


@pytest.fixture
def mint(run):
    return lambda *arguments: run("registration-tokens", "mint", "--name", "ACME admin", "--json", *arguments)


@pytest.fixture
def register(machine):
    """register(token, **changes) → the status and the answer of a registration over HTTP."""

    def register(token, **changes):
        request = Request(f"{machine.url}/oauth/register", orjson.dumps(registration_body(**changes)),
                          {"Content-Type": "application/json", "Authorization": f"Bearer {token}"})
        try:
            with urlopen(request, timeout=10) as response:
                return response.status, orjson.loads(response.read())
        except HTTPError as error:
            return error.code, orjson.loads(error.read())

    return register


def test_a_minted_token_registers_its_instance_so_often_and_until_it_is_revoked(machine, run, mint, register):
    of_acme = {"redirect_uris": [f"{ACME}/oauth_redirect.do"]}
    minted = mint("--count", "2", "--instance", ACME).json
    with machine.serving():
        assert register(minted["token"])[0] == 400
        status, client = register(minted["token"], **of_acme)
        assert status == 201
        assert run("registration-tokens", "revoke", minted["token_id"]).status == 0
        assert register(minted["token"], **of_acme)[0] == 401
    shown = run("clients", "show", client["client_id"], "--json").json
    assert (shown["registered_with"], shown["instance"]) == (minted["token_id"], ACME)


def test_the_secret_is_shown_once_and_stored_nowhere(machine, run, mint):
    secret = mint().json["token"]
    assert len(secret) >= 43
    assert secret not in run("registration-tokens", "list", "--json").out + run("registration-tokens", "list").out
    assert secret not in repr(machine.audit) + repr(machine.services.initial_access_tokens.all())


def test_people_are_told_what_to_type_into_servicenow(run):
    shown = run("registration-tokens", "mint", "--name", "ACME admin")
    assert "shown this once" in shown.out
    assert "Authentication Token for Client Registration" in shown.err


@pytest.mark.parametrize(("said", "seconds"), [(None, 7 * 86400), ("90m", 5400), ("12h", 43200), ("30D", 30 * 86400)])
def test_a_token_ends_after_the_time_that_was_said_and_after_a_week_otherwise(machine, mint, said, seconds):
    mint(*(("--expires-in", said) if said else ()))
    [token] = machine.services.initial_access_tokens.all()
    assert token.expires_at == token.created_at + seconds
    assert token.uses_left is None


@pytest.mark.parametrize(("arguments", "said"), [
    (("--expires-in", "0d"), "too short"), (("--expires-in", "7"), "no time"), (("--expires-in", "-1d"), "no time"),
    (("--expires-in", "never"), "no time"), (("--count", "0"), "0"), (("--count", "x"), "x"),
    (("--instance", "http://acme.service-now.com"), "https"),
    (("--instance", f"{ACME}/path"), "without a path"), (("--name", " "), "visible characters"), (("--name", "a\x1b[2J"), "visible characters")])
def test_what_cannot_be_minted_is_refused_in_words(run, mint, arguments, said):
    refused = mint(*arguments)
    assert refused.status == 2
    assert said in refused.err
    assert run("registration-tokens", "list", "--json").json == []


@pytest.mark.parametrize(("mode", "said"), [("off", "nobody can register"), ("open", "no token is asked for")])
def test_a_token_that_is_of_no_use_in_this_mode_is_warned_of(run, mode, said):
    assert said in run("registration-tokens", "mint", "--name", "x", DCR_MODE=mode).err


def test_the_list_says_which_tokens_are_good_and_how_many_clients_they_registered(machine, run, mint):
    minted = mint("--count", "1").json
    assert run("registration-tokens", "list", "--json").json[0] | {"created_at": ""} == {
        "token_id": minted["token_id"], "name": "ACME admin", "state": "good", "uses_left": 1, "created_at": "", "instance": None,
        "expires_at": minted["expires_at"], "clients": 0}
    built = machine.services
    built.registration.register(registration_body(redirect_uris=["http://127.0.0.1/"]), f"Bearer {minted['token']}")
    [row] = run("registration-tokens", "list", "--json").json
    assert (row["state"], row["uses_left"], row["clients"]) == ("used up", 0, 1)
    assert "used up" in run("registration-tokens", "list").out
    assert "stay" in run("registration-tokens", "revoke", minted["token_id"]).err


def test_an_unknown_token_is_an_error_in_words(run):
    refused = run("registration-tokens", "revoke", "x")
    assert refused.status == 1
    assert "There is no registration token 'x'" in refused.err


def test_minting_and_revoking_are_audited_as_the_operators(machine, run, mint):
    token_id = mint("--count", "3", "--instance", ACME).json["token_id"]
    run("registration-tokens", "revoke", token_id)
    minted, revoked = machine.audit
    assert [(line["event_type"], line["action"]) for line in (minted, revoked)] == [
        ("operator", "registration_token_minted"), ("operator", "registration_token_revoked")]
    assert {minted["details"]["token_id"], revoked["details"]["token_id"]} == {token_id}
    assert (minted["details"]["count"], minted["details"]["instance"]) == (3, ACME)
