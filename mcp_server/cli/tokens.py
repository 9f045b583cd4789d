"""`flask tokens`: what a token is, which approvals are in force, and how to end one."""

from __future__ import annotations

import hmac
import re
import sys
from typing import Any

import click

from mcp_server.cli import kill_switches
from mcp_server.cli.command import Group, TakesTokens, by, record, services
from mcp_server.cli.output import as_json, print_json, print_record, print_rows, remark
from mcp_server.clock import moment
from mcp_server.errors import InvalidToken
from mcp_server.oauth import client_id_urls
from mcp_server.oauth.tokens import LEEWAY

tokens = Group("tokens", help="Look at tokens, list the approvals in force, revoke.")
_TOKEN_ID = re.compile(r"[0-9a-f]{32}")


@tokens.command("show", cls=TakesTokens)
@click.argument("token")
@as_json
def show(token: str, *, as_json: bool) -> None:
    """Say what TOKEN is. Give - to read it from standard input, so that no other user sees it among the processes."""
    print_record(_described(_given(token)), as_json=as_json)


@tokens.command("list")
@as_json
def list_grants(*, as_json: bool) -> None:
    """Show every approval (grant) in force: who let which client do what."""
    built = services()
    names = {client.client_id: client.client_name for client in built.clients.all()}
    people = {user.user_id: user.username for user in built.users.all()}
    rows = [{
        "grant_id": grant.grant_id, "client_id": grant.client_id, "client": names.get(grant.client_id) or _web_address(grant.client_id),
        "subject": grant.subject, "user": people.get(grant.subject), "scope": grant.scope, "created_at": moment(grant.created_at),
        "expires_at": moment(grant.expires_at), "ends_at": moment(grant.ends_at_last), "last_used_at": moment(grant.last_used_at),
        "redirect_uri": grant.redirect_uri,
    } for grant in built.grants_in_force.all()]
    print_rows(rows, ("grant_id", "client", "user", "scope", "created_at", "expires_at"), as_json=as_json, none="No approval is in force.")


@tokens.command("revoke", cls=TakesTokens)
@click.argument("token", metavar="[TOKEN|GRANT_ID|JTI]", required=False)
@click.option("--client", "client_id", metavar="ID", help="End every approval of this client, and the tokens that it got for itself.")
@click.option("--user", "username", metavar="NAME", help="End every approval that this person gave.")
@click.option("--instance", metavar="URL",
              help="End every approval of the clients that belong to this ServiceNow instance, or have a redirect URI there.")
@click.option("--all", "everything", is_flag=True, help="End every approval of everybody.")
@click.option("--yes", is_flag=True, help="With --all: do not ask.")
@as_json
def revoke(*, token: str | None, client_id: str | None, username: str | None, instance: str | None, everything: bool, yes: bool,
           as_json: bool) -> None:
    """End an access token, an approval with all of its tokens, or many approvals at once.

    Takes an access token (that token ends), a refresh token or a grant id (the whole approval ends), or the jti of an access
    token; give - to read it from standard input. Or one of the options. It ends what is there, on every worker at once: who
    approves again gets tokens that work. To shut somebody out for good: flask clients revoke, flask users remove.
    """
    given = {"token": token, "client": client_id, "user": username, "instance": instance, "everything": "all" if everything else None}
    what = {name: value for name, value in given.items() if value is not None}
    if len(what) != 1:
        raise click.UsageError("Say what to end: a token or grant id, --client, --user, --instance or --all, and one of them only.")
    if token is not None:
        _revoke_one(token, as_json=as_json)
        return
    if client_id is not None:
        grants = kill_switches.of_client(client_id)
    elif username is not None:
        grants = kill_switches.of_user(username)
    elif instance is not None:
        grants = kill_switches.of_instance(instance)
    else:
        grants = services().grants_in_force.all()
        if not yes:
            click.confirm(f"End all {len(grants)} approvals? Every application stops working until it is approved again.", abort=True, err=True)
            grants = services().grants_in_force.all()  # somebody may have approved while the question stood
    services().administration.end_grants(grants, by(), **what)
    if as_json:
        print_json({"ended": len(grants), "grants": [
            {"grant_id": grant.grant_id, "client_id": grant.client_id, "subject": grant.subject} for grant in grants]})
    elif grants:
        remark(f"{len(grants)} approval{'' if len(grants) == 1 else 's'} ended, with all of their tokens. What is approved from now on works.")
    else:
        remark("No such approval is in force: nothing had to be ended.")


