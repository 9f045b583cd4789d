"""Client ID Metadata Documents: what a document must say to become a client (draft-ietf-oauth-client-id-metadata-document §4.1).

`client_id_urls.py` has the rules for its URL, `clients.py` says when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from marshmallow import fields, validate

from mcp_server.clock import Clock
from mcp_server.errors import InvalidClient, InvalidClientMetadata, InvalidRedirectUri, OAuthError
from mcp_server.oauth import client_keys, redirect_uris, scopes
from mcp_server.oauth.client_id_urls import AllowedDomains, host_of
from mcp_server.oauth.models import DOCUMENT, PRIVATE_KEY_JWT, SCOPES, Client
from mcp_server.oauth.registration_endpoint import ClientMetadata, without_nulls
from mcp_server.validation import load

GRANT_TYPES = ("authorization_code", "refresh_token")
"""What a client may have that nobody here vouched for: a person approves all that it gets, so no client_credentials."""
SHARED_SECRET = ("client_secret", "client_secret_expires_at")


class _Document(ClientMetadata):
    """What is read of a document: the metadata of a registration, and nothing that would need a secret in common."""

    client_id = fields.String(required=True)
    client_name = fields.String(required=True, validate=[
        validate.Length(max=200), validate.Regexp(r"(?=.*\S)[^\x00-\x1f\x7f]*\Z", error="Must be a name without control characters.")])
    redirect_uris = fields.List(fields.String(validate=validate.Length(max=2000)), required=True, validate=validate.Length(min=1, max=50))
    token_endpoint_auth_method = fields.String(load_default="none", validate=validate.OneOf(
        ["none", PRIVATE_KEY_JWT], error="Must be none or private_key_jwt: there is no secret that both sides know."))


_DOCUMENT = _Document()


class ClientIdDocuments:
    """Makes a client of a document. `redirect_hosts` are those that a document may name besides its own host, the listed domains and loopback."""

    def __init__(self, domains: AllowedDomains, redirect_hosts: Iterable[str], clock: Clock) -> None:
        self.domains = domains
        self._redirect_hosts = frozenset(redirect_hosts) | redirect_uris.LOOPBACK
        self._clock = clock

    def client_from(self, url: str, document: Mapping[str, Any]) -> Client:
        """Raises InvalidClient, in words for those who wrote the document."""
        try:
            return self._client_from(url, document)
        except OAuthError as error:
            raise InvalidClient(f"The client document of {host_of(url)} cannot be used. {error.message}",
                                detail=f"document: {error.message}"[:300]) from error

    def _client_from(self, url: str, document: Mapping[str, Any]) -> Client:
        if not document.keys().isdisjoint(SHARED_SECRET):
            raise InvalidClientMetadata("It has client_secret, and everybody can read it: take it out.")
        if client_keys.has_secret(document.get("jwks")):
            raise InvalidClientMetadata("jwks: has a private or symmetric key. Publish the public keys only, and replace that one.")
        metadata = load(_DOCUMENT, without_nulls(document), InvalidClientMetadata)
        if metadata["client_id"] != url:
            raise InvalidClientMetadata("client_id: must be exactly the URL of the document.")
        method = metadata["token_endpoint_auth_method"]
        return Client(
            client_id=url,
            client_name=metadata["client_name"],
            redirect_uris=self._redirect_uris_from(url, metadata["redirect_uris"]),
            grant_types=_grant_types_from(metadata),
            response_types=("code",),
            token_endpoint_auth_method=method,
            created_at=float(int(self._clock())),
            scope=scopes.in_order(set(metadata.get("scope", "").split())) or " ".join(SCOPES),
            origin=DOCUMENT,
            metadata=self._keys_from(metadata) if method == PRIVATE_KEY_JWT else {})

    def _redirect_uris_from(self, url: str, listed: list[str]) -> tuple[str, ...]:
        """Those that may be used here. A document is written for every server at once, so others are left out; none left: refused."""
        kept = [uri for uri in dict.fromkeys(listed) if self._may_redirect(url, uri)]
        if not kept:
            raise InvalidRedirectUri(
                f"redirect_uris: none of them can be used here. They must lead by https to {host_of(url)} or to a host that the operator of this "
                "server lists in CIMD_ALLOWED_DOMAINS or DCR_ALLOWED_REDIRECT_HOSTS, or by http to the person's own computer.")
        return tuple(kept)

    def _may_redirect(self, url: str, redirect_uri: str) -> bool:
        try:
            parts = urlsplit(redirect_uri)
            listed = {parts.netloc.lower()} if self.domains.name(parts.netloc.lower()) else frozenset()
            redirect_uris.require_allowed(redirect_uri, self._redirect_hosts | {host_of(url).partition(":")[0]} | listed)
        except (InvalidRedirectUri, ValueError):
            return False
        return True

    def _keys_from(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """A `jwks_uri` is fetched too, so its host is held to the same list."""
        keys = client_keys.registered(metadata)
        if "jwks_uri" in keys and not self.domains.cover(host_of(keys["jwks_uri"]).lower()):
            raise InvalidClientMetadata("jwks_uri: leads to a host that the operator of this server does not list in CIMD_ALLOWED_DOMAINS.")
        return keys


def _grant_types_from(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    asked = metadata.get("grant_types") or ["authorization_code"]
    if "authorization_code" not in asked or "code" not in (metadata.get("response_types") or ["code"]):
        raise InvalidClientMetadata("grant_types must have authorization_code, and response_types code: nothing else is served to such a client.")
    return tuple(grant for grant in GRANT_TYPES if grant in asked)
