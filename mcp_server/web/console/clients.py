"""The registered applications: revoke one, give it another secret, sweep those that nobody needs."""

from __future__ import annotations

from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from mcp_server.errors import RequestRefused
from mcp_server.oauth.models import Client
from mcp_server.web.console.pages import MOST_ROWS, Confirmation, ask, asked_for, bp, by, for_operators, go_back, sent_form, show, use_up
from mcp_server.web.methods import EVERY, only
from mcp_server.web.services import services

GONE = "There is no such client any more. Go back to the list of clients."
STALE_SECONDS = 30 * 86_400


@bp.route("/clients", methods=EVERY)
@only("GET")
@for_operators
def clients() -> ResponseReturnValue:
    built, query = services(), asked_for().lower()
    found = [client for client in built.clients.all() if query in f"{client.client_name} {client.client_id} {client.instance or ''}".lower()]
    stale = {client.client_id for client in built.administration.stale_clients(STALE_SECONDS)}
    return show("clients", clients=found[:MOST_ROWS], total=len(found), stale=stale, query=asked_for())


@bp.route("/clients/<client_id>/revoke", methods=EVERY)
@only("POST")
@for_operators
def revoke_client(client_id: str) -> ResponseReturnValue:
    sent, client = sent_form(), _existing(client_id)
    if sent.get("confirmed") != "yes":
        return ask(Confirmation(
            f"Revoke “{client.client_name}”?", "It is removed, and all of its tokens end at once. To connect again it has to be registered again.",
            "Revoke", "console.clients"))
    use_up(sent)
    services().administration.remove_client(client, by())
    return go_back("console.clients", f"“{client.client_name}” is revoked, with all of its tokens.")


@bp.route("/clients/<client_id>/rotate-secret", methods=EVERY)
@only("POST")
@for_operators
def rotate_secret(client_id: str) -> ResponseReturnValue:
    """The new secret is shown once, on the answer to the form. The former one works on, so that nothing breaks meanwhile."""
    sent, client = sent_form(), _existing(client_id)
    if not client.client_secret_digests:
        raise RequestRefused("This client has no secret: it is public, or proves itself with a key.")
    if sent.get("confirmed") != "yes":
        return ask(Confirmation(
            f"Give “{client.client_name}” a new secret?",
            "The former one works too, until you run flask clients update ID --drop-old-secret. Tokens stay valid.", "Make a new secret",
            "console.clients"))
    use_up(sent)
    secret = services().administration.rotate_secret(client, by(), keep_old=True)
    if secret is None:
        raise NotFound(GONE)
    return show("secret", what=f"The new secret of “{client.client_name}”", secret=secret, back="console.clients", note=(
        f"Type it into ServiceNow. When it is in use: flask clients update {client_id} --drop-old-secret"))


@bp.route("/clients/sweep", methods=EVERY)
@only("POST")
@for_operators
def sweep() -> ResponseReturnValue:
    sent, administration = sent_form(), services().administration
    found = administration.stale_clients(STALE_SECONDS)
    if not found:
        return go_back("console.clients", "No client is stale.")
    if sent.get("confirmed") != "yes":
        return ask(Confirmation(
            f"Remove {len(found)} client{'' if len(found) == 1 else 's'} that nobody has used for 30 days?",
            "They registered themselves and have no approval in force. One that is used in this moment stays.", "Remove them", "console.clients"))
    use_up(sent)
    removed = sum(administration.sweep(client, STALE_SECONDS, by()) for client in found)
    return go_back("console.clients", f"{removed} removed.")


def _existing(client_id: str) -> Client:
    client = services().clients.find(client_id)
    if client is None:
        raise NotFound(GONE)
    return client
