"""Enterprise-managed authorization: an identity assertion (ID-JAG) becomes a token, once, for whom and for what it was made."""

from __future__ import annotations

import dataclasses
import secrets

import pytest

from tests.gateway import ISSUER, both_back_ends, canary, without_nones
from tests.key_clients import Signer, add_key_client
from tests.openid import DOMAIN, In, account, environ, with_times
from tests.tls import says

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SECRET = "s" * 40


@pytest.fixture
def gateway(open_gateway, provider):
    return open_gateway(**environ(provider.issuer, ID_JAG_ISSUERS=provider.issuer))


@pytest.fixture
def client(gateway):
    return gateway.add_client(SECRET, grant_types=(GRANT_TYPE,), redirect_uris=())


@pytest.fixture
def asserted(provider, client):
    """asserted(**changes of the claims) → an assertion that is accepted but for them; None takes a member away."""
    def asserted(*, header=None, signer=None, sign=None, **changes):
        signer = signer or provider.signer
        claims = {
            "iss": provider.issuer, "aud": ISSUER, "client_id": client.client_id, "resource": f"{ISSUER}/mcp", "jti": secrets.token_hex(8),
            "scope": "tools:read tools:execute", "iat": In(0), "exp": In(300), **account("ada"), **changes}
        whole = without_nones({"alg": signer.algorithm, "typ": "oauth-id-jag+jwt", "kid": signer.kid, **(header or {})})
        return (sign or signer.sign)(whole, with_times(without_nones(claims)))

    return asserted


@pytest.fixture
def ask(gateway, client):
    def ask(assertion, by=client, **changes):
        return gateway.token(without_nones({"grant_type": GRANT_TYPE, "assertion": assertion, **by.proof, **changes}))

    return ask


def is_refused(response, error="invalid_grant"):
    assert (response.status_code, response.json["error"]) == (400, error), response.text
    return True


@pytest.mark.requirement("JAG-001")
def test_an_assertion_becomes_a_token_for_that_person_without_a_refresh_token(gateway, client, asserted, ask, provider):
    granted = ask(asserted())
    assert granted.status_code == 200, granted.text
    assert granted.json.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert gateway.opens(granted.json["access_token"])
    user = gateway.services.users.find_by_identity(provider.issuer, "sub-of-ada")
    principal = gateway.services.access_tokens.verify(granted.json["access_token"])
    assert (principal.subject, principal.client_id) == (user.user_id, client.client_id)
    [grant] = gateway.services.grants.all(gateway.clock())
    assert (grant.subject, grant.grant_id, grant.resource) == (user.user_id, principal.grant_id, f"{ISSUER}/mcp")


def test_who_signed_in_before_is_the_same_person(gateway, asserted, ask, sign_in):
    assert sign_in().status_code == 303
    assert ask(asserted()).status_code == 200
    assert len(gateway.services.users.all()) == 1


SPOILED = {
    "no issuer": ({"iss": None}, "iss"), "a stranger's issuer": ({"iss": "https://evil.test"}, "iss"), "a list as issuer": ({"iss": ["x"]}, "iss"),
    "no subject": ({"sub": None}, "sub"), "a number as subject": ({"sub": 7}, "sub"),
    "no audience": ({"aud": None}, "aud"), "our token endpoint as audience": ({"aud": f"{ISSUER}/oauth/token"}, "aud"),
    "our resource as audience": ({"aud": f"{ISSUER}/mcp"}, "aud"), "our issuer with a slash": ({"aud": f"{ISSUER}/"}, "aud"),
    "two audiences": ({"aud": [ISSUER, "https://other.test"]}, "aud"), "an object as audience": ({"aud": {ISSUER: 1}}, "aud"),
    "no client": ({"client_id": None}, "client_id"), "another client": ({"client_id": "another"}, "client_id"),
    "no resource": ({"resource": None}, "resource"), "another resource": ({"resource": "https://other.test/mcp"}, "resource"),
    "a resource of ours and another": ({"resource": [f"{ISSUER}/mcp", "https://other.test/mcp"]}, "resource"),
    "no resource in the list": ({"resource": []}, "resource"), "a number as resource": ({"resource": 5}, "resource"),
    "no jti": ({"jti": None}, "jti"), "an empty jti": ({"jti": ""}, "jti"), "a number as jti": ({"jti": 5}, "jti"),
    "a long jti": ({"jti": "x" * 300}, "jti"),
    "expired": ({"exp": In(-61)}, "exp"), "no end": ({"exp": None}, "exp"), "a distant end": ({"exp": In(90_000)}, "exp"),
    "an end that is text": ({"exp": "9999999999"}, "exp"), "infinity": ({"exp": float("inf")}, "JSON"),
    "no issue": ({"iat": None}, "iat"), "issued in the future": ({"iat": In(3600)}, "iat"), "issued long ago": ({"iat": In(-7200)}, "iat"),
    "not valid yet": ({"nbf": In(3600)}, "nbf"), "a list as scope": ({"scope": ["tools:read"]}, "scope"),
    "an address that is not verified": ({"email_verified": False}, "email_verified"), "no address": ({"email": None}, "email"),
    "another domain": ({"email": "ada@evil.test"}, "domain"),
}


