"""Signing in and out. Server-rendered, without a script; everything works from the keyboard."""

from __future__ import annotations

import re

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from mcp_server.oauth import parameters
from mcp_server.web import bodies, error_handlers, sessions
from mcp_server.web.methods import EVERY, only
from mcp_server.web.services import services

bp = Blueprint("login", __name__)
error_handlers.init_oauth(bp)

WRONG = "The user name or the password is not right."
MOST_CHARACTERS = 200


@bp.route("/login", methods=EVERY)
@only("GET", "POST")
def login() -> ResponseReturnValue:
    if request.method != "POST":
        return _form(_local(parameters.parse(request.query_string).get("next")))
    sent = bodies.form(request)
    sessions.require_same_site()
    sessions.require_csrf(sent.get("csrf"))
    after = _local(sent.get("next"))
    built = services()
    username, password = sent.get("username") or "", sent.get("password") or ""
    user = built.users.find(username[:MOST_CHARACTERS]) if username else None
    right = built.passwords.verify(password[:MOST_CHARACTERS * 10], user.password_hash if user else None)
    if user is None or not right or user.disabled:
        built.audit.record("security", "sign_in", "failure", user_id=user.user_id if user else None)
        return _form(after, username=username[:MOST_CHARACTERS], wrong=WRONG)
    sessions.sign_in(user)
    built.audit.record("security", "sign_in", "success", user_id=user.user_id)
    return redirect(after, 303)


@bp.route("/logout", methods=EVERY)
@only("GET", "POST")
def logout() -> ResponseReturnValue:
    """GET asks, POST does it: a link on another site must not sign anybody out."""
    if request.method != "POST":
        user = sessions.signed_in()
        return render_template("logout.html", username=user.username if user else None, csrf=sessions.csrf_token()), 200, sessions.page_headers()
    sent = bodies.form(request)
    sessions.require_same_site()
    sessions.require_csrf(sent.get("csrf"))
    user = sessions.signed_in()
    sessions.sign_out()
    services().audit.record("security", "sign_out", "success", user_id=user.user_id if user else None)
    return redirect("/logout", 303)


def _form(after: str, username: str = "", wrong: str = "") -> ResponseReturnValue:
    page = render_template("login.html", after=after, username=username, wrong=wrong, csrf=sessions.csrf_token())
    return page, 401 if wrong else 200, sessions.page_headers()


def _local(after: str | None) -> str:
    """A path of ours, or the page that says who is signed in: never another site (open redirect)."""
    return after if after and re.fullmatch(r"/(?![/\\])[!-~]*", after) and "\\" not in after else "/logout"
