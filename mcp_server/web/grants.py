"""What a signed-in person has approved, and taking it back. Server-rendered, without a script, as the sign-in is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from mcp_server.oauth import client_id_urls
from mcp_server.oauth.models import Grant
from mcp_server.web import bodies, error_handlers, sessions
from mcp_server.web.methods import EVERY, only
from mcp_server.web.services import services

bp = Blueprint("grants", __name__)
error_handlers.init_oauth(bp)

SCOPE_MEANINGS = {
    "tools:read": "See which tools this server offers",
    "tools:execute": "Use the tools: send texts to the language model and read its answers",
}
NOT_YOURS = "You have no such approval. It may have ended by itself. Your approvals are at /grants."


@dataclass(frozen=True, slots=True)
class Approval:
    """A grant as its person reads it. Times are in words."""

    grant_id: str
    name: str
    client_id: str
    goes_to: str
    redirect_uri: str | None
    scopes: list[tuple[str, str]]
    approved: str
    last_used: str | None
    until: str
    at_most_until: str | None


@bp.route("/grants", methods=EVERY)
@only("GET")
def grants() -> ResponseReturnValue:
    user = sessions.signed_in()
    if user is None:
        return redirect(url_for("login.login", next=url_for("grants.grants")), 302)
    approvals = [_approval(grant) for grant in services().grants_in_force.of_subject(user.user_id)]
    page = render_template(
        "grants.html", username=user.username, approvals=approvals, withdrawn=session.pop("withdrawn", None), csrf=sessions.csrf_token())
    return page, 200, sessions.page_headers()


@bp.route("/grants/<grant_id>", methods=EVERY)
@only("POST")
def withdraw(grant_id: str) -> ResponseReturnValue:
    """End one approval with all of its tokens. Another person's looks like one that never was."""
    sent = bodies.form(request)
    sessions.require_same_site()
    sessions.require_csrf(sent.get("csrf"))
    user, built = sessions.signed_in(), services()
    if user is None:
        return redirect(url_for("login.login", next=url_for("grants.grants")), 303)
    grant = built.grants.find(grant_id, built.clock())
    if grant is None or grant.subject != user.user_id:
        raise NotFound(NOT_YOURS)
    built.grants_in_force.end([grant])
    built.audit.record("oauth", "grant_withdrawn", "success", client_id=grant.client_id, user_id=user.user_id, grant_id=grant.grant_id)
    session["withdrawn"] = _approval(grant).name
    return redirect(url_for("grants.grants"), 303)


def scopes_in_words(scope: str) -> list[tuple[str, str]]:
    """Each scope, and what it lets the application do."""
    return [(each, SCOPE_MEANINGS.get(each, each)) for each in scope.split()]


def _approval(grant: Grant) -> Approval:
    idles = grant.ends_at_last > grant.expires_at
    return Approval(
        grant_id=grant.grant_id, name=_name_of(grant.client_id), client_id=grant.client_id,
        goes_to=sessions.host_of(grant.redirect_uri) if grant.redirect_uri else "", redirect_uri=grant.redirect_uri,
        scopes=scopes_in_words(grant.scope), approved=_moment(grant.created_at),
        last_used=None if grant.last_used_at is None else _moment(grant.last_used_at),
        until=_moment(grant.expires_at), at_most_until=_moment(grant.ends_at_last) if idles else None)


def _name_of(client_id: str) -> str:
    """What a client is called, or the host of one that a URL names: what it calls itself today is not asked for."""
    if client_id_urls.is_url(client_id):
        return client_id_urls.host_of(client_id)
    client = services().clients.find(client_id)
    return client.client_name if client else "An application that is not registered any more"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%-d %B %Y, %H:%M UTC")
