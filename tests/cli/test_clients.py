from __future__ import annotations

import json

import pytest

from mcp_server.oauth.models import DEVICE_CODE
from tests.key_clients import Signer, asserting

INSTANCE = "https://dev12345.service-now.com"


@pytest.fixture
def create(run):
    def create(*arguments):
        return run("clients", "create", "--name", "ServiceNow", "--json", *(arguments or ("--servicenow", INSTANCE)))

    return create


@pytest.fixture
def authenticates(machine):
    def authenticates(client_id, secret):
        built = machine.services
        return built.digests.matches("client", secret, built.clients.find(client_id).client_secret_digests)

    return authenticates


def test_a_servicenow_client_has_both_redirect_uris_and_a_secret_that_works(create, authenticates):
    created = create().json
    assert created["redirect_uris"] == [f"{INSTANCE}/oauth_redirect.do", f"{INSTANCE}/mcp_redirect.do"]
    assert created["grant_types"] == ["authorization_code", "refresh_token"]
    assert created["pkce_required"]
    assert authenticates(created["client_id"], created["client_secret"])


def test_people_get_the_fields_of_servicenows_form(machine, run):
    shown = run("clients", "create", "--name", "ServiceNow", "--servicenow", INSTANCE).out
    urls = (f"{machine.url}/oauth/token", f"{machine.url}/mcp")
    for text in (*urls, "Manual Registration", "Client ID", "tools:read,tools:execute", "shown this once"):
        assert text in shown


def test_the_secret_is_not_shown_again(create, run):
    created = create().json
    assert created["client_secret"] not in run("clients", "show", created["client_id"], "--json").out
    assert created["client_secret"] not in run("clients", "list", "--json").out


def test_a_public_client_has_no_secret(create):
    created = create("--redirect-uri", "http://127.0.0.1/callback", "--public").json
    assert created["client_secret"] is None
    assert created["kind"] == "public"


@pytest.mark.parametrize("grant", ["device_code", DEVICE_CODE])
@pytest.mark.parametrize("option", ["--grant", "--grant-type"])
def test_a_client_for_a_device_needs_no_redirect_uri(create, option, grant):
    created = create("--public", option, grant, option, "refresh_token").json
    assert created["grant_types"] == [DEVICE_CODE, "refresh_token"]
    assert created["redirect_uris"] == []


def test_people_get_what_the_machine_is_configured_with(machine, run):
    shown = run("clients", "create", "--name", "a sensor", "--public", "--grant", "device_code").out
    for text in ("Configure the machine with", f"{machine.url}/oauth/device_authorization", f"{machine.url}/oauth/token", f"{machine.url}/mcp"):
        assert text in shown
    assert "ServiceNow" not in shown


def test_an_application_may_have_a_scheme_of_its_own(create):
    assert create("--redirect-uri", "com.example.app:/callback", "--public").json["redirect_uris"] == ["com.example.app:/callback"]


def test_pkce_can_be_left_out_for_a_client_with_a_secret_and_that_is_warned_of(create):
    created = create("--servicenow", INSTANCE, "--no-pkce")
    assert not created.json["pkce_required"]
    assert "Warning: PKCE" in created.err


@pytest.mark.parametrize(("arguments", "said"), [
    ((), "Say where codes may be sent"),
    (("--redirect-uri", "http://example.com/callback"), "https"),
    (("--redirect-uri", "javascript:alert(1)"), "no URL"),
    (("--redirect-uri", "https://example.com/#fragment"), "fragment"),
    (("--redirect-uri", "https://[x/"), "Invalid"),
    (("--redirect-uri", "callback"), "no URL"),
    (("--servicenow", "http://dev1.service-now.com"), "https"),
    (("--servicenow", INSTANCE, "--grant", "password"), "this server has"),
    (("--servicenow", INSTANCE, "--public", "--no-pkce"), "only for a client with a secret"),
    (("--servicenow", INSTANCE, "--public", "--grant", "client_credentials"), "needs a client with a secret"),
    (("--servicenow", INSTANCE, "--scope", "everything"), "Unknown scope"),
    (("--servicenow", INSTANCE, "--name", " "), "visible characters"),
])
def test_what_cannot_be_registered_is_refused_in_words(run, arguments, said):
    refused = run("clients", "create", "--name", "x", *arguments)
    assert refused.status in (1, 2)
    assert said in refused.err
    assert run("clients", "list", "--json").json == []


def test_scopes_are_read_with_commas(create):
    assert create("--servicenow", INSTANCE, "--scope", "tools:read, openid").json["scope"] == "tools:read"


def test_revoke_removes_the_client_and_ends_its_tokens(machine, create, run):
    client_id = create().json["client_id"]
    assert run("clients", "revoke", client_id).status == 0
    assert run("clients", "list", "--json").json == []
    assert machine.services.revocations.any_revoked((f"client:{client_id}",))


def test_a_rotated_secret_replaces_the_former_one(create, run, authenticates):
    created = create().json
    rotated = run("clients", "rotate-secret", created["client_id"], "--json").json
    assert authenticates(created["client_id"], rotated["client_secret"])
    assert not authenticates(created["client_id"], created["client_secret"])


def test_with_keep_old_both_secrets_work_until_the_old_one_is_dropped(create, run, authenticates):
    created = create().json
    client_id = created["client_id"]
    rotated = run("clients", "rotate-secret", client_id, "--keep-old", "--json").json
    assert authenticates(client_id, created["client_secret"])
    assert authenticates(client_id, rotated["client_secret"])
    assert run("clients", "update", client_id, "--drop-old-secret").status == 0
    assert authenticates(client_id, rotated["client_secret"])
    assert not authenticates(client_id, created["client_secret"])


