"""Every endpoint of the authorization server: a row each. A new endpoint is one more row, and tests/fuzz/test_fuzz.py says so when one is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz.sending import Answer, Draft, Sent
from tests.fuzz.world import World, form_of
from tests.gateway import API_KEY, DCR_TOKEN, PASSWORD, USERNAME, VERIFIER, registration_body
from tests.key_clients import KeyClient

PROGRAM, PAGE, SHORT, JSON_RPC = "RFC 6749 JSON", "a page, or RFC 6749 JSON", "a page, or short JSON", "JSON-RPC"


@dataclass(frozen=True)
class Endpoint:
    """`good`: requests that succeed, each made anew of the world. `earned`: whether this request may be given what it was given."""

    name: str
    rules: tuple[str, ...]
    good: tuple[Callable[[World, str], Draft], ...]
    form: str
    names: tuple[str, ...] = ()
    members: bool = False
    earned: Callable[[World, Sent, Answer], bool] = lambda world, sent, answer: False
    examples: int = 400


# --- requests that succeed ---


def of_form(make):
    """A POST of a form that `make` gives; with a cookie where it needs one."""

    def good(world, path):
        return Draft("POST", path, {name: [value] for name, value in make(world).items()})

    return good


def _with_basic(make):
    def good(world, path):
        draft = of_form(make)(world, path)
        draft.headers |= world.confidential.basic
        return draft

    return good


def _from_the_browser(make):
    def good(world, path):
        draft = of_form(make)(world, path)
        draft.headers |= {"Cookie": world.a_cookie(), "Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
        return draft

    return good


def _get(world, path):
    return Draft("GET", path)


def _withdraws(world, path):
    """The newest approval of the person: the fuzzer's own tokens are older."""
    world.a_code()
    user = world.gateway.services.users.find(USERNAME)
    [newest, *_] = world.gateway.services.grants.of_subject(user.user_id, world.gateway.clock())
    return _from_the_browser(lambda world: {"csrf": world.a_csrf()})(world, path.replace("<grant_id>", newest.grant_id))


def _asks(world, path):
    """An authorization request of somebody who is signed in."""
    world.a_csrf()
    return Draft("GET", path, {name: [value] for name, value in world.confidential.asks().items()},
                 headers={"Cookie": world.a_cookie(), "Accept": "text/html"})


def _asks_signed_out(world, path):
    return Draft("GET", path, {name: [value] for name, value in world.public.asks().items()}, headers={"Accept": "text/html"})


def _registers(world, path):
    return Draft("POST", path, members=registration_body(), headers={"Authorization": f"Bearer {DCR_TOKEN}"})


def _registers_by_body(world, path):
    return Draft("POST", path, members=registration_body(token_value=DCR_TOKEN))


def _manages(method):
    def good(world, path):
        client_id = world.a_managed_client()
        members = registration_body(client_id=client_id) if method == "PUT" else None
        return Draft(method, path.replace("<client_id>", client_id), members=members, headers={"Authorization": f"Bearer {world.managed[client_id]}"})

    return good


def _calls(world, path):
    return Draft("POST", path, members={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"message": "x"}}},
                 headers={"Authorization": world.a_bearer(), "Accept": "application/json"})


def _initializes(world, path):
    return Draft("POST", path, members={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18",
                                                                                                      "capabilities": {}}})


def _signs_in(world):
    return {"csrf": world.a_csrf(), "next": "/logout", "username": USERNAME, "password": PASSWORD}


def _approves(world):
    return {"transaction": world.a_transaction(), "csrf": world.csrf, "decision": "approve"}


def _redeems(world):
    return world.confidential.redeems(world.a_code())


def _redeems_public(world):
    return world.public.redeems(world.a_code(world.public))


def _refreshes(world):
    return world.confidential.refreshes(world.a_refresh_token())


def _asserts(world):
    return {"grant_type": "client_credentials", "client_assertion": world.a_assertion(),
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}


# --- what they earn ---

GRANTS = {
    "authorization_code": lambda world, client, form: (
        world.codes.pop(form.get("code"), None) == client.client_id and form.get("code_verifier") == VERIFIER
        and form.get("redirect_uri") in (None, client.redirect_uri)),
    "refresh_token": lambda world, client, form: world.refresh_tokens.get(form.get("refresh_token")) == client.client_id,
    "client_credentials": lambda world, client, form: client.client_secret is not None or isinstance(client, KeyClient),
}
"""What each grant asks for, besides a proven client. A new grant is one more row."""


def _tokens_earned(world, sent, answer):
    client, form = world.proven_client(sent), form_of(sent)
    earned = client is not None and GRANTS.get(form.get("grant_type"), lambda *_: False)(world, client, form)
    if earned:
        world.learn(answer.json, client.client_id)
    return earned


def _registration_earned(world, sent, answer):
    given = sent.headers.get("Authorization")
    earned = (given is not None and given.strip().rpartition(" ")[2] == DCR_TOKEN) or (given is None and DCR_TOKEN.encode() in sent.body)
    if earned:
        world.learn(answer.json)
    return earned


def _client_earned(world, sent, answer):
    client_id = sent.path.rpartition("/")[2]
    scheme, _, token = sent.headers.get("Authorization", "").partition(" ")
    earned = scheme.lower() == "bearer" and token.strip() == world.managed.get(client_id, "no such client")
    if earned:
        world.learn(answer.json)
    return earned


