"""Dynamic client registration (RFC 7591), guarded by an initial access token.

Authlib's endpoint accepts too much (a `javascript:` redirect, a name of a megabyte) and stumbles over the rest, so this
one takes its place.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, validate

from mcp_server import errors
from mcp_server.audit import Audit
from mcp_server.clock import Clock
from mcp_server.errors import InvalidClientMetadata, InvalidInitialAccessToken, InvalidRedirectUri
from mcp_server.oauth import client_keys, redirect_uris, scopes
from mcp_server.oauth.client_authentication import METHODS
from mcp_server.oauth.credentials import Digests, new_id, new_secret
from mcp_server.oauth.models import DEVICE_CODE, PRIVATE_KEY_JWT, SCOPES, Client, InitialAccessToken
from mcp_server.oauth.ports import ClientStore, InitialAccessTokenStore
from mcp_server.validation import load

KEPT_AS_REGISTERED = ("client_uri", "logo_uri", "tos_uri", "policy_uri", "contacts", "software_id", "software_version", "application_type")


def _words(most: int, **kwargs: Any) -> fields.String:
    printable = validate.Regexp(r"[^\x00-\x1f\x7f]*\Z", error="Must not have control characters.")
    return fields.String(validate=[validate.Length(max=most), printable], **kwargs)


def _web_page() -> fields.String:
    return fields.String(validate=[validate.Length(max=2000), validate.Regexp(r"https?://[!-~]+\Z", error="Must be an http or https URL.")])


def _names() -> fields.List[str]:
    return fields.List(fields.String(validate=validate.Length(max=200)), validate=validate.Length(max=20))


class ClientMetadata(Schema):
    """The metadata that is read; what a client sends besides is ignored (RFC 7591 §2)."""

    class Meta:
        unknown = EXCLUDE

    client_name = _words(200)
    redirect_uris = fields.List(fields.String(validate=validate.Length(max=2000)), validate=validate.Length(max=10))
    grant_types = _names()
    response_types = _names()
    token_endpoint_auth_method = fields.String(load_default="client_secret_post", validate=validate.OneOf(METHODS))
    scope = fields.String(validate=validate.Length(max=1000))
    client_uri = _web_page()
    logo_uri = _web_page()
    tos_uri = _web_page()
    policy_uri = _web_page()
    contacts = _names()
    software_id = _words(200)
    software_version = _words(200)
    application_type = fields.String(validate=validate.OneOf(["web", "native"]))
    jwks = fields.Raw()  # these two count for private_key_jwt only, and are judged there
    jwks_uri = fields.Raw()


_METADATA = ClientMetadata()


class RegistrationEndpoint:
    def __init__(
        self, *, issuer: str, mode: str, configured_tokens: Iterable[str], initial_access_tokens: InitialAccessTokenStore, clients: ClientStore,
        allowed_hosts: Iterable[str], automatic: bool, digests: Digests, audit: Audit, clock: Clock,
    ) -> None:
        self._issuer = issuer
        self._mode = mode
        self._configured_tokens = tuple(token.encode() for token in configured_tokens if token)
        self._initial_access_tokens = initial_access_tokens
        self._clients = clients
        self._allowed_hosts = frozenset(allowed_hosts)
        self._grant_types = ("authorization_code", "refresh_token", "client_credentials" if automatic else DEVICE_CODE)
        self._digests = digests
        self._audit = audit
        self._clock = clock

    def authorize(self, authorization: str | None, body: Any) -> InitialAccessToken | None:
        """Who may register: the holder of an initial access token, in the header or as `token_value`, as the guide's templates send it.

        Raises RegistrationOff or InvalidInitialAccessToken. Returns the minted token that was counted down, if it was one.
        """
        if self._mode == "off":
            raise errors.RegistrationOff("Registration is switched off (DCR_MODE). Ask the operator of this server for a client id.")
        if self._mode == "open":
            return None
        presented = presented_token(authorization, body)
        if presented is None:
            raise InvalidInitialAccessToken("Registration needs the initial access token: Authorization: Bearer and the token.", detail="none given")
        if any(hmac.compare_digest(presented.encode(), token) for token in self._configured_tokens):
            return None
        for digest in self._digests.candidates("initial", presented):
            if (minted := self._initial_access_tokens.use(digest, self._clock())) is not None:
                return minted
        raise InvalidInitialAccessToken("The initial access token is not valid.", detail="unknown, expired or used up")

    def register(self, body: Any, authorization: str | None) -> Mapping[str, Any]:
        """The client information response (RFC 7591 §3.2.1). Raises an OAuthError."""
        try:
            minted = self.authorize(authorization, body)
        except errors.OAuthError as error:
            self._audit.record("oauth", "dcr_registration", "denied", reason=error.detail or error.message)
            raise
        try:
            client, secret = self.client_from(body, minted.instance if minted else None)
            token = new_secret()
            client = replace(client, registration_access_token_digest=self._digests.digest("registration", token),
                             registered_with=minted.token_id if minted else None)
            self._clients.add(client)
        except Exception as error:
            if minted is not None:
                with suppress(errors.StoreUnavailable):  # what went wrong first is what is told
                    self._initial_access_tokens.give_back(minted.token_id)
            reason = error.detail or error.message if isinstance(error, errors.GatewayError) else type(error).__name__
            self._audit.record("oauth", "dcr_registration", "failure", reason=reason, initial_access_token=minted.name if minted else None)
            raise
        self._audit.record("oauth", "dcr_registration", "success", client_id=client.client_id, client_name=client.client_name,
                           redirect_uris=list(client.redirect_uris), initial_access_token=minted.name if minted else None)
        return self.information(client, secret, token)

    def information(self, client: Client, secret: str | None, registration_access_token: str) -> dict[str, Any]:
        """The client information response (RFC 7591 §3.2.1), with what manages it (RFC 7592 §3). `secret` only when it was just made."""
        return _client_information(client, secret) | {
            "registration_access_token": registration_access_token,
            "registration_client_uri": f"{self._issuer}/oauth/register/{client.client_id}"}

    def client_from(self, body: Any, instance: str | None) -> tuple[Client, str | None]:
        """The client that the metadata describes, and its secret. With `instance` it may redirect to that one alone. Raises an OAuthError."""
        if not isinstance(body, dict):
            raise InvalidClientMetadata("The body must be a JSON object of client metadata.")
        if body.get("software_statement") is not None:
            raise errors.InvalidSoftwareStatement("Software statements are not accepted here: send the metadata itself.")
        metadata = load(_METADATA, without_nulls(body), InvalidClientMetadata)
        grant_types = self._grant_types_from(metadata, instance)
        method = metadata["token_endpoint_auth_method"]
        secret = None if method in ("none", PRIVATE_KEY_JWT) else new_secret()
        keys = client_keys.registered(metadata) if method == PRIVATE_KEY_JWT else {}
        client = Client(
            client_id=new_id(),
            client_name=metadata.get("client_name") or "A client without a name",
            redirect_uris=self._redirect_uris_from(metadata, grant_types, instance),
            grant_types=grant_types,
            response_types=_response_types_from(metadata, grant_types),
            token_endpoint_auth_method=method,
            created_at=float(int(self._clock())),
            scope=scopes.requested(metadata.get("scope"), otherwise=" ".join(SCOPES)),
            client_secret_digests=() if secret is None else (self._digests.digest("client", secret),),
            origin="registration",
            instance=instance,
            metadata={name: metadata[name] for name in KEPT_AS_REGISTERED if name in metadata} | keys)
        return client, secret

    def _grant_types_from(self, metadata: Mapping[str, Any], instance: str | None) -> tuple[str, ...]:
        """Those that are served; others are left out of the answer (RFC 7591 §3.2.1). None left: refused.

        A device code needs no redirect URI: with it, whoever may register reaches people everywhere, and holds no tokens back
        for one instance. So it is not for everybody (DCR_MODE=open), and not for the holder of one instance's token.
        """
        anywhere = instance is None and self._mode != "open"
        offered = tuple(grant for grant in self._grant_types if grant != DEVICE_CODE or anywhere)
        asked = metadata.get("grant_types") or ["authorization_code"]
        served = tuple(grant for grant in offered if grant in asked)
        if not {"authorization_code", "client_credentials", DEVICE_CODE} & set(served):
            raise InvalidClientMetadata(
                f"grant_types: a client registers here for {', '.join(offered)}; others are created by the operator, "
                "with flask clients create.")
        return served

    def _redirect_uris_from(self, metadata: Mapping[str, Any], grant_types: tuple[str, ...], instance: str | None) -> tuple[str, ...]:
        """With `instance` that one alone, whatever else is allowed: an operator named it, who may register any host."""
        uris = tuple(dict.fromkeys(metadata.get("redirect_uris") or ()))
        if "authorization_code" in grant_types and not uris:
            raise InvalidRedirectUri("redirect_uris is missing: name at least one.")
        for uri in uris:
            if instance is not None:
                redirect_uris.require_of_instance(uri, instance)
            else:
                redirect_uris.require_allowed(uri, self._allowed_hosts)
        return uris


def presented_token(authorization: str | None, body: Any) -> str | None:
    """`Bearer` and the token, the token alone, or `token_value` in the body."""
    if authorization is not None:
        given = authorization.strip(" ")
        scheme, blank, rest = given.partition(" ")
        token = rest.strip(" ") if blank and scheme.lower() == "bearer" else given
        return token or None
    value = body.get("token_value") if isinstance(body, dict) else None
    return value if isinstance(value, str) and value else None


def without_nulls(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def _response_types_from(metadata: Mapping[str, Any], grant_types: tuple[str, ...]) -> tuple[str, ...]:
    asked = metadata.get("response_types")
    if "authorization_code" not in grant_types:
        return ()
    if asked and "code" not in asked:
        raise InvalidClientMetadata("response_types: only code is supported.")
    return ("code",)


def _client_information(client: Client, secret: str | None) -> dict[str, Any]:
    information: dict[str, Any] = {
        "client_id": client.client_id, "client_id_issued_at": int(client.created_at), "client_name": client.client_name,
        "redirect_uris": list(client.redirect_uris), "grant_types": list(client.grant_types), "response_types": list(client.response_types),
        "token_endpoint_auth_method": client.token_endpoint_auth_method, "scope": client.scope, **client.metadata,
    }
    if secret is not None:
        information |= {"client_secret": secret, "client_secret_expires_at": 0}
    return information
