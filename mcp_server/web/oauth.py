"""The OAuth endpoints. `/oauth/…` is what the metadata names; the bare paths are those of 2025-03-26 clients and of the guide."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from mcp_server.audit import current_request
from mcp_server.errors import FormExpired, InvalidRequest
from mcp_server.oauth import parameters
from mcp_server.oauth.authorization_server import Decision
from mcp_server.oauth.client_id_urls import host_of
from mcp_server.oauth.grants.authorization_code import ANSWERED_ALREADY
from mcp_server.oauth.key_records import JWKS_FRESH
from mcp_server.oauth.models import DEVICE_CODE
from mcp_server.oauth.parameters import Parameters
from mcp_server.web import bodies, error_handlers, login, sessions
from mcp_server.web.error_handlers import as_json
from mcp_server.web.grants import scopes_in_words
from mcp_server.web.methods import EVERY, only
from mcp_server.web.services import services

bp = Blueprint("oauth", __name__)
error_handlers.init_oauth(bp)

REPEATED_WITHIN = 30
"""Seconds in which the same decision may be sent again."""
LONGEST_TARGET = 8000
"""Characters of a path with its query that a browser can be sent to: gunicorn reads lines of 8,190."""

@bp.route("/oauth/register", methods=EVERY)
@bp.route("/register", methods=EVERY)
@only("POST")
def register() -> ResponseReturnValue:
    information = services().registration.register(bodies.json_object(request), request.headers.get("Authorization"))
    return as_json(201, information)


@bp.route("/oauth/register/<client_id>", methods=EVERY)
@bp.route("/register/<client_id>", methods=EVERY)
@only("GET", "PUT", "DELETE")
def registered_client(client_id: str) -> ResponseReturnValue:
    """A client and its own registration (RFC 7592)."""
    configuration, authorization = services().client_configuration, request.headers.get("Authorization")
    if request.method == "DELETE":
        configuration.remove(client_id, authorization)
        return "", 204
    if request.method == "PUT":
        return as_json(200, configuration.replace(client_id, authorization, bodies.json_object(request)))
    return as_json(200, configuration.read(client_id, authorization))


@bp.route("/oauth/token", methods=EVERY)
@bp.route("/token", methods=EVERY)
@only("POST")
def token() -> ResponseReturnValue:
    answer = services().token.exchange(bodies.form(request), request.headers.get("Authorization"))
    return as_json(200, answer, {"Cache-Control": "no-store", "Pragma": "no-cache"})


@bp.route("/oauth/device_authorization", methods=EVERY)
@only("POST")
def device_authorization() -> ResponseReturnValue:
    """For devices without a browser (RFC 8628 §3.1); the person's side is `device.py`."""
    require_device_grant()
    facts = current_request.get()
    answer = services().device_authorization.issue(
        bodies.form(request), request.headers.get("Authorization"), facts.source_ip if facts else "")
    return as_json(200, answer, {"Cache-Control": "no-store", "Pragma": "no-cache"})


def require_device_grant() -> None:
    """AUTHORIZATION_MODE=auto asks nobody, so what needs a person is not there."""
    if DEVICE_CODE not in services().metadata["grant_types_supported"]:
        raise NotFound


@bp.route("/oauth/revoke", methods=EVERY)
@bp.route("/revoke", methods=EVERY)
@only("POST")
def revoke() -> ResponseReturnValue:
    services().revocation.revoke(bodies.form(request), request.headers.get("Authorization"))
    return as_json(200, {})


@bp.route("/oauth/introspect", methods=EVERY)
@only("POST")
def introspect() -> ResponseReturnValue:
    answer = services().introspection.introspect(bodies.form(request), request.headers.get("Authorization"))
    return as_json(200, answer, {"Cache-Control": "no-store", "Pragma": "no-cache"})


@bp.route("/oauth/jwks.json", methods=EVERY)
@only("GET")
def jwks() -> ResponseReturnValue:
    """The public keys, where there are any. Kept by others for less time than a new key waits before it signs."""
    if not services().signing_keys.published:
        raise NotFound
    return as_json(200, services().signing_keys.jwks, {"Cache-Control": f"public, max-age={JWKS_FRESH}"})


