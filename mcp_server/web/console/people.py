"""Who may sign in: keep somebody out, let them in again, end the wait after wrong passwords."""

from __future__ import annotations

from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from mcp_server.errors import RequestRefused
from mcp_server.oauth.models import User
from mcp_server.web.console.pages import Confirmation, ask, bp, by, for_operators, go_back, operator, sent_form, show
from mcp_server.web.methods import EVERY, only
from mcp_server.web.services import services
from mcp_server.web.sign_in_attempts import account_of, attempts

GONE = "There is no such person any more. Go back to the list."
YOURSELF = "You cannot keep yourself out. Another operator can, or: flask users disable NAME"


@bp.route("/people", methods=EVERY)
@only("GET")
@for_operators
def people() -> ResponseReturnValue:
    return show("people", people=services().users.all())


@bp.route("/people/<user_id>/disable", methods=EVERY)
@only("POST")
@for_operators
def disable(user_id: str) -> ResponseReturnValue:
    sent, user = sent_form(), _existing(user_id)
    if user.user_id == operator().user_id:
        raise RequestRefused(YOURSELF)
    if sent.get("confirmed") != "yes":
        return ask(Confirmation(
            f"Keep “{user.username}” out?", "What they have approved is revoked, and they cannot sign in until somebody lets them in again.",
            "Keep out", "console.people"))
    if not services().administration.disable_user(user, by()):
        raise NotFound(GONE)
    return go_back("console.people", f"“{user.username}” cannot sign in any more, and what they approved is revoked.")


@bp.route("/people/<user_id>/enable", methods=EVERY)
@only("POST")
@for_operators
def enable(user_id: str) -> ResponseReturnValue:
    sent_form()
    user = _existing(user_id)
    if not services().administration.enable_user(user, by()):
        raise NotFound(GONE)
    return go_back("console.people", f"“{user.username}” can sign in again.")


@bp.route("/people/<user_id>/unlock", methods=EVERY)
@only("POST")
@for_operators
def unlock(user_id: str) -> ResponseReturnValue:
    sent_form()
    user = _existing(user_id)
    attempts().unlock(account_of(user, user.username))
    services().audit.record("operator", "user_unlocked", "success", **{**by(), "user_id": user.user_id}, username=user.username)
    return go_back("console.people", f"Wrong passwords for “{user.username}” are counted from the beginning.")


def _existing(user_id: str) -> User:
    user = services().users.find_by_id(user_id)
    if user is None:
        raise NotFound(GONE)
    return user