def _revoke_one(token: str, *, as_json: bool) -> None:
    built, given = services(), _given(token)
    found = built.revocation.query_token(given, "")
    if found is not None:
        what, revoked_id, until = found.kind.replace("_", " "), found.revocable_id, found.until
    elif (grant := built.grants.find(given, built.clock())) is not None:
        what, revoked_id, until = "grant", grant.grant_id, grant.ends_at_last + built.access_tokens.lifetime + LEEWAY
    elif _TOKEN_ID.fullmatch(given):
        what, revoked_id, until = "token id", given, built.clock() + built.access_tokens.lifetime + LEEWAY
    else:
        raise click.ClickException("This is no token of this server, no id of a grant in force, and no token id. flask tokens list shows the grants.")
    built.revocations.revoke((revoked_id,), until)
    record("token_revoked", kind=what, revoked_id=revoked_id)
    if as_json:
        print_json({"kind": what, "revoked_id": revoked_id})
    else:
        remark(_said(what, revoked_id))


def _web_address(client_id: str) -> str | None:
    """What a client is known by that a URL names: no registry has its name."""
    return client_id_urls.host_of(client_id) if client_id_urls.is_url(client_id) else None


def _said(what: str, revoked_id: str) -> str:
    if what == "access token":
        return f"The access token {revoked_id} is revoked. Its approval is not: a refresh gets another one. To end that, revoke the grant id."
    if what == "token id":
        return f"No grant in force has the id {revoked_id}, so it was taken for the id of an access token, and is revoked."
    return f"The grant {revoked_id} is revoked, with all of its tokens."


def _given(token: str) -> str:
    given = sys.stdin.readline() if token == "-" else token  # noqa: S105 -- means standard input
    if not given.strip():
        raise click.UsageError("There is no token: nothing was given.")
    return given.strip()


def _described(token: str) -> dict[str, Any]:
    return _access_token(token) or _refresh_token(token) or _configured(token) or {
        "kind": "unknown",
        "meaning": "not issued by this server, signed with a secret that is not configured any more, or long expired",
    }


def _access_token(token: str) -> dict[str, Any] | None:
    built = services()
    claims = built.access_tokens.read(token)
    if claims is None:
        return None
    revocable = tuple(str(claims.get(name)) for name in ("jti", "grant_id"))
    revoked = built.revocations.any_revoked((*revocable, f"client:{claims.get('client_id')}", f"user:{claims.get('sub')}"))
    try:
        built.access_tokens.verify(token)
        problem = None
    except InvalidToken as error:
        problem = error.detail or error.message
    expired = built.clock() > float(claims.get("exp", 0)) + LEEWAY
    return {
        "kind": "access token", "valid": problem is None and not revoked, "expired": expired, "revoked": revoked, "problem": problem,
        **claims, "iat": moment(claims.get("iat")), "exp": moment(claims.get("exp")),
    }


def _refresh_token(token: str) -> dict[str, Any] | None:
    built = services()
    found = built.revocation.query_token(token, "refresh_token")
    if found is None:
        return None
    grant = built.grants.find(found.revocable_id, built.clock())
    return {
        "kind": "refresh token", "client_id": found.client_id, "grant_id": found.revocable_id,
        "revoked": built.revocations.any_revoked((
            found.revocable_id, f"client:{found.client_id}", *((f"user:{grant.subject}",) if grant else ()))),
        "sub": grant.subject if grant else None, "scope": grant.scope if grant else None,
        "approved_at": moment(grant.created_at) if grant else None,
        "expires_at": moment(grant.expires_at if grant else None), "last_used_at": moment(grant.last_used_at if grant else None),
    }


def _configured(token: str) -> dict[str, Any] | None:
    settings = services().settings
    former = (("DCR_AUTH_TOKEN_PREVIOUS", value) for value in settings.dcr_auth_token_previous)
    for name, value in (("MCP_API_KEY", settings.mcp_api_key), ("DCR_AUTH_TOKEN", settings.dcr_auth_token), *former):
        if value and hmac.compare_digest(token.encode(), value.encode()):
            return {"kind": "configured secret", "setting": name, "meaning": "ends when the setting is changed and the server reloaded"}
    return None
