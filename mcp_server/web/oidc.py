"""Signing in with an OpenID provider: the way there, and the way back.

Which sign-ins a browser has begun stands in a signed cookie of its own: an answer counts in the browser that asked for it, once, and
only for a few minutes. The way there is a link and not a form: Chromium holds every redirect that follows a form to the page's
policy, and where a provider sends people on to cannot be known.
"""

from __future__ import annotations

import dataclasses
import hmac

from flask import Blueprint, Response, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadData
from werkzeug.exceptions import NotFound

from mcp_server.errors import FormExpired, GatewayError, InvalidRequest, SignInFailed
from mcp_server.oauth import parameters
from mcp_server.oauth.identity.relying_party import Attempt, RelyingParty
from mcp_server.web import error_handlers, sessions
from mcp_server.web.methods import EVERY, only
from mcp_server.web.services import services

bp = Blueprint("oidc", __name__)
error_handlers.init_oauth(bp)

LIFETIME = 600
"""Seconds in which a person must be back."""
MOST_CHARACTERS = 3500  # a browser keeps 4096 of a cookie
BEGUN_AT_ONCE = 4
NOT_BEGUN_HERE = (
    "This sign-in was not begun in this browser, or too long ago, or it was finished already. Go back to the application and start again.")
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@dataclasses.dataclass(frozen=True)
class _Begun:
    """A sign-in on its way, and the page that comes after it."""

    attempt: Attempt
    after: str
    at: float


@bp.route("/login/oidc", methods=EVERY)
@only("GET")
def begin() -> ResponseReturnValue:
    if request.method == "HEAD":
        return "", 204
    after = sessions.local(parameters.parse(request.query_string).get("next"))
    attempt, url = _relying_party().begin(anew=sessions.asks_for_a_fresh_sign_in(after))
    return _keep([_Begun(attempt, after, services().clock()), *_begun()], redirect(url, 303))


@bp.route("/login/oidc/callback", methods=EVERY)
@only("GET")
def callback() -> ResponseReturnValue:
    if request.method == "HEAD":
        return "", 204
    relying_party, built, begun = _relying_party(), services(), None
    try:
        answer = parameters.parse(request.query_string)
        begun = _begun_by(answer.get("state") or "")
        user = relying_party.finish(begun.attempt, answer)
    except GatewayError as error:
        built.audit.record("security", "sign_in", "failure", provider=relying_party.issuer, reason=error.detail or error.message)
        if isinstance(error, SignInFailed) and begun is not None:
            error.again = url_for("login.login", next=begun.after)
        raise
    sessions.sign_in(user, fresh=begun.attempt.since is not None)
    built.audit.record("security", "sign_in", "success", user_id=user.user_id, provider=relying_party.issuer)
    return _keep([other for other in _begun() if other.attempt.state != begun.attempt.state], redirect(begun.after, 303))


def _relying_party() -> RelyingParty:
    found = services().relying_party
    if found is None:
        raise NotFound
    return found


def _begun_by(state: str) -> _Begun:
    """The sign-in that this browser began with `state`; used up by asking. Raises FormExpired."""
    built = services()
    for begun in _begun():
        if hmac.compare_digest(begun.attempt.state.encode(), state.encode("utf-8", "surrogatepass")):
            if not built.single_use.claim(f"sign-in:{state}", begun.at + LIFETIME, built.clock()):
                raise FormExpired(NOT_BEGUN_HERE, detail="state was used")
            return begun
    raise FormExpired(NOT_BEGUN_HERE, detail="state of no sign-in of this browser")


def _begun() -> list[_Begun]:
    """What the cookie says, the latest first."""
    try:
        kept = sessions.signer("sign-ins v1").loads(request.cookies.get(_cookie(), ""))
        found = [_Begun(Attempt(*attempt), after, at) for attempt, after, at in kept]
    except (BadData, TypeError, ValueError):
        return []
    return [each for each in found if services().clock() < each.at + LIFETIME]


def _keep(begun: list[_Begun], response: ResponseReturnValue) -> Response:
    """As many as a cookie can hold. Raises InvalidRequest when that is none of them."""
    answer = current_app.make_response(response)
    answer.headers.update(HEADERS)
    for count in range(min(len(begun), BEGUN_AT_ONCE), 0, -1):
        kept = [(dataclasses.astuple(each.attempt), each.after, each.at) for each in begun[:count]]
        value = sessions.signer("sign-ins v1").dumps(kept)
        text = value if isinstance(value, str) else value.decode()
        if len(text) <= MOST_CHARACTERS:
            answer.set_cookie(_cookie(), text, max_age=LIFETIME, secure=current_app.config["SESSION_COOKIE_SECURE"], httponly=True, samesite="Lax")
            return answer
    if begun:
        raise InvalidRequest("The application's request is too long to be kept while you sign in elsewhere. Tell those who make the application.")
    answer.delete_cookie(_cookie(), secure=current_app.config["SESSION_COOKIE_SECURE"], httponly=True, samesite="Lax")
    return answer


def _cookie() -> str:
    return "__Host-sign-ins" if current_app.config["SESSION_COOKIE_SECURE"] else "sign-ins"

