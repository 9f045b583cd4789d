"""Only a token that we made, as we made it, opens /mcp (RFC 8725, RFC 9068)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import pytest

from mcp_server.oauth.credentials import derive_key
from tests.gateway import DCR_TOKEN, ISSUER, JWT_SECRET, canary


def b64(data) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed(header, claims, key=None, digest="sha256") -> str:
    """A token over this header and these claims; `key` None: our own."""
    signing_input = f"{b64(header)}.{b64(claims)}"
    our_key = derive_key(JWT_SECRET, "at+jwt v1")
    return f"{signing_input}.{b64(hmac.new(our_key if key is None else key, signing_input.encode(), digest).digest())}"


@pytest.fixture
def token(flow):
    return flow()["access_token"]


@pytest.fixture
def parts(token):
    """Header, claims and signature of a token that is good."""
    header, claims, signature = token.split(".")
    return json.loads(unb64(header)), json.loads(unb64(claims)), signature


@pytest.fixture
def refused(gateway):
    def refused(token):
        response = gateway.mcp(token=token)
        assert response.status_code == 401, token
        assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
        assert response.json["error"]["code"] == -32001
        return True

    return refused


def test_the_way_this_file_signs_is_ours(gateway, parts):
    header, claims, _ = parts
    assert gateway.opens(signed(header, claims))


@pytest.mark.requirement("BRR-011")
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, "none ", 0, ["none"]])
def test_no_spelling_of_none_replaces_a_signature(parts, refused, alg):
    header, claims, signature = parts
    for tail in ("", signature, b64(b"")):
        assert refused(f"{b64({**header, 'alg': alg})}.{b64(claims)}.{tail}")
    assert refused(f"{b64({'alg': alg})}.{b64(claims)}.")
    assert refused(f"{b64(header)}.{b64(claims)}.")


@pytest.mark.requirement("BRR-012")
@pytest.mark.parametrize("key", [
    b"", b"secret", b"\0", JWT_SECRET.encode(), DCR_TOKEN.encode(), ISSUER.encode(), b"your-256-bit-secret",
    b"your-secure-secret-key-here-minimum-32-chars",
    hashlib.sha256(JWT_SECRET.encode()).digest(), derive_key(JWT_SECRET, "cookies v1"), derive_key(JWT_SECRET, "digests v1"),
    b"-----BEGIN PUBLIC KEY-----"])
def test_a_token_signed_with_another_key_is_refused(parts, refused, key):
    header, claims, _ = parts
    assert refused(signed(header, claims, key))


@pytest.mark.requirement("BRR-012")
@pytest.mark.parametrize(("alg", "digest"), [("HS384", "sha384"), ("HS512", "sha512"), ("RS256", "sha256"), ("ES256", "sha256"), ("hs256", "sha256"),
    ("EdDSA", "sha256")])
def test_a_token_of_another_algorithm_is_refused(parts, refused, alg, digest):
    header, claims, _ = parts
    assert refused(signed({**header, "alg": alg}, claims, digest=digest))


@pytest.mark.requirement("BRR-014")
@pytest.mark.parametrize("kid", ["../../../dev/null", "/dev/null", "' UNION SELECT 'x' --", "a\0b", "x" * 5_000, "$(id)", "http://127.0.0.1/key", 1,
    1.5, None, True,
                                 {"a": 1}, ["a"], ""])
def test_a_kid_is_a_name_and_nothing_more(parts, refused, kid):
    header, claims, _ = parts
    assert refused(signed({**header, "kid": kid}, claims))


@pytest.mark.requirement("BRR-015")
@pytest.mark.parametrize("added", [
    {"crit": ["x"], "x": 1}, {"crit": []}, {"crit": ["exp"]}, {"crit": "x"}, {"crit": None}, {"b64": False, "crit": ["b64"]}, {"zip": "DEF"},
    {"cty": "JWT"}, {"x": 1},
    {"x5c": ["AA=="]}, {"enc": "A128GCM"}])
def test_a_header_that_says_more_than_ours_is_refused(parts, refused, added):
    header, claims, _ = parts
    assert refused(signed({**header, **added}, claims))


@pytest.mark.parametrize("changed", [{"typ": "JWT"}, {"typ": "AT+JWT"}, {"typ": None}, {"typ": "application/at+jwt"}, {"typ": ["at+jwt"]}])
def test_a_token_of_another_type_is_refused(parts, refused, changed):
    header, claims, _ = parts
    assert refused(signed({**header, **changed}, claims))
    for missing in header:
        assert refused(signed({name: value for name, value in header.items() if name != missing}, claims))


@pytest.mark.requirement("SSR-003")
def test_a_key_that_the_token_brings_along_is_neither_believed_nor_fetched(parts, refused):
    header, claims, _ = parts
    jwk = {"kty": "oct", "k": b64(b"k" * 32), "kid": "mine"}
    with canary() as (url, asked):
        for added in ({"jwk": jwk}, {"jwk": jwk, "kid": "mine"}, {"jku": url}, {"x5u": url}, {"jku": url, "kid": "mine"}, {"kid": url}):
            assert refused(signed({**header, **added}, claims, b"k" * 32))
            assert refused(signed({**header, **added}, claims))
        assert refused(signed(header, {**claims, "iss": url}))
    assert asked == []


@pytest.mark.requirement("BRR-002")
@pytest.mark.parametrize("token", ["x", "null", "undefined", "a.b.c", "..", "...", "a.b", ".", "e30.e30.e30", "W10.W10.W10", "bnVsbA.bnVsbA.",
    "=.=.=", "a b.c.d",
                                   "eyJhbGciOiJIUzI1NiJ9.." + "x" * 43, "é.é.é", "[" * 3_000 + ".b.c",
                                   b64(b"[" * 2_000) + "." + b64(b"[" * 1_000) + ".x"])
def test_what_is_no_token_is_refused(refused, token):
    assert refused(token)


@pytest.mark.requirement("BRR-010")
@pytest.mark.requirement("BRR-019")
@pytest.mark.requirement("BRR-008")
def test_a_token_has_one_spelling(gateway, token, refused):
    header, claims, signature = token.split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spare_bits = signature[:-1] + last[last.index(signature[-1]) ^ 1]
    for spoilt in (token[:-1], token + "A", token + "=", token + "==", token[::-1], f"{header}.{claims}", f"{header}.{claims}.",
        f"{header}.{claims}.{signature}.",
                   f"{header}.{claims}.{spare_bits}", f"{header}=.{claims}.{signature}", f"{header}.{claims}=.{signature}", f"{token}\t",
                   f"{token}\n", f"{token}!!!!",
                   f"{token},x", f"x,{token}", f"x{token}", f'"{token}"', f"{header}.{claims}.{signature[:20]} {signature[20:]}", token.upper(),
                   token + "\u00a0",
                   f"{header}\u00a0.{claims}.{signature}", token + "\0", f"{header}.{claims}.{signature[:-1]}/"):
        if "\n" not in spoilt:  # no server hands on a header with a line break in it
            assert refused(spoilt), spoilt
    assert gateway.opens(token)


@pytest.mark.requirement("BRR-017")
@pytest.mark.parametrize("size", [7_000, 100_000, 900_000])
def test_a_huge_token_is_refused_at_once(parts, refused, size):
    header, claims, signature = parts
    began = time.monotonic()
    for spoilt in (signed({**header, "x": "a" * size}, claims), signed(header, {**claims, "x": "a" * size}),
        f"{b64(header)}.{b64(claims)}.{'a' * size}",
                   f"{'a' * size}.{b64(claims)}.{signature}", "." * size, "a." * size, "a" * size):
        assert refused(spoilt)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("changed", [
    {"iss": "https://elsewhere.test"}, {"iss": ISSUER + "/"}, {"iss": None}, {"iss": [ISSUER]}, {"aud": "https://elsewhere.test/mcp"},
    {"aud": ISSUER}, {"aud": []},
    {"aud": None}, {"exp": None}, {"exp": "9999999999"}, {"exp": True}, {"exp": 0}, {"exp": -1}, {"exp": {}}, {"iat": 99_999_999_999}, {"iat": "x"},
    {"nbf": 99_999_999_999}, {"sub": None}, {"client_id": None}, {"jti": None}, {"scope": None}, {"scope": 5}, {"scope": ["tools:read"]},
    {"grant_id": None}])
def test_claims_that_are_not_for_us_are_refused_though_the_signature_is_good(parts, refused, changed):
    header, claims, _ = parts
    assert refused(signed(header, {**claims, **changed}))
    [name] = changed
    if name != "nbf":
        assert refused(signed(header, {key: value for key, value in claims.items() if key != name}))


@pytest.mark.parametrize("claims", [[], "x", None, 5, [["iss", ISSUER]]])
def test_claims_that_are_no_object_are_refused(parts, refused, claims):
    assert refused(signed(parts[0], claims))


@pytest.mark.requirement("TOK-033")
def test_other_secrets_of_ours_are_not_bearer_tokens(gateway, client, flow, refused):
    for secret in (flow()["refresh_token"], gateway.code(client), client.client_secret, client.client_id, DCR_TOKEN, JWT_SECRET):
        assert refused(secret)


def test_a_token_ends_with_its_time_also_when_it_was_used_a_moment_ago(gateway, token, refused, clock):
    clock.advance(3_600)
    assert gateway.opens(token)  # clocks may differ by half a minute
    clock.advance(31)
    assert refused(token)


@pytest.mark.requirement("BRR-021")
def test_too_little_scope_is_a_challenge_that_names_all_that_is_needed(gateway, flow):
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "x"}}}
    response = gateway.mcp(call, flow(scope="tools:read")["access_token"])
    challenge = response.headers["WWW-Authenticate"]
    assert response.status_code == 403
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="tools:read tools:execute"' in challenge
    assert f'resource_metadata="{ISSUER}/.well-known/oauth-protected-resource/mcp"' in challenge
    assert gateway.mcp("tools/list", flow(scope="tools:execute")["access_token"]).status_code == 403
