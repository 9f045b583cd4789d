"""What the pages of the console have in common: who may see them, what a form must bring, and how times are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec

from flask import Blueprint, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from mcp_server.errors import FormExpired, OperatorsOnly
from mcp_server.oauth.credentials import new_id
from mcp_server.oauth.models import User
from mcp_server.oauth.parameters import Parameters
from mcp_server.web import bodies, error_handlers, sessions
from mcp_server.web.services import services

P = ParamSpec("P")
View = Callable[P, ResponseReturnValue]

bp = Blueprint("console", __name__, url_prefix="/operator")
error_handlers.init_oauth(bp)

MOST_ROWS = 200
FORM_LIFETIME = 1800
"""Seconds for which a form is known to be used."""
DONE_ALREADY = "This was done already. Go back to the list and look."


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What an operator is asked before something is ended for good."""

    question: str
    consequence: str
    button: str
    back: str


def for_operators(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Others sign in first, or read that this is not for them."""

    @wraps(view)
    def checked(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        user = sessions.signed_in()
        if user is None:
            after = request.full_path.rstrip("?") if request.method in ("GET", "HEAD") else url_for("console.overview")
            return redirect(url_for("login.login", next=after), 303)
        if not user.operator:
            raise OperatorsOnly(
                "This page is for the operators of this server. Ask one of them to make you one: flask users operator NAME", detail=user.user_id)
        g.operator = user
        return view(*args, **kwargs)

    return checked


def operator() -> User:
    user: User = g.operator
    return user


def by() -> dict[str, str]:
    """Who it was, for the audit."""
    return {"operator_id": operator().user_id, "operator": operator().username}


def sent_form() -> Parameters:
    """The form, if it is one that we gave to this browser and it was not sent before. Raises FormExpired."""
    sent = bodies.form(request)
    sessions.require_same_site()
    sessions.require_csrf(sent.get("csrf"))
    return sent


def use_up(sent: Parameters) -> None:
    """A form does its work once: sent again, by a reload or a second click, it must not do more. Raises FormExpired."""
    built, number = services(), sent.get("number") or ""
    now = built.clock()
    if not built.single_use.claim(f"console:{session.get('session_id')}:{number}", now + FORM_LIFETIME, now):
        raise FormExpired(DONE_ALREADY, detail="repeated")


def show(template: str, **values: Any) -> ResponseReturnValue:
    page = render_template(
        f"console/{template}.html", operator=operator(), csrf=sessions.csrf_token(), number=new_id(), moment=moment,
        done=session.pop("done", None), **values)
    return page, 200, sessions.page_headers()


def ask(confirmation: Confirmation) -> ResponseReturnValue:
    """The same form again, with a question."""
    return show("confirm", asked=confirmation)


def go_back(endpoint: str, done: str) -> ResponseReturnValue:
    """To a list, which says what was done."""
    session["done"] = done
    return redirect(url_for(endpoint), 303)


def moment(seconds: float | None) -> str:
    """A time in words; a dash for none."""
    return "–" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%-d %b %Y, %H:%M UTC")  # noqa: RUF001 an en dash


def asked_for(name: str = "q") -> str:
    """What is searched for."""
    return request.args.get(name, "").strip()[:100]
