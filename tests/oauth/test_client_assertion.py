"""private_key_jwt at the token endpoint: a client proves itself with a JWT that it signed (RFC 7523 §2.2, §3)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import RSAKey

from tests.gateway import INSTANCE, ISSUER, basic, both_back_ends, canary
from tests.key_clients import ASSERTION_TYPE, MADE_OF, KeyClient, Signer, add_key_client, asserting, base64url

CREDENTIALS = {"grant_type": "client_credentials"}
REFUSED = "The client could not be authenticated: its assertion is not valid. Check its key, audience, lifetime and clock, and send each only once."
RSA_2048 = RSAKey.generate_key(2048)


@pytest.fixture
def signer():
    return Signer()


@pytest.fixture
def client(gateway, signer):
    return add_key_client(gateway, signer)


@pytest.fixture
def timed(clock):
    """timed(claim) → the claim, with the time in the place of each At."""
    def timed(value):
        return int(clock()) + value.seconds if isinstance(value, At) else [timed(each) for each in value] if isinstance(value, list) else value

    return lambda claims: {name: timed(value) for name, value in claims.items()}


@pytest.fixture
def ask(gateway, client, signer):
    """ask(assertion) → the status of a token request; a refusal says the same whatever was wrong."""

    def ask(assertion=None, claims=None, header=None, **changes):
        assertion = assertion or signer.assertion(client.client_id, header=header, **(claims or {}))
        response = gateway.token(CREDENTIALS | asserting(assertion, **changes))
        if response.status_code == 401:
            assert response.json == {"error": "invalid_client", "error_description": REFUSED}
        else:
            assert response.status_code == 200, response.text
        return response.status_code

    return ask


class At:
    """A time, counted from the clock of the test."""

    def __init__(self, seconds) -> None:
        self.seconds = seconds

    def __repr__(self) -> str:
        return f"now{self.seconds:+}"


@pytest.mark.requirement("CLI-016")
@pytest.mark.parametrize(("changes", "status"), [
    ({}, 200),
    ({"aud": f"{ISSUER}/oauth/token"}, 200), ({"aud": [ISSUER]}, 200), ({"aud": ["https://elsewhere.test", ISSUER]}, 200),
    ({"aud": None}, 401), ({"aud": "https://elsewhere.test"}, 401), ({"aud": f"{ISSUER}/"}, 401), ({"aud": f"{ISSUER}/mcp"}, 401), ({"aud": []}, 401),
    ({"aud": ISSUER.upper()}, 401), ({"aud": f"{ISSUER} x"}, 401), ({"aud": {ISSUER: 1}}, 401), ({"aud": [[ISSUER]]}, 401), ({"aud": 5}, 401),
    ({"aud": [None, {}, 5]}, 401), ({"aud": ["https://elsewhere.test"]}, 401),
    ({"iss": None}, 401), ({"iss": "other"}, 401), ({"iss": ISSUER}, 401), ({"iss": 5}, 401), ({"iss": []}, 401),
    ({"sub": None}, 401), ({"sub": "other"}, 401), ({"sub": 5}, 401), ({"sub": ["x"]}, 401), ({"sub": "x" * 3_000}, 401),
    ({"iss": "\x00", "sub": "\x00"}, 401), ({"iss": "a\nb", "sub": "a\nb"}, 401), ({"iss": "\u00e9", "sub": "\u00e9"}, 401),
    ({"iss": None, "sub": None}, 401), ({"iss": "nobody", "sub": "nobody"}, 401),
    ({"exp": At(600)}, 200), ({"exp": At(700)}, 401), ({"exp": At(10**9)}, 401), ({"exp": At(-50)}, 200), ({"exp": At(-61)}, 401),
    ({"exp": None}, 401), ({"exp": "soon"}, 401), ({"exp": True}, 401), ({"exp": float("inf")}, 401), ({"exp": -1}, 401), ({"exp": [At(60)]}, 401),
    ({"exp": 10**400}, 401),
    ({"nbf": At(0)}, 200), ({"nbf": At(50)}, 200), ({"nbf": At(70)}, 401), ({"nbf": "x"}, 401), ({"nbf": False}, 401),
    ({"iat": None}, 200), ({"iat": At(-600)}, 200), ({"iat": At(-700)}, 401), ({"iat": At(50)}, 200), ({"iat": At(70)}, 401), ({"iat": "x"}, 401),
    ({"jti": None}, 401), ({"jti": ""}, 401), ({"jti": 5}, 401), ({"jti": "x" * 256}, 200), ({"jti": "x" * 257}, 401), ({"jti": "\x00'; --"}, 200),
    ({"anything": {"else": [1]}}, 200),
])
def test_the_claims_decide(ask, timed, changes, status):
    assert ask(claims=timed(changes)) == status


@pytest.mark.requirement("BRR-011")
@pytest.mark.requirement("BRR-014")
@pytest.mark.requirement("BRR-015")
@pytest.mark.parametrize(("header", "status"), [
    ({"typ": None}, 200), ({"typ": "jwt"}, 200), ({"typ": "client-authentication+jwt"}, 200),
    ({"typ": "at+jwt"}, 401), ({"typ": "dpop+jwt"}, 401), ({"typ": ""}, 401), ({"typ": 5}, 401),
    ({"kid": None}, 200), ({"kid": "other"}, 401), ({"kid": ""}, 401), ({"kid": 5}, 401), ({"kid": {}}, 401), ({"kid": "/dev/null"}, 401),
    ({"kid": "x" * 1_000}, 401), ({"kid": "' OR 1=1 --"}, 401), ({"kid": "\x00"}, 401),
    ({"alg": "none"}, 401), ({"alg": "None"}, 401), ({"alg": "NONE"}, 401), ({"alg": ""}, 401), ({"alg": None}, 401),
    ({"alg": 5}, 401), ({"alg": ["ES256"]}, 401), ({"alg": "HS256"}, 401), ({"alg": "HS512"}, 401), ({"alg": "es256"}, 401),
    ({"alg": "ES384"}, 401), ({"alg": "RS256"}, 401),
    ({"alg": "PS256"}, 401), ({"alg": "Ed25519"}, 401), ({"alg": "EdDSA"}, 401), ({"alg": "ES256K"}, 401), ({"alg": "dir"}, 401),
    ({"crit": ["exp"]}, 401), ({"crit": []}, 401), ({"b64": False, "crit": ["b64"]}, 401), ({"b64": False}, 401),
    ({"x5t": "AAAA"}, 200), ({"something": "else"}, 200), ({"something": "x" * 9_000}, 401),
])
def test_the_header_decides(ask, header, status):
    assert ask(header=header) == status


@pytest.mark.parametrize("algorithm", MADE_OF)
def test_each_advertised_algorithm_is_accepted_and_no_other_key(gateway, algorithm):
    assert set(gateway.services.metadata["token_endpoint_auth_signing_alg_values_supported"]) == set(MADE_OF)
    right, wrong = Signer(algorithm), Signer(algorithm)
    client = add_key_client(gateway, right)
    assert gateway.token(CREDENTIALS | asserting(wrong.assertion(client.client_id))).status_code == 401
    assert gateway.token(CREDENTIALS | asserting(right.assertion(client.client_id))).status_code == 200


def test_a_key_is_good_for_what_it_says_only(gateway):
    signer = Signer("RS256", key=RSA_2048)
    for members, status in (({}, 200), ({"use": "sig"}, 200), ({"use": "enc"}, 401), ({"alg": "RS256"}, 200), ({"alg": "PS256"}, 401),
                            ({"key_ops": ["verify"]}, 200), ({"key_ops": ["encrypt"]}, 401), ({"key_ops": "verify"}, 401), ({"kty": "EC"}, 401),
                            ({"n": "AQAB"}, 401), ({"e": "AA"}, 401), ({"e": "AQ"}, 401), ({"n": 5}, 401),
                            ({"d": "AQAB"}, 401), ({"e": "A" * 2_000}, 401)):
        client = add_key_client(gateway, signer, jwks={"keys": [{**signer.jwk, **members}]})
        assert gateway.token(CREDENTIALS | asserting(signer.assertion(client.client_id))).status_code == status, members


def test_a_short_rsa_key_opens_nothing(gateway):
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    signer = Signer("RS256", key=RSA_2048)
    numbers = short.public_key().public_numbers()
    jwk = {"kty": "RSA", "kid": "k1", "n": base64url(numbers.n.to_bytes(128)), "e": "AQAB"}
    client = add_key_client(gateway, signer, jwks={"keys": [jwk]})
    assert gateway.token(CREDENTIALS | asserting(signer.assertion(client.client_id))).status_code == 401


def test_without_a_kid_the_first_few_keys_that_fit_are_tried(gateway):
    others = [Signer(kid=f"o{number}") for number in range(6)]
    signer = Signer(kid=None)
    for before, status in ((0, 200), (4, 200), (5, 401)):
        jwks = {"keys": [Signer("ES384").jwk, *(other.jwk for other in others[:before]), signer.jwk]}
        client = add_key_client(gateway, signer, jwks=jwks)
        assert gateway.token(CREDENTIALS | asserting(signer.assertion(client.client_id))).status_code == status


def test_two_keys_work_while_one_replaces_the_other(gateway):
    old, new = Signer(kid="old"), Signer(kid="new")
    client = add_key_client(gateway, jwks={"keys": [old.jwk, new.jwk]})
    for signer in (old, new):
        assert gateway.token(CREDENTIALS | asserting(signer.assertion(client.client_id))).status_code == 200


@pytest.mark.requirement("BRR-012")
def test_the_public_key_is_no_shared_secret(client, signer, ask):
    unsigned = signer.assertion(client.client_id, header={"alg": "HS256"}).rpartition(".")[0]
    jwk = signer.jwk
    for secret in (b"", b"secret", json.dumps(jwk).encode(), signer.key.as_pem(private=False), base64.urlsafe_b64decode(jwk["x"] + "=")):
        assert ask(f"{unsigned}.{base64url(hmac.digest(secret, unsigned.encode(), hashlib.sha256))}") == 401


@pytest.mark.requirement("CLI-016")
@pytest.mark.requirement("BRR-017")
@pytest.mark.requirement("BRR-019")
@pytest.mark.parametrize("spoil", [
    lambda _: "junk", lambda _: "..", lambda _: "a.b.c", lambda good: good + ".", lambda good: good + "=", lambda good: good.rpartition(".")[0],
    lambda good: good.rpartition(".")[0] + ".", lambda good: good[:-8], lambda good: good + "AAAA", lambda good: f" {good}",
    lambda good: good.replace(".", ". "), lambda good: good.partition(".")[2], lambda good: good + "x" * 8_000,
    lambda _: "eyJhbGciOiJub25lIn0.e30.", lambda good: f"{good}.{good}",
    lambda good: "W10." + good.partition(".")[2], lambda good: good.split(".")[0] + ".W10." + good.split(".")[2],
    lambda good: base64url(b"[" * 3_000) + "." + good.partition(".")[2], lambda good: good.split(".")[0] + "._w." + good.split(".")[2]])
def test_what_is_not_a_whole_signed_jwt_is_refused(client, signer, ask, spoil):
    assert ask(spoil(signer.assertion(client.client_id))) == 401


@pytest.mark.parametrize("changes", [
    {"client_assertion_type": None}, {"client_assertion_type": "x"}, {"client_assertion_type": ASSERTION_TYPE.upper()},
    {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, {"client_assertion": None}, {"client_id": "other"}])
def test_the_type_and_the_client_id_must_be_right(client, signer, ask, changes):
    assert ask(signer.assertion(client.client_id), **changes) == 401


def test_the_client_id_may_stand_beside_the_assertion(client, signer, ask):
    assert ask(signer.assertion(client.client_id), client_id=client.client_id) == 200


def test_an_assertion_of_another_client_is_refused(gateway, client, signer, ask):
    other = add_key_client(gateway)
    assert ask(signer.assertion(other.client_id)) == 401
    assert ask(other.signer.assertion(client.client_id)) == 401
    assert ask(signer.assertion(client.client_id, sub=other.client_id)) == 401


def test_a_client_that_has_a_key_must_use_it(gateway, client, signer):
    code = gateway.code(client)
    for form, headers in (({"client_id": client.client_id}, {}), ({"client_id": client.client_id, "client_secret": "x"}, {}),
                          ({}, basic(client.client_id, "")), ({}, basic(client.client_id, "x"))):
        refused = gateway.token(client.redeems(code, client_assertion=None, client_assertion_type=None, **form), headers=headers)
        assert (refused.status_code, refused.json["error"]) == (401, "invalid_client")
    assert gateway.token(client.redeems(code)).status_code == 200


def test_an_assertion_and_a_secret_together_are_two_ways(gateway, client, signer):
    for form, headers in (({"client_secret": "x"}, {}), ({}, basic(client.client_id, "x"))):
        refused = gateway.token(CREDENTIALS | asserting(signer.assertion(client.client_id)) | form, headers=headers)
        assert (refused.status_code, refused.json["error"]) == (400, "invalid_request")


def test_a_client_that_has_a_secret_or_none_cannot_use_an_assertion(gateway, signer):
    for secret in ("s" * 32, None):
        for method in ("client_secret_post", "none", "private_key_jwt" if secret else "none"):
            client = gateway.add_client(
                secret, token_endpoint_auth_method=method, metadata={"jwks": signer.jwks}, grant_types=("client_credentials",))
            refused = gateway.token(CREDENTIALS | asserting(signer.assertion(client.client_id)))
            assert (refused.status_code, refused.json["error_description"]) == (401, REFUSED)


@both_back_ends
def test_an_assertion_is_good_once(gateway, client, ask, open_gateway, clock):
    signer, assertion = client.signer, client.signer.assertion(client.client_id, jti="one")
    assert ask(assertion) == 200
    assert ask(assertion) == 401
    assert ask(signer.assertion(client.client_id, jti="one")) == 401
    assert open_gateway().token(CREDENTIALS | asserting(assertion)).status_code == 401
    other = add_key_client(gateway)
    assert ask(other.signer.assertion(other.client_id, jti="one")) == 200
    clock.advance(119)
    assert ask(assertion) == 401


def test_what_is_refused_does_not_use_the_jti_up(client, signer, ask):
    for wrong in (Signer().assertion(client.client_id, jti="one"), signer.assertion(client.client_id, jti="one", aud="x")):
        assert ask(wrong) == 401
    assert ask(signer.assertion(client.client_id, jti="one")) == 200


def test_a_whole_flow_a_refresh_an_introspection_and_a_revocation_work_with_assertions(gateway, client):
    tokens = gateway.tokens(client)
    assert gateway.opens(tokens["access_token"])
    refreshed = gateway.refresh(client, tokens["refresh_token"]).json
    assert gateway.opens(refreshed["access_token"])
    assert gateway.revoke({"token": refreshed["refresh_token"], "client_id": client.client_id}).status_code == 401
    assert gateway.post("/oauth/introspect", data={"token": refreshed["access_token"]} | client.proof).json["active"]
    assertion = client.proof
    assert gateway.revoke({"token": refreshed["refresh_token"]} | assertion).status_code == 200
    assert gateway.revoke({"token": refreshed["refresh_token"]} | assertion).status_code == 401
    assert not gateway.opens(refreshed["access_token"])


def test_client_credentials_give_a_token_and_no_refresh_token(gateway, client):
    granted = gateway.token(CREDENTIALS | client.proof).json
    assert gateway.opens(granted["access_token"])
    assert "refresh_token" not in granted
    assert gateway.services.access_tokens.verify(granted["access_token"]).subject == f"client:{client.client_id}"


@pytest.mark.requirement("SSR-003")
def test_no_url_in_an_assertion_is_fetched(client, signer, ask):
    with canary() as (url, asked):
        for header in ({"jku": url}, {"x5u": url}, {"jwk": signer.jwk}, {"jwk": Signer().jwk}):
            assert ask(signer.assertion(client.client_id, header=header)) == 401
            assert ask(Signer().assertion(client.client_id, header=header)) == 401
        assert ask(signer.assertion(client.client_id, iss=url)) == 401
    assert asked == []


def test_the_audit_says_what_was_wrong_and_who_it_was_and_not_the_assertion(client, signer, ask, log):
    assertion = signer.assertion(client.client_id, aud="https://elsewhere.test")
    ask(assertion)
    [line] = log.audited("authentication_failed")
    assert line["client_id"] == client.client_id
    assert "aud" in json.dumps(line)
    assert assertion.rpartition(".")[2] not in log.text


def test_a_client_that_registers_its_keys_gets_no_secret_and_logs_in_with_them(gateway, signer, registration):
    body = registration(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [{**signer.jwk, "x5c": ["x"], "odd": 1}]})
    registered = gateway.post("/oauth/register", json=body, headers={"Authorization": f"Bearer {gateway.settings.dcr_auth_token}"})
    assert registered.status_code == 201, registered.text
    assert registered.json["jwks"] == signer.jwks
    assert registered.json["token_endpoint_auth_method"] == "private_key_jwt"
    assert not {"client_secret", "client_secret_expires_at"} & registered.json.keys()
    assert gateway.tokens(KeyClient(registered.json["client_id"], signer=signer))["scope"]


EC, RSA = Signer().jwk, Signer("RS256", key=RSA_2048).jwk
URI = f"{INSTANCE}/keys?a=b"


@pytest.mark.requirement("SSR-002")
@pytest.mark.parametrize(("keys", "status"), [
    ({"jwks_uri": URI}, 201), ({"jwks": {"keys": [EC, RSA]}}, 201), ({"jwks": {"keys": [EC]}, "jwks_uri": None}, 201),
    ({}, 400), ({"jwks": {"keys": [EC]}, "jwks_uri": URI}, 400),
    ({"jwks": {}}, 400), ({"jwks": 5}, 400), ({"jwks": []}, 400), ({"jwks": {"keys": []}}, 400), ({"jwks": {"keys": [5]}}, 400),
    ({"jwks": {"keys": {}}}, 400),
    ({"jwks": {"keys": [EC] * 21}}, 400), ({"jwks": {"keys": [EC], "more": "x" * 20_000}}, 400), ({"jwks": {"keys": [{}]}}, 400),
    ({"jwks": {"keys": [EC | {"d": EC["x"]}]}}, 400), ({"jwks": {"keys": [EC, RSA | {"p": "AQAB"}]}}, 400),
    ({"jwks": {"keys": [RSA | {"d": ""}]}}, 400),
    ({"jwks": {"keys": [EC, {"kty": "oct", "k": "c2VjcmV0"}]}}, 400), ({"jwks": {"keys": [{"kty": "oct"}]}}, 400),
    ({"jwks": {"keys": [EC | {"x": "AAAA"}]}}, 400), ({"jwks": {"keys": [EC | {"crv": "P-521"}]}}, 400), ({"jwks": {"keys": [EC | {"kid": 5}]}}, 400),
    ({"jwks": {"keys": [EC | {"kid": "a\u0000"}]}}, 400), ({"jwks": {"keys": [EC | {"use": "enc"}]}}, 400),
    ({"jwks": {"keys": [EC | {"kid": None}]}}, 400),
    ({"jwks": {"keys": [RSA | {"n": RSA["n"][:170]}]}}, 400), ({"jwks": {"keys": [RSA | {"n": RSA["n"] * 20}]}}, 400),
    ({"jwks_uri": 5}, 400), ({"jwks_uri": ""}, 400), ({"jwks_uri": "http://dev12345.service-now.com/keys"}, 400),
    ({"jwks_uri": "javascript:alert(1)"}, 400),
    ({"jwks_uri": f"{URI}#"}, 400), ({"jwks_uri": f"{URI}#a"}, 400), ({"jwks_uri": "https://a:b@dev12345.service-now.com/"}, 400),
    ({"jwks_uri": "https://a@dev12345.service-now.com/"}, 400), ({"jwks_uri": "https:///keys"}, 400), ({"jwks_uri": "https://"}, 400),
    ({"jwks_uri": f"{URI} x"}, 400), ({"jwks_uri": f"{URI}\n"}, 400), ({"jwks_uri": "https://x\\@y/"}, 400), ({"jwks_uri": "https://x:99999/"}, 400),
    ({"jwks_uri": "https://d\u00e9v.test/"}, 400), ({"jwks_uri": f"{URI}{'x' * 2_000}"}, 400), ({"jwks_uri": "file:///etc/passwd"}, 400),
])
def test_the_keys_of_a_registration_are_public_and_come_one_way(gateway, registration, keys, status):
    body = registration(token_endpoint_auth_method="private_key_jwt", **keys)
    answer = gateway.post("/oauth/register", json=body, headers={"Authorization": f"Bearer {gateway.settings.dcr_auth_token}"})
    assert answer.status_code == status, answer.text
    if status == 400:
        assert answer.json["error"] == "invalid_client_metadata"
        assert gateway.services.clients.all() == []
    else:
        assert {name: value for name, value in keys.items() if value}.items() <= answer.json.items()