@pytest.mark.requirement("JAG-002")
@pytest.mark.parametrize("spoiled", SPOILED)
def test_an_assertion_with_one_claim_wrong_is_invalid_grant_and_makes_nobody(gateway, asserted, ask, log, spoiled):
    claims, reason = SPOILED[spoiled]
    assertion = asserted(**claims)
    is_refused(ask(assertion))
    [line] = log.audited("token_refused")
    assert reason in line["details"]["reason"]
    assert gateway.services.users.all() == []
    assert gateway.services.grants.all(gateway.clock()) == []


@pytest.mark.parametrize("header", [
    {"typ": None}, {"typ": "JWT"}, {"typ": "at+jwt"}, {"typ": "client-authentication+jwt"}, {"typ": 5}, {"alg": "none"}, {"alg": "HS256"},
    {"alg": None},
    {"alg": "ES256"}, {"kid": "unknown"}, {"kid": 5}, {"crit": ["exp"]}, {"jwk": Signer().jwk}])
def test_an_assertion_with_another_header_is_invalid_grant(asserted, ask, header):
    is_refused(ask(asserted(header=header)))


@pytest.mark.parametrize("assertion", ["x", "a.b", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 9_000, "..", "e30.e30.e30"])
def test_what_is_no_assertion_is_invalid_grant(ask, assertion):
    is_refused(ask(assertion))


def test_no_assertion_is_invalid_request(ask):
    is_refused(ask(None), "invalid_request")
    is_refused(ask(""), "invalid_request")


def test_an_assertion_that_the_provider_did_not_sign_is_invalid_grant(provider, client, asserted, ask):
    is_refused(ask(asserted(signer=Signer("RS256", kid=provider.signer.kid))))
    is_refused(ask(asserted(signer=Signer("ES256", kid=provider.signer.kid))))
    is_refused(ask(asserted()[:-8] + "AAAAAAAA"))


def test_an_id_token_is_no_identity_assertion(provider, ask, client):
    provider.claims = {"aud": ISSUER, "client_id": client.client_id, "resource": f"{ISSUER}/mcp", "jti": "1"}
    is_refused(ask(provider.id_token))


def test_an_identity_assertion_is_no_id_token(provider, browser, asserted):
    begun = browser.get("/login/oidc").location
    back = provider.sends_back(begun)
    provider.answers["/token"] = says({"access_token": "at", "id_token": asserted(aud="gateway", nonce=provider.nonce)})
    assert browser.get(back).status_code == 403


@pytest.mark.requirement("JAG-003")
@both_back_ends
def test_an_assertion_is_good_once_also_at_another_worker(asserted, ask, open_gateway, provider, client):
    assertion = asserted(jti="one")
    assert ask(assertion).status_code == 200
    is_refused(ask(assertion))
    is_refused(ask(asserted(jti="one")))
    other = open_gateway(**environ(provider.issuer, ID_JAG_ISSUERS=provider.issuer))
    is_refused(other.token({"grant_type": GRANT_TYPE, "assertion": assertion, **client.proof}))


def test_what_is_refused_does_not_use_the_assertion_up(gateway, asserted, ask, provider):
    assertion, stranger = asserted(), gateway.add_client(SECRET, grant_types=(GRANT_TYPE,))
    is_refused(ask(assertion, by=stranger))
    is_refused(ask(assertion, scope="tools:unknown"), "invalid_scope")
    is_refused(ask(assertion, resource="https://other.test"), "invalid_target")
    assert ask(assertion).status_code == 200