def test_never_more_than_two_secrets_are_in_force(create, run):
    client_id = create().json["client_id"]
    for _ in range(3):
        in_force = run("clients", "rotate-secret", client_id, "--keep-old", "--json").json["secrets_in_force"]
    assert in_force == 2


def test_pkce_can_be_switched_off_and_on(create, run):
    client_id = create().json["client_id"]
    assert not run("clients", "update", client_id, "--no-pkce", "--json").json["pkce_required"]
    assert run("clients", "update", client_id, "--pkce", "--json").json["pkce_required"]


def test_a_public_client_keeps_pkce(create, run):
    client_id = create("--redirect-uri", "http://localhost/callback", "--public").json["client_id"]
    assert run("clients", "update", client_id, "--no-pkce").status == 2
    assert run("clients", "show", client_id, "--json").json["pkce_required"]


@pytest.mark.parametrize("arguments", [("show", "x"), ("revoke", "x"), ("rotate-secret", "x"), ("update", "x", "--pkce")])
def test_an_unknown_client_is_an_error_in_words(run, arguments):
    refused = run("clients", *arguments)
    assert refused.status == 1
    assert "There is no client 'x'" in refused.err


def test_a_name_cannot_move_the_cursor_of_the_operators_terminal(machine, create, run):
    built = machine.services
    client_id = create().json["client_id"]
    client = built.clients.find(client_id)
    object.__setattr__(client, "client_name", "evil\x1b[2J\u202egnp")
    built.clients.replace(client)
    shown = run("clients", "list").out
    assert "evil" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.fixture
def keys(tmp_path):
    """keys(set) → the file that it is in, or text as it is."""
    def keys(content):
        file = tmp_path / "keys.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(file)

    return keys


def test_a_client_with_keys_has_no_secret_and_gets_tokens_with_them(machine, create, run, keys):
    signer = Signer()
    shown = create("--servicenow", INSTANCE, "--grant", "client_credentials", "--jwks", keys(signer.jwks))
    created = shown.json
    assert (created["client_secret"], created["kind"], created["key_ids"]) == (None, "confidential", ["k1"])
    assert created["token_endpoint_auth_method"] == "private_key_jwt"
    assert created["form"]["Token authentication method"] == "Private Key JWT"
    ask = {"grant_type": "client_credentials"} | asserting(signer.assertion(created["client_id"], aud=machine.url))
    assert machine.app().test_client().post("/oauth/token", data=ask, base_url=machine.url).status_code == 200
    assert "with a key" in run("clients", "rotate-secret", created["client_id"]).err


def test_the_keys_of_a_client_are_replaced_and_a_secret_is_not(create, run, keys):
    client_id = create("--servicenow", INSTANCE, "--jwks-uri", "https://keys.acme.test/jwks").json["client_id"]
    updated = run("clients", "update", client_id, "--jwks", keys(Signer(kid="k2").jwks), "--json").json
    assert (updated["jwks_uri"], updated["key_ids"]) == (None, ["k2"])
    refused = run("clients", "update", create().json["client_id"], "--jwks-uri", "https://keys.acme.test/jwks")
    assert (refused.status, "no keys to replace" in refused.err) == (2, True)


@pytest.mark.parametrize(("content", "arguments", "said"), [
    ({"keys": [Signer().private_jwk]}, (), "private"),
    ({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, (), "symmetric"),
    ({"keys": []}, (), "1 to 20 keys"),
    ("{", (), "keys.json"),
    (Signer().jwks, ("--public",), "leave out --public"),
    (Signer().jwks, ("--jwks-uri", "https://keys.acme.test/"), "not both"),
    (None, ("--jwks-uri", "http://keys.acme.test/"), "https URL"),
])
def test_keys_that_cannot_be_registered_are_refused_in_words(run, keys, content, arguments, said):
    given = () if content is None else ("--jwks", keys(content))
    refused = run("clients", "create", "--name", "x", "--servicenow", INSTANCE, *given, *arguments)
    assert refused.status == 2
    assert said in refused.err
    assert run("clients", "list", "--json").json == []


URL = "https://app.acme.test/client.json"


def test_a_client_that_a_url_names_is_shut_out_by_that_url(machine, run):
    revoked = run("clients", "revoke", URL)
    assert revoked.status == 0
    assert "refuse all clients of app.acme.test for good" in revoked.err
    assert machine.services.revocations.any_revoked((f"client:{URL}",))
    *_, record = machine.audit
    assert (record["action"], record["client_id"]) == ("client_revoked", URL)


@pytest.mark.parametrize("mistyped", ["http://app.acme.test/client.json", "https://app.acme.test", "https://APP.acme.test/client.json"])
def test_a_url_that_no_client_can_have_is_not_revoked(machine, run, mistyped):
    refused = run("clients", "revoke", mistyped)
    assert refused.status == 1
    assert "must be an https URL" in refused.err
    assert not machine.services.revocations.any_revoked((f"client:{mistyped}",))


@pytest.mark.parametrize("arguments", [("show", URL), ("rotate-secret", URL), ("update", URL, "--pkce")])
def test_of_a_client_that_a_url_names_there_is_nothing_to_show_or_change(run, arguments):
    refused = run("clients", *arguments)
    assert refused.status == 1
    assert "flask clients revoke" in refused.err