@bp.route("/authorize", methods=EVERY)
@bp.route("/oauth/authorize", methods=EVERY)  # the last one is what url_for gives
@only("GET", "POST")
def authorize() -> ResponseReturnValue:
    """GET shows the page and changes nothing. POST is a person's answer, or the request itself (RFC 6749 §3.1)."""
    if request.method != "POST":
        return _ask(request.query_string)
    sent = bodies.form(request)
    if sent.get("transaction") is not None or sent.get("csrf") is not None:
        return _answer(sent)
    return redirect(_target(sent), 303)


def _ask(query: bytes) -> ResponseReturnValue:
    built, asked = services(), parameters.parse(query)
    if built.authorize.automatic:
        if request.method == "HEAD":
            built.authorize.check(asked)
            return "", 200
        return redirect(built.authorize.approve_automatically(asked), 302)
    found = built.authorize.check(asked)
    user = sessions.signed_in()
    if user is None or sessions.must_sign_in_again(found.prompts):
        after = _target(asked)
        sign_in = url_for("login.login", next=after)
        return redirect(sign_in, 302) if len(sign_in) <= LONGEST_TARGET else login.form(after)  # escaped once more it may be too long
    client = found.client
    page = render_template(
        "consent.html", client=client, web_address=host_of(client.client_id) if client.from_document else None, username=user.username,
        redirect_uri=found.redirect_uri, redirect_host=sessions.host_of(found.redirect_uri), loopback_only=sessions.is_loopback(found.redirect_uri),
        scopes=scopes_in_words(found.scope),
        transaction=sessions.sign_transaction(sessions.as_query(asked)), csrf=sessions.csrf_token())
    return page, 200, sessions.page_headers(form_action=sessions.origin_of(found.redirect_uri))


def _target(asked: Parameters) -> str:
    """The same request as a path of ours. Raises InvalidRequest rather than send a browser to what no server reads."""
    target = f"{url_for('oauth.authorize')}?{sessions.as_query(asked)}"
    if len(target) > LONGEST_TARGET:
        raise InvalidRequest(f"The request has {len(target)} characters as an address, and {LONGEST_TARGET} is the most. "
                             "The application has to send less: a shorter state, most of all.")
    return target


def _answer(sent: Parameters) -> ResponseReturnValue:
    """What the page said. Everything but the decision comes from the signed transaction; the form's other fields count for nothing."""
    built = services()
    sessions.require_same_site()
    sessions.require_csrf(sent.get("csrf"))
    user = sessions.signed_in()
    if user is None:
        raise FormExpired("You are no longer signed in. Go back to the application and start again.")
    transaction = sessions.read_transaction(sent.required("transaction"))
    asked, approved = parameters.parse(transaction.query.encode("ascii")), sent.get("decision") == "approve"
    made_at = _settle(transaction, approved=approved)
    built.audit.record("oauth", "consent", "success" if approved else "denied", client_id=asked.get("client_id"), user_id=user.user_id)
    if not approved:
        raise built.authorize.refuse(asked)
    return redirect(built.authorize.approve(asked, user.user_id, Decision(transaction.number, made_at)), 303)


def _settle(transaction: sessions.Transaction, *, approved: bool) -> float:
    """When this was decided, by the first answer to the page. Raises FormExpired when that was another one, or long ago.

    A second click on the same button makes a browser forget the answer to the first: so for a while the same decision gets the same answer.
    """
    now, decision = services().clock(), "approve" if approved else "refuse"
    if transaction.expires_at <= now:
        raise FormExpired(sessions.STALE, detail="transaction by our clock")
    settled, made_at = services().single_use.settle(f"consent:{transaction.number}", decision, transaction.expires_at, now)
    if settled != decision or now - made_at > REPEATED_WITHIN:
        raise FormExpired(ANSWERED_ALREADY)
    return made_at
