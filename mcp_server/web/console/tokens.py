"""Initial access tokens: what lets a ServiceNow admin register."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from config import convert
from mcp_server.errors import RequestRefused
from mcp_server.oauth.parameters import Parameters
from mcp_server.web.console.pages import bp, by, for_operators, go_back, sent_form, show, use_up
from mcp_server.web.methods import EVERY, only
from mcp_server.web.services import services

LONGEST_NAME = 200
DAYS = ("1", "7", "30", "90")
MOST_USES = 1_000_000
GONE = "There is no such token any more. Go back to the list."


@bp.route("/registration-tokens", methods=EVERY)
@only("GET", "POST")
@for_operators
def registration_tokens() -> ResponseReturnValue:
    """GET lists them, POST makes one, which is shown once."""
    built = services()
    if request.method != "POST":
        return show("registration_tokens", tokens=built.initial_access_tokens.all(), now=built.clock(), days=DAYS, mode=built.settings.dcr_mode)
    sent = sent_form()
    name, days, count, instance = _wanted(sent)
    use_up(sent)
    _, secret = built.administration.mint(by(), name=name, expires_in=days * 86_400, count=count, instance=instance)
    return show("secret", what=f"The initial access token for “{name}”", secret=secret, back="console.registration_tokens", note=(
        'In ServiceNow, at Authentication Token for Client Registration: Header "Authorization", Value "Bearer ", a blank, and the token.'))


@bp.route("/registration-tokens/<token_id>/end", methods=EVERY)
@only("POST")
@for_operators
def end_registration_token(token_id: str) -> ResponseReturnValue:
    sent_form()
    token = services().administration.end_initial_access_token(token_id, by())
    if token is None:
        raise NotFound(GONE)
    return go_back("console.registration_tokens", f"The token of “{token.name}” registers nobody any more. What it registered stays.")


def _wanted(sent: Parameters) -> tuple[str, int, int | None, str | None]:
    """Name, days, count and instance. Raises RequestRefused for what cannot be."""
    name, days, count, instance = (sent.get(field) or "" for field in ("name", "days", "count", "instance"))
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise RequestRefused(f"A name has 1 to {LONGEST_NAME} visible characters. Go back and say who gets the token.")
    if days not in DAYS:
        raise RequestRefused(f"A token is good for {', '.join(DAYS)} days. Go back and choose.")
    if count and not (count.isascii() and count.isdigit() and 0 < int(count[:8]) <= MOST_USES):
        raise RequestRefused(f"A count is a number from 1 to {MOST_USES}, or empty. Go back and change it.")
    try:
        origin = convert.https_origin(instance) if instance else None
    except ValueError as error:
        raise RequestRefused(f"The instance {error} Go back and change it.") from None
    return name, int(days), int(count) if count else None, origin