@pytest.mark.parametrize(("asked", "asserts", "granted"), [
    (None, "tools:read tools:execute", "tools:read tools:execute"), (None, "tools:read", "tools:read"), ("tools:read",
    "tools:read tools:execute", "tools:read"),
    ("tools:read tools:execute", "tools:read", "tools:read"), ("tools:execute", "tools:execute mail:read", "tools:execute"),
    (None, None, "tools:read tools:execute"), ("tools:read", None, "tools:read"),
    ("tools:execute", "tools:read", None), (None, "mail:read", None), (None, "", None)])
def test_the_scope_is_what_was_asked_for_and_asserted(asserted, ask, asked, asserts, granted):
    answer = ask(asserted(scope=asserts), scope=asked)
    if granted is None:
        is_refused(answer, "invalid_scope")
    else:
        assert answer.json["scope"] == granted


def test_only_clients_that_prove_themselves_and_may_use_the_grant_are_served(gateway, provider, asserted, ask):
    public = gateway.add_client(grant_types=(GRANT_TYPE,))
    answer = ask(asserted(client_id=public.client_id), by=public)
    assert answer.json["error"] == "unauthorized_client"
    other = gateway.add_client(SECRET)
    is_refused(ask(asserted(client_id=other.client_id), by=other), "unauthorized_client")
    assert ask(asserted(), client_secret="wrong").status_code == 401
    with_keys = add_key_client(gateway, grant_types=(GRANT_TYPE,))
    assert ask(asserted(client_id=with_keys.client_id), by=with_keys).status_code == 200


def test_who_is_disabled_here_gets_nothing_more_and_what_was_given_can_be_revoked(gateway, client, asserted, ask):
    token = ask(asserted()).json["access_token"]
    [user] = gateway.services.users.all()
    gateway.services.users.replace(dataclasses.replace(user, disabled=True))
    is_refused(ask(asserted()))
    gateway.services.users.replace(user)
    assert gateway.revoke({"token": token, **client.proof}).status_code == 200
    assert not gateway.opens(token)
    assert ask(asserted()).status_code == 200


@pytest.mark.requirement("JAG-004")
def test_the_grant_is_advertised_exactly_when_it_is_served(gateway, open_gateway, asserted, client):
    document = gateway.get("/.well-known/oauth-authorization-server").json
    assert GRANT_TYPE in document["grant_types_supported"]
    assert document["authorization_grant_profiles_supported"] == ["urn:ietf:params:oauth:grant-profile:id-jag"]
    without = open_gateway()
    document = without.get("/.well-known/oauth-authorization-server").json
    assert GRANT_TYPE not in document["grant_types_supported"]
    assert "authorization_grant_profiles_supported" not in document
    is_refused(without.token({"grant_type": GRANT_TYPE, "assertion": asserted(), **client.proof}), "unsupported_grant_type")


def test_keys_are_rotated_and_a_client_can_make_us_look_for_one_once_a_minute(provider, asserted, ask):
    assert ask(asserted()).status_code == 200
    provider.signer = Signer("ES256", kid="e2")
    assert ask(asserted()).status_code == 200
    fetched = sum(path == "/jwks" for path, *_ in provider.asked)
    for _ in range(3):
        is_refused(ask(asserted(header={"kid": "e3"})))
    assert sum(path == "/jwks" for path, *_ in provider.asked) == fetched == 2


def test_a_provider_that_does_not_answer_is_503_and_the_assertion_still_good(provider, asserted, ask):
    assertion = asserted()
    provider.answers["/jwks"] = says({}, 500)
    answer = ask(assertion)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    del provider.answers["/jwks"]
    assert ask(assertion).status_code == 200


def test_nothing_that_a_stranger_names_is_fetched(asserted, ask):
    with canary() as (url, asked):
        for changes in ({"iss": url}, {"header": {"jku": url}}, {"header": {"x5u": url}}):
            is_refused(ask(asserted(**changes)))
    assert asked == []


def test_the_audit_has_the_person_and_the_provider_and_the_log_never_the_assertion(provider, asserted, ask, log):
    good, bad = asserted(), asserted(aud="x")
    ask(good)
    ask(bad)
    [issued] = log.audited("token_issued")
    assert issued["details"]["provider"] == provider.issuer
    assert DOMAIN not in str(issued)
    for assertion in (good, bad):
        assert assertion.split(".")[1][:60] not in log.text
        assert assertion.split(".")[2][:60] not in log.text
