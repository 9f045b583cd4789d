"""How a client proves itself at the token endpoint (RFC 6749 §2.3)."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

import pytest

from tests.gateway import basic, without_nones


@pytest.fixture
def redeem(gateway, client):
    """redeem(headers, **changes) → the answer to a request whose code is good, and still is in the end if no answer was 200."""
    form = client.redeems(gateway.code(client))
    statuses = []

    def redeem(headers=None, **changes):
        response = gateway.token(without_nones({**form, **changes}), headers=headers or {})
        statuses.append(response.status_code)
        return response

    yield redeem
    assert 200 in statuses or gateway.token(form).status_code == 200


def is_invalid_client(response, *, by_header=False):
    assert (response.status_code, response.json["error"]) == (401, "invalid_client"), response.text
    assert ("WWW-Authenticate" in response.headers) == by_header
    return True


def header_of(text):
    return {"Authorization": text}


def encoded_basic(raw: bytes):
    return header_of("Basic " + base64.b64encode(raw).decode())


IN_THE_HEADER = {"client_id": None, "client_secret": None}


@pytest.mark.requirement("CLI-001")
@pytest.mark.requirement("CLI-015")
@pytest.mark.parametrize("spoil", [
    str.upper, str.swapcase, " {}".format, "{} ".format, "{}x".format, lambda secret: secret[:-1], lambda secret: secret[::-1], lambda _: "x" * 3_000,
    lambda _: "é", lambda _: "*"])
@pytest.mark.parametrize("by_header", [True, False])
def test_a_wrong_secret_is_refused_and_does_not_use_the_code_up(client, redeem, spoil, by_header):
    wrong = spoil(client.client_secret)
    if by_header:
        assert is_invalid_client(redeem(basic(client.client_id, wrong), **IN_THE_HEADER), by_header=True)
    elif wrong.isascii():
        assert is_invalid_client(redeem(client_secret=wrong))
    else:
        assert redeem(client_secret=wrong).status_code == 400


@pytest.mark.parametrize("secret", ["", None])
@pytest.mark.requirement("CLI-001")
def test_a_confidential_client_without_its_secret_is_refused(client, redeem, secret):
    assert is_invalid_client(redeem(client_secret=secret))
    assert is_invalid_client(redeem(basic(client.client_id, ""), **IN_THE_HEADER), by_header=True)


@pytest.mark.requirement("CLI-003")
@pytest.mark.requirement("CLI-004")
def test_an_unknown_client_looks_like_a_wrong_secret(client, redeem):
    for by_header in (True, False):
        answers = [redeem(basic(client_id, "x"), **IN_THE_HEADER) if by_header else redeem(client_id=client_id, client_secret="x")
                   for client_id in (client.client_id, "nobody")]
        assert all(is_invalid_client(answer, by_header=by_header) for answer in answers)
        assert answers[0].json == answers[1].json
        if by_header:
            assert answers[0].headers["WWW-Authenticate"].startswith("Basic realm=")


@pytest.mark.requirement("CLI-005")
def test_a_client_may_prove_itself_in_one_way_only(client, redeem, gateway):
    other = gateway.register()
    for headers, changes in ((client.basic, {}), (client.basic, {"client_id": None}), (client.basic, {"client_secret": "wrong"}),
                             (client.basic, {"client_id": other.client_id, "client_secret": None}), (other.basic, {"client_secret": None}),
                             (basic("nobody", "nobody"), {})):
        response = redeem(headers, **changes)
        assert (response.status_code, response.json["error"]) == (400, "invalid_request")


def test_the_client_id_may_be_repeated_beside_basic(client, redeem):
    assert redeem(client.basic, client_secret=None).status_code == 200


@pytest.mark.requirement("CLI-009")
@pytest.mark.parametrize("headers", [
    header_of("Basic"), header_of("Basic "), header_of("Basic !!!!"), header_of("Basic //79"), header_of("Basic YWJj"), header_of("Basic AAA6AAA="),
    header_of("Basic YWJj "), header_of("Basic é"), header_of("Basic a:b"), header_of("Basic YTpi YTpi"), header_of("Basic YTpiYg"),
    header_of("Basic, YTpi"), header_of("BasicYTpi"), encoded_basic(b":"), encoded_basic(b":secret"), encoded_basic(b"a\nb:c"),
    encoded_basic(b"\xff:\xff"),
    encoded_basic(b"a:b\0"), encoded_basic(b"%ff:%00"), encoded_basic(b"%:%"), encoded_basic(b"x" * 8_000 + b":y"), encoded_basic("é:ü".encode()),
    header_of("Bearer x"), header_of('Digest username="a"'), header_of("Negotiate x"), header_of(""), header_of("x" * 9_000)])
def test_a_malformed_header_is_refused(redeem, headers):
    assert is_invalid_client(redeem(headers, **IN_THE_HEADER), by_header=True)


@pytest.mark.requirement("CLI-010")
@pytest.mark.parametrize("scheme", ["basic", "BASIC", "Basic ", " Basic"])
def test_the_case_of_basic_does_not_matter(client, redeem, scheme):
    given = client.basic["Authorization"].partition(" ")[2]
    assert redeem(header_of(f"{scheme} {given}"), **IN_THE_HEADER).status_code == 200


@pytest.mark.parametrize("secret", ["p+w/slash=end==", "100%25 sure", "a%20b+c", "co:lon:s", "tilde~and!bang*"])
@pytest.mark.parametrize("escape", [str, quote, quote_plus])
def test_a_secret_with_special_characters_works_escaped_or_not(gateway, secret, escape):
    client = gateway.add_client(secret, grant_types=("client_credentials",))
    response = gateway.token({"grant_type": "client_credentials"}, headers=basic(client.client_id, escape(secret)))
    assert response.status_code == 200
    assert gateway.token({"grant_type": "client_credentials"} | client.proof).status_code == 200


@pytest.mark.requirement("CLI-016")
@pytest.mark.parametrize("changes", [
    {"client_assertion": "junk", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
    {"client_assertion": "eyJhbGciOiJub25lIn0.e30.", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
    {"client_assertion": "x"}, {"client_assertion_type": "x"}])
def test_a_client_that_has_a_secret_gets_nothing_for_an_assertion(redeem, changes):
    assert is_invalid_client(redeem(client_secret=None, **changes))
    beside_the_secret = redeem(**changes)
    assert (beside_the_secret.status_code, beside_the_secret.json["error"]) == (400, "invalid_request")


@pytest.mark.requirement("CLI-017")
def test_a_public_client_that_sends_a_secret_is_refused(gateway, public_client):
    form = public_client.redeems(gateway.code(public_client))
    assert is_invalid_client(gateway.token(form | {"client_secret": "x"}))
    assert is_invalid_client(gateway.token(form, headers=basic(public_client.client_id, "x")), by_header=True)
    assert is_invalid_client(gateway.token(form, headers=basic(public_client.client_id, "")), by_header=True)
    assert gateway.token(form).status_code == 200


def test_without_any_client_id_the_request_is_refused(redeem):
    assert is_invalid_client(redeem(**IN_THE_HEADER))


@pytest.mark.requirement("TOK-037")
@pytest.mark.parametrize(("asked", "granted"), [(None, "tools:read tools:execute"), ("tools:read", "tools:read"),
    ("tools:read,openid", "tools:read")])
def test_client_credentials_give_a_confidential_client_a_token_of_its_own_and_no_refresh_token(gateway, asked, granted):
    client = gateway.add_client("s" * 32, grant_types=("client_credentials",))
    form = {"grant_type": "client_credentials"} | client.proof | ({"scope": asked} if asked else {})
    response = gateway.token(form)
    assert (response.status_code, response.json["scope"]) == (200, granted)
    assert "refresh_token" not in response.json
    assert gateway.opens(response.json["access_token"])
    assert gateway.services.access_tokens.verify(response.json["access_token"]).subject == f"client:{client.client_id}"


@pytest.mark.requirement("TOK-037")
@pytest.mark.parametrize(("change", "status", "error"), [
    ({"scope": "root"}, 400, "invalid_scope"), ({"resource": "https://elsewhere.test/"}, 400, "invalid_target"),
    ({"client_secret": "x"}, 401, "invalid_client")])
def test_client_credentials_are_checked_as_the_other_grants_are(gateway, change, status, error):
    client = gateway.add_client("s" * 32, grant_types=("client_credentials",))
    response = gateway.token({"grant_type": "client_credentials"} | client.proof | change)
    assert (response.status_code, response.json["error"]) == (status, error)


@pytest.mark.requirement("TOK-037")
def test_a_public_client_gets_nothing_for_its_credentials(gateway):
    client = gateway.add_client(grant_types=("client_credentials",))
    response = gateway.token({"grant_type": "client_credentials"} | client.proof)
    assert (response.status_code, response.json["error"]) == (400, "unauthorized_client")