def _code_earned(world, sent, answer):
    form = form_of(sent)
    return sent.method == "POST" and world.signed_in(sent) and form.get("transaction") in world.transactions and form.get("decision") == "approve"


def _session_earned(world, sent, answer):
    form = form_of(sent)
    return world.browser.cookie in sent.headers.get("Cookie", "") or (form.get("username",
                                                                               "").lower() == USERNAME and form.get("password") == PASSWORD)


def _active_earned(world, sent, answer):
    client, token = world.proven_client(sent), form_of(sent).get("token")
    return client is not None and client.client_id in (world.access_tokens.get(token), world.refresh_tokens.get(token))


def _result_earned(world, sent, answer):
    """Not asked of initialize and ping, which need no token."""
    return any(secret in value for value in sent.headers.values() for secret in (API_KEY, *world.access_tokens))


CLIENT = ("client_id", "client_secret", "client_assertion", "client_assertion_type")
ENDPOINTS = (
    Endpoint("register", ("/oauth/register", "/register"), (_registers, _registers_by_body), PROGRAM, members=True, earned=_registration_earned,
             examples=800),
    Endpoint("registered client", ("/oauth/register/<client_id>", "/register/<client_id>"), (_manages("GET"), _manages("PUT"), _manages("PUT"),
                                                                                             _manages("DELETE")),
             PROGRAM, members=True, earned=_client_earned),
    Endpoint("authorize", ("/oauth/authorize", "/authorize"), (_asks, _asks, _asks_signed_out, _from_the_browser(_approves)), PAGE,
             earned=_code_earned, examples=1100,
             names=("response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method", "resource", "prompt",
                    "transaction", "csrf", "decision", "response_mode")),
    Endpoint("token", ("/oauth/token", "/token"),
             (of_form(_redeems), of_form(_redeems_public), of_form(_refreshes), of_form(_asserts),
              _with_basic(lambda world: {"grant_type": "client_credentials"})),
             PROGRAM, earned=_tokens_earned, examples=1100,
             names=("grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource", *CLIENT)),
    Endpoint("revoke", ("/oauth/revoke", "/revoke"), (of_form(lambda world: {"token": world.a_refresh_token()} | world.confidential.proof),
             _with_basic(lambda world: {"token": "x", "token_type_hint": "access_token"})), PROGRAM, names=("token", "token_type_hint", *CLIENT)),
    Endpoint("introspect", ("/oauth/introspect",), (of_form(lambda world: {"token": world.a_access_token()} | world.confidential.proof),
             _with_basic(lambda world: {"token": world.a_access_token()})), PROGRAM, names=("token", "token_type_hint", *CLIENT),
             earned=_active_earned,
             examples=800),
    Endpoint("keys", ("/oauth/jwks.json",), (_get,), PROGRAM, examples=200),
    Endpoint("authorization server metadata", ("/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/mcp",
             "/.well-known/openid-configuration", "/.well-known/openid-configuration/mcp"), (_get,), SHORT, examples=100),
    Endpoint("protected resource metadata", ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"), (_get,),
             SHORT, examples=150),
    Endpoint("login", ("/login",), (_from_the_browser(_signs_in), _get), PAGE, names=("username", "password", "csrf", "next"),
             earned=_session_earned, examples=800),
    Endpoint("logout", ("/logout",), (_from_the_browser(lambda world: {"csrf": world.a_csrf()}), _get), PAGE, names=("csrf",),
             earned=_session_earned),
    Endpoint("device authorization", ("/oauth/device_authorization",), (of_form(lambda world: world.device.proof),), PROGRAM,
             names=("scope", "resource", *CLIENT), examples=300),
    Endpoint("device", ("/device", "/device/approval"),
             (_from_the_browser(lambda world: {"csrf": world.a_csrf(), "user_code": "BCDF-GHJK"}), _get), PAGE,
             names=("user_code", "csrf", "transaction", "decision"), earned=_session_earned, examples=200),
    Endpoint("grants", ("/grants",), (_from_the_browser(lambda world: {"csrf": world.a_csrf()}), _get), PAGE, names=("csrf",),
             earned=_session_earned, examples=200),
    Endpoint("grant", ("/grants/<grant_id>",), (_withdraws,), PAGE, names=("csrf",), earned=_session_earned, examples=200),
    Endpoint("front page", ("/",), (_get,), PAGE, examples=100),
    Endpoint("console", ("/operator", "/operator/clients", "/operator/grants", "/operator/people", "/operator/events"), (_get,), PAGE, examples=40),
    Endpoint("mcp", ("/mcp", "/mcp/"), (_calls, _calls, _initializes), JSON_RPC, members=True, earned=_result_earned, examples=500),
)
CONSOLE_FORMS = (  # for operators alone: tests/web/test_console.py sends each of them spoiled
    "/operator/registration-tokens", "/operator/registration-tokens/<token_id>/end", "/operator/clients/<client_id>/revoke",
    "/operator/clients/<client_id>/rotate-secret", "/operator/clients/sweep", "/operator/grants/<grant_id>/end",
    "/operator/people/<user_id>/disable", "/operator/people/<user_id>/enable", "/operator/people/<user_id>/unlock")
OTHERS = (*CONSOLE_FORMS, "/metrics", "/health", "/health/live", "/health/ready", "/static/<path:filename>", "/login/oidc", "/login/oidc/callback")
"""What has no promise of the authorization server, or is not there without a provider (tests/identity): no row."""
