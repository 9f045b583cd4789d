"""The front page: what this is, and for operators how ServiceNow is connected."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from mcp_server.web import error_handlers, form_values, sessions
from mcp_server.web.console import pages
from mcp_server.web.methods import EVERY, only
from mcp_server.web.services import services

bp = Blueprint("home", __name__)
error_handlers.init_oauth(bp)

WAYS = {
    "dynamic_registration": ("OAuth 2.1, ServiceNow registers itself", "The recommended way: only the address and a registration token are typed."),
    "manual_registration": ("OAuth 2.1, registered by hand", "For an instance that cannot register itself."),
    "api_key": ("API key", "One key for the whole instance: nobody can tell who asked, and it ends only when it is changed."),
}


@bp.route("/", methods=EVERY)
@only("GET")
def home() -> ResponseReturnValue:
    user = sessions.signed_in()
    return _connect() if user is not None and user.operator else _welcome()


@pages.for_operators
def _connect() -> ResponseReturnValue:
    values = form_values.connect(services(), show_token=False)
    return pages.show(
        "connect", forms=[(*WAYS[way], form) for way, form in values.items() if way in WAYS], redirect_uris=values["redirect_uris"]["allow"])


def _welcome() -> ResponseReturnValue:
    return render_template("home.html", resource=services().settings.resource), 200, sessions.page_headers()
