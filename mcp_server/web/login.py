"""Signing in and out. Server-rendered, without a script; everything works from the keyboard."""

from __future__ import annotations

import math
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from mcp_server.errors import SignInFailed, TooBusy
from mcp_server.oauth import parameters
from mcp_server.web import bodies, error_handlers, sessions
from mcp_server.web.methods import EVERY, only
from mcp_server.web.services import services
from mcp_server.web.sign_in_attempts import account_of, attempts, known_browser, remember_browser

bp = Blueprint("login", __name__)
error_handlers.init_oauth(bp)

WRONG = "The user name or the password is not right."
TOO_MANY = ("Too many wrong passwords were given for this user name. Try again in {minutes} minutes, or sign in from a browser in which you have "
            "signed in here before. The operator of this server can end the wait: flask users unlock NAME.")
MOST_CHARACTERS = 200


@bp.route("/login", methods=EVERY)
@only("GET", "POST")
def login() -> ResponseReturnValue:
    if request.method != "POST":
        return form(sessions.local(parameters.parse(request.query_string).get("next")))
    sent = bodies.form(request)
    sessions.require_same_site()
    sessions.require_csrf(sent.get("csrf"))
    after = sessions.local(sent.get("next"))
    built = services()
    if built.settings.local_sign_in == "off":
        raise SignInFailed("People do not sign in with a password here. Go back, and choose the sign-in provider.", detail="LOCAL_SIGN_IN is off")
    username, password = sent.get("username") or "", sent.get("password") or ""
    user = built.users.find(username[:MOST_CHARACTERS]) if username else None
    attempt = attempts().begin(account_of(user, username[:MOST_CHARACTERS]), known_browser(user))
    known: dict[str, Any] = {"user_id": user.user_id if user else None, "known_browser": attempt.known_browser}
    if not attempt.allowed:
        built.audit.record("security", "sign_in", "denied", **known, reason="too many wrong passwords")
        return form(after, username[:MOST_CHARACTERS], TOO_MANY.format(minutes=math.ceil(attempt.seconds_left / 60)), attempt.seconds_left)
    try:
        right = built.passwords.verify(password[:MOST_CHARACTERS * 10], user.password_hash if user else None)
    except TooBusy:
        attempts().give_back(attempt)
        raise
    if user is None or not right or user.disabled:
        built.audit.record("security", "sign_in", "failure", **known)
        return form(after, username[:MOST_CHARACTERS], WRONG)
    attempts().give_back(attempt)
    sessions.sign_in(user)
    built.audit.record("security", "sign_in", "success", **known)
    response = make_response(redirect(after, 303))
    remember_browser(response, user)
    return response


@bp.route("/logout", methods=EVERY)
@only("GET", "POST")
def logout() -> ResponseReturnValue:
    """GET asks, POST does it: a link on another site must not sign anybody out."""
    if request.method != "POST":
        user = sessions.signed_in()
        built = services()
        page = render_template(
            "logout.html", username=user.username if user else None, csrf=sessions.csrf_token(),
            provider=built.relying_party.name if built.relying_party and (user is None or user.issuer) else None)
        return page, 200, sessions.page_headers()
    sent = bodies.form(request)
    sessions.require_same_site()
    sessions.require_csrf(sent.get("csrf"))
    user = sessions.signed_in()
    sessions.sign_out()
    services().audit.record("security", "sign_out", "success", user_id=user.user_id if user else None)
    return redirect("/logout", 303)


def form(after: str, username: str = "", wrong: str = "", wait: int = 0) -> ResponseReturnValue:
    """`wait`: seconds for which no password is looked at."""
    built = services()
    page = render_template(
        "login.html", after=after, username=username, wrong=wrong, csrf=sessions.csrf_token(),
        provider=built.relying_party.name if built.relying_party else None, local=built.settings.local_sign_in == "on")
    if wait:
        return page, 429, sessions.page_headers() | {"Retry-After": str(wait)}
    return page, 401 if wrong else 200, sessions.page_headers()
