"""`flask tokens`: what a token is, which approvals are in force, and how to end one."""

from __future__ import annotations

import hmac
import re
import sys
from typing import Any

import click

from mcp_server.cli.command import Group, record, services
from mcp_server.cli.output import as_json, moment, print_record, print_rows, remark
from mcp_server.errors import InvalidToken
from mcp_server.oauth import client_id_urls
from mcp_server.oauth.models import Grant
from mcp_server.oauth.tokens import LEEWAY

tokens = Group("tokens", help="Look at tokens, list the approvals in force, revoke.")
_TOKEN_ID = re.compile(r"[0-9a-f]{32}")


@tokens.command("show")
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
        "expires_at": moment(grant.expires_at),
    } for grant in built.grants.all(built.clock()) if not _is_revoked(grant)]
    print_rows(rows, ("grant_id", "client", "user", "scope", "created_at", "expires_at"), as_json=as_json, none="No approval is in force.")


@tokens.command("revoke")
@click.argument("token", metavar="TOKEN|GRANT_ID|JTI")
def revoke(token: str) -> None:
    """End an access token, or an approval with all of its tokens.

    Takes an access token (that token ends), a refresh token or a grant id (the whole approval ends), or the jti of an access
    token. Give - to read it from standard input.
    """
    built, given = services(), _given(token)
    found = built.revocation.query_token(given, "")
    if found is not None:
        what, revoked_id, until = found.kind.replace("_", " "), found.revocable_id, found.until
    elif (grant := built.grants.find(given, built.clock())) is not None:
        what, revoked_id, until = "grant", grant.grant_id, grant.expires_at + built.access_tokens.lifetime + LEEWAY
    elif _TOKEN_ID.fullmatch(given):
        what, revoked_id, until = "token id", given, built.clock() + built.access_tokens.lifetime + LEEWAY
    else:
        raise click.ClickException("This is no token of this server, no id of a grant in force, and no token id. flask tokens list shows the grants.")
    built.revocations.revoke((revoked_id,), until)
    record("token_revoked", kind=what, revoked_id=revoked_id)
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
        "revoked": _is_revoked(grant) if grant else built.revocations.any_revoked((found.revocable_id, f"client:{found.client_id}")),
        "sub": grant.subject if grant else None, "scope": grant.scope if grant else None,
        "approved_at": moment(grant.created_at) if grant else None,
        "expires_at": moment(found.until - built.access_tokens.lifetime),
    }


def _configured(token: str) -> dict[str, Any] | None:
    settings = services().settings
    for name, value in (("MCP_API_KEY", settings.mcp_api_key), ("DCR_AUTH_TOKEN", settings.dcr_auth_token)):
        if value and hmac.compare_digest(token.encode(), value.encode()):
            return {"kind": "configured secret", "setting": name, "meaning": "ends when the setting is changed and the server restarted"}
    return None


def _is_revoked(grant: Grant) -> bool:
    return services().revocations.any_revoked((grant.grant_id, f"client:{grant.client_id}", f"user:{grant.subject}"))
