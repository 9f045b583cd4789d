"""The person's side of the device authorization grant (RFC 8628 §3.3): type the code, sign in, see who asks, answer.

A link with the code in it fills in the form and does nothing more. A code is looked up for people who are signed in only,
and counted (`limits.py`); what is answered comes from a signed transaction, as on the consent page.
"""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from mcp_server.audit import current_request
from mcp_server.errors import FormExpired, OAuthError
from mcp_server.oauth import parameters, user_codes
from mcp_server.oauth.device_approval import WaitingDevice
from mcp_server.oauth.models import User
from mcp_server.web import bodies, error_handlers, sessions
from mcp_server.web.grants import scopes_in_words
from mcp_server.web.methods import EVERY, only
from mcp_server.web.oauth import require_device_grant
from mcp_server.web.services import services

bp = Blueprint("device", __name__)
error_handlers.init_oauth(bp)

WRONG = (
    "This code is not right, or it is no longer good. Type it as your device shows it now. If that does not help, start again on the device: "
    "it will show a new code.")
OVER = "This code is no longer good, or it was answered already. If your device still waits, start again there: it will show a new code."
MOST_CHARACTERS = 40


@bp.route("/device", methods=EVERY)
@only("GET", "POST")
def enter() -> ResponseReturnValue:
    require_device_grant()
    if request.method != "POST":
        linked = user_codes.read(parameters.parse(request.query_string).get("user_code") or "")
        return _form(user_codes.shown(linked) if linked else "", linked=linked is not None)
    sent = bodies.form(request)
    sessions.require_same_site()
    sessions.require_csrf(sent.get("csrf"))
    sessions.remember_user_code((sent.get("user_code") or "")[:MOST_CHARACTERS])
    return redirect(url_for("device.approval"), 303)


@bp.route("/device/approval", methods=EVERY)
@only("GET", "POST")
def approval() -> ResponseReturnValue:
    require_device_grant()
    if request.method == "POST":
        return _answer()
    typed = sessions.typed_user_code()
    if typed is None:
        return redirect(url_for("device.enter"), 302)
    user = sessions.signed_in()
    if user is None:
        return redirect(url_for("login.login", next=url_for("device.approval")), 302)
    code = user_codes.read(typed)
    waiting = services().device_approval.find(code) if code else None
    if code is None or waiting is None:
        sessions.forget_user_code()
        services().audit.record("security", "user_code_refused", "failure", user_id=user.user_id)
        return _form(typed, wrong=WRONG)
    return _ask(waiting, code, user)


def _form(typed: str, wrong: str = "", *, linked: bool = False) -> ResponseReturnValue:
    page = render_template("device.html", typed=typed, wrong=wrong, linked=linked, csrf=sessions.csrf_token())
    return page, 400 if wrong else 200, sessions.page_headers()


def _ask(waiting: WaitingDevice, code: str, user: User) -> ResponseReturnValue:
    asked, facts = waiting.asked, current_request.get()
    page = render_template(
        "device_approval.html", client=waiting.client, username=user.username, code=user_codes.shown(code),
        scopes=scopes_in_words(asked.scope), requested_from=asked.requested_from,
        own_address=facts.source_ip if facts else "", minutes=int((services().clock() - asked.requested_at) // 60),
        transaction=sessions.sign_transaction(urlencode({"user_code": code})), csrf=sessions.csrf_token())
    return page, 200, sessions.page_headers()


def _answer() -> ResponseReturnValue:
    """What the page said. Which device it is about comes from the signed transaction; a code can be answered once."""
    sent, approval_of = bodies.form(request), services().device_approval
    sessions.require_same_site()
    sessions.require_csrf(sent.get("csrf"))
    user = sessions.signed_in()
    if user is None:
        raise FormExpired("You are no longer signed in. Open /device again and type the code of your device.")
    waiting = approval_of.find(_code_of(sent.required("transaction")))
    sessions.forget_user_code()
    approved = sent.get("decision") == "approve"
    if waiting is None or not (approval_of.approve if approved else approval_of.refuse)(waiting, user.user_id):
        raise FormExpired(OVER, detail="device: answered, or expired")
    return render_template("device_answered.html", client=waiting.client, approved=approved), 200, sessions.page_headers()


def _code_of(transaction: str) -> str:
    try:
        return parameters.parse(sessions.read_transaction(transaction).query.encode("ascii")).required("user_code")
    except OAuthError:  # the transaction of an authorization page
        raise FormExpired(sessions.STALE, detail="transaction of another page") from None
