"""Who let which application do what; ending one."""

from __future__ import annotations

from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from mcp_server.oauth import client_id_urls
from mcp_server.web.console.pages import MOST_ROWS, asked_for, bp, by, for_operators, go_back, sent_form, show
from mcp_server.web.methods import EVERY, only
from mcp_server.web.services import services

GONE = "This approval is not in force any more. Go back to the list."


@bp.route("/grants", methods=EVERY)
@only("GET")
@for_operators
def grants() -> ResponseReturnValue:
    built, query = services(), asked_for().lower()
    names = {client.client_id: client.client_name for client in built.clients.all()}
    people = {user.user_id: user.username for user in built.users.all()}
    rows = [(grant, _name(grant.client_id, names), people.get(grant.subject, "the client itself")) for grant in built.grants_in_force.all()]
    found = [row for row in rows if query in f"{row[0].grant_id} {row[0].client_id} {row[1]} {row[2]}".lower()]
    return show("grants", rows=found[:MOST_ROWS], total=len(found), query=asked_for())


@bp.route("/grants/<grant_id>/end", methods=EVERY)
@only("POST")
@for_operators
def end_grant(grant_id: str) -> ResponseReturnValue:
    sent_form()
    built = services()
    grant = built.grants.find(grant_id, built.clock())
    if grant is None or built.grants_in_force.is_revoked(grant):
        raise NotFound(GONE)
    built.administration.end_grants([grant], by(), grant=grant_id)
    return go_back("console.grants", "The approval is ended, with all of its tokens.")


def _name(client_id: str, names: dict[str, str]) -> str:
    return names.get(client_id) or (client_id_urls.host_of(client_id) if client_id_urls.is_url(client_id) else client_id)
