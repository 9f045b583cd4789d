"""What an operator may register, which is more than a client may: any host, and schemes of an application's own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import orjson

from config import convert
from mcp_server.errors import InvalidClientMetadata, InvalidRedirectUri
from mcp_server.oauth import client_keys, scopes
from mcp_server.oauth import redirect_uris as rules
from mcp_server.oauth.models import DEVICE_CODE, PRIVATE_KEY_JWT, SCOPES, Client
from mcp_server.web.form_values import SERVICENOW_PATHS

LONGEST_NAME = 200
_NEVER = frozenset({"javascript", "data", "vbscript", "file", "blob", "about"})
_OWN_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:[!$%&'()+,\-./0-9:;=?@A-Z_a-z~]+")  # no blank, quote, backslash, wildcard or fragment


def client(
    *, client_id: str, created_at: float, name: str, redirect_uris: Sequence[str], instances: Sequence[str], grants: Sequence[str],
    served: Sequence[str], scope: str | None, pkce_required: bool, client_secret_digest: str | None,
    keys: Mapping[str, Any],
) -> Client:
    """The client as it will be stored. Raises what click shows, or a GatewayError."""
    public = client_secret_digest is None and not keys
    origins = [instance_origin(instance) for instance in instances]
    uris = tuple(dict.fromkeys([*map(_redirect_uri, redirect_uris), *(origin + path for origin in origins for path in SERVICENOW_PATHS)]))
    grants = tuple(dict.fromkeys(DEVICE_CODE if grant == "device_code" else grant for grant in grants))
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise click.BadParameter(f"A name has 1 to {LONGEST_NAME} visible characters.", param_hint="--name")
    if unknown := [grant for grant in grants if grant not in served]:
        raise click.BadParameter(f"{', '.join(unknown)}: this server has {', '.join(served)}.", param_hint="--grant")
    if "authorization_code" in grants and not uris:
        raise click.UsageError("Say where codes may be sent: --servicenow https://INSTANCE.service-now.com, or --redirect-uri URL.")
    if public and "client_credentials" in grants:
        raise click.UsageError("client_credentials needs a client with a secret or a key: leave --public out.")
    require_pkce_of_public(public=public, pkce_required=pkce_required)
    return Client(
        client_id=client_id, client_name=name, redirect_uris=uris, grant_types=grants,
        response_types=("code",) if "authorization_code" in grants else (),
        token_endpoint_auth_method=PRIVATE_KEY_JWT if keys else "none" if public else "client_secret_post", created_at=created_at,
        scope=scopes.requested(scope, otherwise=" ".join(SCOPES)),
        client_secret_digests=() if client_secret_digest is None else (client_secret_digest,),
        pkce_required=pkce_required, origin="operator", metadata=({"client_uri": origins[0]} if origins else {}) | dict(keys))


def keys_from(jwks: Path | None, jwks_uri: str | None) -> dict[str, Any]:
    """The public keys as they are kept; empty where none are given. Raises what click shows."""
    if jwks is None and jwks_uri is None:
        return {}
    if jwks is not None and jwks_uri is not None:
        raise click.UsageError("Give the keys either way, not both: --jwks FILE or --jwks-uri URL.")
    try:
        return {"jwks_uri": client_keys.require_uri(jwks_uri)} if jwks is None else {"jwks": client_keys.require_public(_read(jwks))}
    except InvalidClientMetadata as error:
        raise click.BadParameter(str(error), param_hint="--jwks-uri" if jwks is None else "--jwks") from None


def _read(file: Path) -> Any:
    try:
        with file.open("rb") as opened:
            return orjson.loads(opened.read(client_keys.MOST_BYTES + 1))
    except (OSError, orjson.JSONDecodeError) as error:
        raise click.BadParameter(f"{file}: {error}", param_hint="--jwks") from None


def require_pkce_of_public(*, public: bool, pkce_required: bool) -> None:
    """Without a secret, PKCE is all that keeps a stolen code from being used."""
    if public and not pkce_required:
        raise click.UsageError("PKCE can be left out only for a client with a secret; this one is public.")


def instance_origin(url: str) -> str:
    try:
        origin: str = convert.https_origin(url)
    except ValueError as error:
        raise click.BadParameter(f"{url} {error}", param_hint="a ServiceNow instance") from None
    return origin


def _redirect_uri(uri: str) -> str:
    """Raises in words. The host is the operator's own choice, so every host is allowed."""
    scheme = uri.partition(":")[0].lower()
    try:
        if scheme in ("http", "https"):
            rules.require_allowed(uri, {(urlsplit(uri).hostname or "").lower()})
            return uri
    except (InvalidRedirectUri, ValueError) as error:
        raise click.BadParameter(f"{uri}: {error}", param_hint="--redirect-uri") from None
    if scheme in _NEVER or not _OWN_SCHEME.fullmatch(uri):
        raise click.BadParameter(f"{uri} is no URL that a code can be sent to.", param_hint="--redirect-uri")
    return uri
