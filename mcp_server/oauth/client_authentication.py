"""Who the client is (RFC 6749 §2.3): one mechanism a request.

ServiceNow's form lets an admin choose header or body whatever was registered, so both are honoured for a client that has a
secret. A client that registered keys has none, and must use them.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from urllib.parse import unquote_plus

from mcp_server.errors import InvalidClient, InvalidRequest
from mcp_server.oauth import client_assertion
from mcp_server.oauth.client_assertion import ClientAssertions
from mcp_server.oauth.clients import Clients
from mcp_server.oauth.credentials import Digests
from mcp_server.oauth.models import PRIVATE_KEY_JWT, Client
from mcp_server.oauth.parameters import Parameters
from mcp_server.oauth.ports import ClientStore

PROVING_METHODS = ("client_secret_basic", "client_secret_post", PRIVATE_KEY_JWT)
METHODS = (*PROVING_METHODS, "none")
"""What the token endpoint accepts, as the metadata names it."""

REFUSED = "The client could not be authenticated. Check the client id and the client secret."


@dataclass(frozen=True, slots=True)
class Presented:
    """What the request offers as proof, before anything is believed. `client_secrets` are the readings of the one secret."""

    method: str
    client_id: str
    client_secrets: tuple[str, ...] = ("",)
    assertion: str = ""


class ClientAuthentication:
    """`clients` are all there are; `registered` those whose digest may have to be renewed."""

    def __init__(self, clients: Clients, registered: ClientStore, digests: Digests, assertions: ClientAssertions) -> None:
        self._clients = clients
        self._registered = registered
        self._digests = digests
        self._assertions = assertions

    def authenticate(self, parameters: Parameters, authorization: str | None) -> tuple[Client, str]:
        """The client, and the method by which it proved itself. Raises InvalidClient or InvalidRequest."""
        presented = _presented(parameters, authorization)
        client = self._clients.find(presented.client_id, lately=True)
        if presented.method == PRIVATE_KEY_JWT:
            return self._asserted(client, presented.assertion), presented.method
        known = client.client_secret_digests if client else ()
        right = [secret for secret in presented.client_secrets if self._digests.matches("client", secret, known or ("",))]  # also for nobody
        if client is None:
            raise InvalidClient(REFUSED, detail="unknown client")
        if presented.method == "none":
            if client.has_keys:
                raise InvalidClient("This client must prove itself with a signed assertion (private_key_jwt).", detail="no assertion")
            if client.confidential:
                raise InvalidClient("This client has a secret and must send it.", detail="no secret")
        elif not client.confidential:
            raise InvalidClient("This client is public: it was registered without a secret and must not send one.", detail="public client")
        elif not right:
            raise InvalidClient(REFUSED, detail="wrong secret")
        else:
            client = self._under_the_current_key(client, right[0])
        return client, presented.method

    def _asserted(self, client: Client | None, assertion: str) -> Client:
        if client is None:
            raise InvalidClient(client_assertion.REFUSED, detail="unknown client")
        self._assertions.verify(assertion, client)
        return client

    def _under_the_current_key(self, client: Client, secret: str) -> Client:
        """After JWT_SECRET was rotated: keep the digest under the new key, so that the previous one can be dropped."""
        current, *previous = self._digests.candidates("client", secret)
        if current in client.client_secret_digests or not previous:
            return client
        digests = tuple(current if digest in previous else digest for digest in client.client_secret_digests)
        renewed = replace(client, client_secret_digests=digests)
        self._registered.replace(renewed)
        return renewed


def named_client(parameters: Parameters, authorization: str | None) -> str | None:
    """Whom the request says it comes from, proven or not. For the audit."""
    named, assertion = parameters.get("client_id"), parameters.get("client_assertion")
    if authorization is None:
        return named or (client_assertion.claimed_client(assertion) if assertion else None)
    try:
        return _basic(authorization)[0]
    except InvalidClient:
        return named


def _presented(parameters: Parameters, authorization: str | None) -> Presented:
    body_id, body_secret = parameters.get("client_id"), parameters.get("client_secret")
    if parameters.get("client_assertion") or parameters.get("client_assertion_type"):
        if authorization is not None or body_secret is not None:
            raise InvalidRequest("The client authenticates twice: use the assertion or the secret, not both.")
        return _presented_assertion(parameters, body_id)
    if authorization is not None:
        client_id, secrets = _basic(authorization)
        if body_secret is not None:
            raise InvalidRequest("The client authenticates twice: use the Basic header or the body, not both.")
        if body_id is not None and body_id != client_id:
            raise InvalidRequest("The client_id in the body is not the one in the Basic header.")
        return Presented("client_secret_basic", client_id, secrets)
    if body_id is None:
        raise InvalidClient("The client did not identify itself: client_id is missing.", detail="no client_id")
    if body_secret is not None:
        return Presented("client_secret_post", body_id, (body_secret,))
    return Presented("none", body_id)


def _presented_assertion(parameters: Parameters, body_id: str | None) -> Presented:
    """Whose it is, it says itself; a client_id beside it must say the same (RFC 7521 §4.2)."""
    assertion = parameters.get("client_assertion")
    if assertion is None or parameters.get("client_assertion_type") != client_assertion.TYPE:
        raise InvalidClient(client_assertion.REFUSED, detail="assertion: absent, or of another type")
    claimed = client_assertion.claimed_client(assertion)
    if claimed is None or body_id not in (None, claimed):
        raise InvalidClient(client_assertion.REFUSED, detail="assertion: unreadable, or of another client_id")
    return Presented(PRIVATE_KEY_JWT, claimed, assertion=assertion)


def _basic(authorization: str) -> tuple[str, tuple[str, ...]]:
    """Both parts are form-encoded (RFC 6749 §2.3.1), but most clients send the secret as it is: both readings count."""
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("Clients authenticate here with Basic, or in the body.", detail="another scheme")  # it may be the secret itself
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidClient("The Basic header cannot be read.", detail="not base64 of UTF-8") from None
    client_id, colon, secret = decoded.partition(":")
    if not colon or not client_id or not decoded.isprintable():
        raise InvalidClient("The Basic header cannot be read.", detail="no colon, or control characters")
    return unquote_plus(client_id), tuple(dict.fromkeys((unquote_plus(secret), secret)))
