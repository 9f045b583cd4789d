"""A client manages its own registration (RFC 7592)."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from mcp_server.oauth.models import InitialAccessToken
from tests.gateway import BOTH_SCOPES, DCR_TOKEN, INSTANCE, ISSUER, JWT_SECRET, OTHER_JWT_SECRET, REDIRECT_URI, ClientApplication, both_back_ends

SECOND_REDIRECT_URI = f"{INSTANCE}/mcp_redirect.do"
NOT_TO_BE_SENT = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")


class Registered:
    """A registration, and requests to where it says that it is managed."""

    def __init__(self, gateway, information) -> None:
        self.gateway, self.information = gateway, information
        self.client_id, self.token = information["client_id"], information["registration_access_token"]
        self.path = urlsplit(information["registration_client_uri"]).path
        self.application = ClientApplication(self.client_id, information.get("client_secret"))

    def ask(self, method="GET", authorization="its own", **kwargs):
        given = f"Bearer {self.token}" if authorization == "its own" else authorization
        return self.gateway.send(method, kwargs.pop("path", self.path), headers={"Authorization": given} if given is not None else {}, **kwargs)

    def put(self, **changes):
        """What a client sends that changes nothing, changed; None leaves a member out."""
        body = {name: value for name, value in self.information.items() if name not in NOT_TO_BE_SENT} | changes
        return self.ask("PUT", json={name: value for name, value in body.items() if value is not None})

    @property
    def stored(self):
        return self.gateway.services.clients.find(self.client_id)


@pytest.fixture
def register(gateway, registration):
    def register(*, token=DCR_TOKEN, gateway=gateway, **changes):
        answer = gateway.post("/oauth/register", json=registration(**changes), headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 201, answer.text
        return Registered(gateway, answer.json)

    return register


@pytest.fixture
def registered(register):
    return register()


def is_refused(response):
    assert (response.status_code, response.json["error"]) == (401, "invalid_token"), response.text
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    return True


def test_a_registration_says_where_and_with_what_it_is_managed(registered):
    assert registered.information["registration_client_uri"] == f"{ISSUER}/oauth/register/{registered.client_id}"
    assert len(registered.token) >= 43


def test_servicenow_gets_all_that_it_got_before(registered):
    assert {"client_id", "client_secret", "client_secret_expires_at", "client_id_issued_at", "client_name", "redirect_uris", "grant_types",
            "response_types", "token_endpoint_auth_method", "scope", "client_uri"} <= registered.information.keys()


def test_of_the_token_only_a_digest_is_stored_and_nothing_is_logged(registered, log):
    registered.ask()
    registered.put(client_name="Another")
    assert registered.token not in repr(registered.stored)
    assert registered.stored.registration_access_token_digest
    assert registered.token not in log.text


@pytest.mark.requirement("REG-029")
@pytest.mark.parametrize("prefix", ["/oauth", ""])
def test_a_client_reads_what_is_registered_but_not_its_secret(registered, prefix):
    answer = registered.ask(path=f"{prefix}/register/{registered.client_id}")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    expected = {name: value for name, value in registered.information.items() if name not in ("client_secret", "client_secret_expires_at")}
    assert answer.json == expected


@pytest.mark.requirement("REG-029")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("authorization", [
    None, "", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {DCR_TOKEN}", "Basic {token}", "{token}", "Bearer {token}x", "Bearer {token},",
    "Bearer \x80\xff", "Bearer {digest}", "Bearer {secret}", "Bearer {other}"])
def test_without_its_own_token_nobody_manages_a_client(register, method, authorization):
    registered, other = register(), register()
    if authorization is not None:
        authorization = authorization.format(token=registered.token, digest=registered.stored.registration_access_token_digest,
                                             secret=registered.information["client_secret"], other=other.token)
    before = registered.stored
    body = {"json": {"client_id": registered.client_id, "redirect_uris": [SECOND_REDIRECT_URI]}} if method == "PUT" else {}
    assert is_refused(registered.ask(method, authorization, **body))
    assert registered.stored == before


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_client_looks_like_a_wrong_token(gateway, registered, method):
    body = {"json": {}} if method == "PUT" else {}
    nobody = gateway.send(method, "/oauth/register/nobody", headers={"Authorization": f"Bearer {registered.token}"}, **body)
    wrong = registered.ask(method, "Bearer wrong", **body)
    assert is_refused(nobody)
    assert (nobody.json, nobody.headers["WWW-Authenticate"]) == (wrong.json, wrong.headers["WWW-Authenticate"])


@pytest.mark.parametrize("token", ["", "None", "null"])
def test_a_client_that_an_operator_made_has_no_such_token(gateway, token):
    made = gateway.add_client("s3cret")
    assert is_refused(gateway.get(f"/oauth/register/{made.client_id}", headers={"Authorization": f"Bearer {token}"}))


def test_a_token_in_the_query_string_counts_for_nothing(registered):
    assert is_refused(registered.ask(authorization=None, query_string={"access_token": registered.token}))


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_other_methods_are_refused_and_change_nothing(registered, method):
    before = registered.stored
    answer = registered.ask(method, json={"client_id": registered.client_id})
    assert answer.status_code == 405
    assert {"GET", "PUT", "DELETE"} <= set(answer.headers["Allow"].split(", "))
    assert registered.stored == before


def test_put_replaces_the_metadata_and_keeps_the_secret_and_the_token(gateway, registered):
    answer = registered.put(client_name="Renamed", redirect_uris=[SECOND_REDIRECT_URI], client_uri=None, logo_uri=f"{INSTANCE}/logo.png")
    assert answer.status_code == 200, answer.text
    assert "client_secret" not in answer.json
    assert (answer.json["client_name"], answer.json["redirect_uris"]) == ("Renamed", [SECOND_REDIRECT_URI])
    assert answer.json["logo_uri"] == f"{INSTANCE}/logo.png"
    assert "client_uri" not in answer.json
    assert registered.ask().json == answer.json
    application = ClientApplication(registered.client_id, registered.information["client_secret"], SECOND_REDIRECT_URI)
    assert gateway.opens(gateway.tokens(application)["access_token"])
    assert gateway.authorize(registered.application.asks()).status_code == 400


@pytest.mark.parametrize(("changes", "error"), [
    ({"client_id": None}, "invalid_client_metadata"),
    ({"client_id": "another"}, "invalid_client_metadata"),
    ({"client_id": ["x"]}, "invalid_client_metadata"),
    ({"client_secret": "chosen"}, "invalid_client_metadata"),
    ({"client_secret": 5}, "invalid_client_metadata"),
    ({"client_secret": ""}, "invalid_client_metadata"),
    ({"redirect_uris": None}, "invalid_redirect_uri"),
    ({"redirect_uris": ["https://evil.test/"]}, "invalid_redirect_uri"),
    ({"redirect_uris": ["http://dev12345.service-now.com/oauth_redirect.do"]}, "invalid_redirect_uri"),
    ({"redirect_uris": [REDIRECT_URI + "#"]}, "invalid_redirect_uri"),
    ({"grant_types": ["password"]}, "invalid_client_metadata"),
    ({"response_types": ["token"]}, "invalid_client_metadata"),
    ({"logo_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
    ({"software_statement": "x.y.z"}, "invalid_software_statement"),
])
def test_put_is_held_to_the_rules_of_a_registration_and_a_refused_one_changes_nothing(registered, changes, error):
    before = registered.stored
    answer = registered.put(**changes)
    assert (answer.status_code, answer.json["error"]) == (400, error), answer.text
    assert registered.stored == before


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b"null", b"5", b"[" * 20_000])
def test_put_of_what_is_no_object_is_refused(registered, body):
    answer = registered.ask("PUT", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_client_metadata")


@pytest.mark.parametrize("member", [
    "origin", "pkce_required", "instance", "registered_with", "registration_access_token_digest", "last_used_at", "created_at",
    "client_secret_digests", *NOT_TO_BE_SENT])
def test_put_cannot_set_what_a_client_does_not_decide(registered, member):
    before = registered.stored
    assert registered.put(**{member: "chosen"}).status_code == 200
    assert registered.stored == before


def test_a_client_that_becomes_public_loses_its_secret_and_needs_pkce(gateway, registered):
    built = gateway.services
    object.__setattr__(before := registered.stored, "pkce_required", False)
    built.clients.replace(before)
    answer = registered.put(token_endpoint_auth_method="none", client_secret=None)
    assert answer.status_code == 200
    assert "client_secret_expires_at" not in answer.json
    assert (registered.stored.client_secret_digests, registered.stored.pkce_required) == ((), True)


def test_a_public_client_that_becomes_confidential_gets_a_secret_that_works(gateway, register):
    registered = register(token_endpoint_auth_method="none")
    answer = registered.put(token_endpoint_auth_method="client_secret_basic")
    assert answer.json["client_secret_expires_at"] == 0
    assert gateway.tokens(ClientApplication(registered.client_id, answer.json["client_secret"]))


def test_a_public_client_stays_public_when_it_does_not_speak_of_it(register):
    registered = register(token_endpoint_auth_method="none")
    assert registered.put(token_endpoint_auth_method=None).json["token_endpoint_auth_method"] == "none"


@both_back_ends
@pytest.mark.requirement("REG-029")
def test_a_client_that_leaves_takes_all_of_its_tokens_with_it(gateway, registered):
    tokens = gateway.tokens(registered.application)
    answer = registered.ask("DELETE")
    assert (answer.status_code, answer.data) == (204, b"")
    assert not gateway.opens(tokens["access_token"])
    assert gateway.refresh(registered.application, tokens["refresh_token"]).status_code == 401
    assert gateway.authorize(registered.application.asks()).status_code == 400
    for method in ("GET", "PUT", "DELETE"):
        assert is_refused(registered.ask(method, **({"json": {}} if method == "PUT" else {})))


@pytest.mark.parametrize("token_is_there", [True, False])
def test_put_may_not_lead_out_of_the_instance_of_its_registration_token(gateway, register, clock, token_is_there):
    digest = gateway.services.digests.digest("initial", "minted")
    gateway.services.initial_access_tokens.add(InitialAccessToken("id", "team", digest, clock(), instance="https://acme.service-now.com"))
    registered = register(token="minted", redirect_uris=["https://acme.service-now.com/oauth_redirect.do"])
    if not token_is_there:
        gateway.services.initial_access_tokens.remove("id")
    assert registered.put(redirect_uris=["https://acme.service-now.com/mcp_redirect.do"]).status_code == 200
    refused = registered.put(redirect_uris=[REDIRECT_URI])
    assert refused.json["error"] == "invalid_redirect_uri"
    assert "https://acme.service-now.com" in refused.json["error_description"]
    assert (registered.stored.instance, registered.stored.registered_with) == ("https://acme.service-now.com", "id")


def test_clients_manage_themselves_when_registration_is_switched_off(registered, open_gateway):
    closed = open_gateway(DCR_MODE="off")
    there = Registered(closed, registered.information)
    assert there.ask().status_code == 200
    assert there.put(client_name="Renamed").status_code == 200
    assert there.ask("DELETE").status_code == 204
    assert registered.stored is None


def test_the_token_works_after_the_secret_of_the_server_was_rotated(registered, open_gateway):
    rotated = open_gateway(JWT_SECRET=OTHER_JWT_SECRET, JWT_SECRET_PREVIOUS=JWT_SECRET)
    assert Registered(rotated, registered.information).ask().status_code == 200
    assert is_refused(Registered(open_gateway(JWT_SECRET=OTHER_JWT_SECRET), registered.information).ask())


@both_back_ends
def test_guesses_at_the_token_are_counted(open_gateway):
    gateway = open_gateway(RATE_LIMIT_OAUTH_MAX="3", RATE_LIMIT_OAUTH_WINDOW="600")
    answers = [gateway.get("/oauth/register/x", headers={"Authorization": f"Bearer {number}"}) for number in range(5)]
    assert [answer.status_code for answer in answers] == [401] * 3 + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_what_is_done_with_the_token_is_audited(registered, log):
    registered.ask(authorization="Bearer wrong")
    registered.ask()
    registered.put(redirect_uris=["https://evil.test/"])
    registered.put(redirect_uris=[SECOND_REDIRECT_URI])
    registered.ask("DELETE")
    assert [[line["result"] for line in log.audited(action)] for action in ("client_read", "client_replaced", "client_removed")] == [
        ["denied", "success"], ["failure", "success"], ["success"]]
    assert {line["client_id"] for line in log.audited("client_replaced")} == {registered.client_id}


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_a_refusal_is_json_whatever_the_client_accepts(gateway, accept):
    answer = gateway.get("/oauth/register/x", headers={"Accept": accept})
    assert (answer.status_code, answer.mimetype) == (401, "application/json")


def test_scopes_can_be_narrowed(gateway, registered):
    assert registered.put(scope="tools:read").json["scope"] == "tools:read"
    assert registered.put(scope=None).json["scope"] == BOTH_SCOPES


def test_a_use_is_remembered_once_an_hour_and_not_at_each_call(gateway, registered, clock, monkeypatch):
    touched = []
    touch = gateway.services.clients.touch
    monkeypatch.setattr(gateway.services.clients, "touch", lambda *given: (touched.append(given), touch(*given)))
    assert registered.stored.last_used_at is None
    began = clock()
    tokens = gateway.tokens(registered.application)
    for _ in range(3):
        assert gateway.opens(tokens["access_token"])
        clock.advance(600)
        tokens = gateway.refresh(registered.application, tokens["refresh_token"]).json
    assert registered.stored.last_used_at == began
    assert len(touched) == 1
    clock.advance(1800)
    gateway.refresh(registered.application, tokens["refresh_token"])
    assert registered.stored.last_used_at == began + 3600
    assert len(touched) == 2


def test_a_refused_token_request_is_no_use(gateway, registered):
    assert gateway.refresh(registered.application, "wrong").status_code == 400
    assert registered.stored.last_used_at is None
