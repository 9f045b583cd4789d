"""What the token endpoint makes of requests that are malformed, or come where they should not."""

from __future__ import annotations

import pytest

from tests.gateway import FORM, encoded


def token_request(gateway, client, **changes):
    return client.redeems(gateway.code(client), **changes)


def test_an_unexpected_grant_type_is_refused_by_name(gateway, client):
    for grant_type, error in (("password", "unsupported_grant_type"), ("implicit", "unsupported_grant_type"), ("x" * 500, "unsupported_grant_type"),
                              ("urn:ietf:params:oauth:grant-type:jwt-bearer", "unsupported_grant_type"),
                              ("AUTHORIZATION_CODE", "unsupported_grant_type"),
                              ('"quoted"', "unsupported_grant_type"), ("é", "invalid_request"), ("a\nb", "invalid_request"), ("", "invalid_request"),
                              (None, "invalid_request")):
        response = gateway.token(token_request(gateway, client, grant_type=grant_type))
        assert (response.status_code, response.json["error"]) == (400, error), grant_type
        assert "x" * 50 not in response.text


@pytest.mark.requirement("TOK-016")
def test_without_a_grant_type_the_request_is_invalid(gateway, client):
    assert gateway.token(client.proof).json["error"] == "invalid_request"


@pytest.mark.requirement("TOK-018")
def test_a_grant_that_the_client_did_not_register_is_refused(gateway, client, public_client):
    for who in (client, public_client):
        response = gateway.token({"grant_type": "client_credentials"} | who.proof)
        assert (response.status_code, response.json["error"]) == (400, "unauthorized_client")
    only_codes = gateway.register(grant_types=["authorization_code"])
    response = gateway.refresh(only_codes, "x")
    assert (response.status_code, response.json["error"]) == (400, "unauthorized_client")


@pytest.mark.requirement("TOK-019")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_other_methods_than_post_yield_nothing(gateway, client, method):
    form = token_request(gateway, client)
    response = gateway.send(method, "/oauth/token", query_string=form)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert gateway.token(form).status_code == 200


@pytest.mark.requirement("TOK-020")
@pytest.mark.parametrize("inside", [[], ["code", "code_verifier"], ["grant_type", "client_id", "client_secret"]])
def test_parameters_in_the_query_string_count_for_nothing(gateway, client, inside):
    form = token_request(gateway, client)
    body = {name: form[name] for name in inside}
    rest = {name: value for name, value in form.items() if name not in inside}
    response = gateway.post("/oauth/token", query_string=rest, data=body, content_type=FORM)
    assert response.status_code in (400, 401)
    assert gateway.token(form).status_code == 200


@pytest.mark.requirement("TOK-022")
@pytest.mark.parametrize("content_type", [
    "", "application/json", "text/plain", "multipart/form-data; boundary=x", "multipart/form-data", "application/xml",
    "application/x-www-form-urlencodedX", "x", ";", "application/x-www-form-urlencoded, text/plain", "\xff"])
def test_another_content_type_is_refused(gateway, client, content_type):
    response = gateway.post("/oauth/token", data=encoded(token_request(gateway, client)), content_type=content_type)
    assert (response.status_code, response.json["error"]) == (415, "invalid_request")


@pytest.mark.parametrize("content_type", [FORM, FORM.upper(), f"{FORM}; charset=UTF-8", f"{FORM};charset=utf-16", f"{FORM}; charset=nonsense",
    f"{FORM};"])
def test_a_form_may_say_its_charset(gateway, client, content_type):
    assert gateway.post("/oauth/token", data=encoded(token_request(gateway, client)), content_type=content_type).status_code == 200


@pytest.mark.requirement("TOK-023")
@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("name", ["grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret", "scope", "unknown"])
def test_each_parameter_may_come_once_only(gateway, client, name, same):
    form = token_request(gateway, client, scope="tools:read", unknown="x")
    response = gateway.token(encoded([*form.items(), (name, form[name] if same else "other")]), content_type=FORM)
    assert (response.status_code, response.json["error"]) == (400, "invalid_request")
    assert gateway.token(form).status_code == 200


@pytest.mark.requirement("TOK-024")
def test_unknown_parameters_are_ignored(gateway, client):
    assert gateway.token(token_request(gateway, client, audience="x", foo="bar" * 100, state="s")).status_code == 200


@pytest.mark.requirement("TOK-028")
@pytest.mark.parametrize(("body", "status"), [
    (b"x=" + b"y" * 150_000, 413), (b"x=" + b"y" * 5_000_000, 413), (b"a&" * 200_000, 413), (b"a&" * 40_000, 400), (b"a=b&" * 41, 400),
    (b"x=" + b"y" * 5_000, 400), (b"y" * 5_000 + b"=x", 400)])
def test_a_form_that_is_too_large_is_refused_before_it_is_read(gateway, body, status):
    response = gateway.post("/oauth/token", data=body, content_type=FORM)
    assert (response.status_code, response.json["error"]) == (status, "invalid_request")


@pytest.mark.requirement("TOK-029")
@pytest.mark.parametrize("body", [
    b"%", b"grant_type=%", b"grant_type=%zz", b"grant_type=%e", b"grant_type=\xff", b"grant_type=%ff%fe", b"%ff=x", b"grant_type=%00",
    b"grant_type=a%0d%0ab",
    b"grant_type=%C3%28", b"grant_type=%ED%A0%80", b"\xef\xbb\xbfgrant_type=x", b"grant_type=%u0041", b"&" * 50, b""])
def test_a_form_that_cannot_be_read_is_refused(gateway, body):
    response = gateway.post("/oauth/token", data=body, content_type=FORM)
    assert (response.status_code, response.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", ""])
@pytest.mark.parametrize(("path", "status", "error"), [
    ("/oauth/token", 401, "invalid_client"), ("/oauth/revoke", 401, "invalid_client"), ("/oauth/register", 415, "invalid_request")])
def test_errors_for_programs_are_json_whatever_a_java_client_says_it_accepts(gateway, accept, path, status, error):
    response = gateway.post(path, data={"grant_type": "refresh_token", "token": "x", "client_id": "nobody"}, headers={"Accept": accept})
    assert (response.status_code, response.mimetype) == (status, "application/json")
    assert response.json["error"] == error
