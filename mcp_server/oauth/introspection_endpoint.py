"""Token introspection (RFC 7662): a client that can prove itself asks what one of its own tokens is worth now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from authlib.oauth2.rfc7662 import IntrospectionEndpoint as AuthlibIntrospectionEndpoint

from mcp_server.audit import Audit
from mcp_server.clock import Clock
from mcp_server.errors import InvalidClient, InvalidToken, UnauthorizedClient
from mcp_server.oauth.authorization_server import AuthorizationServer, EndpointRequest, KnownClient
from mcp_server.oauth.client_authentication import PROVING_METHODS, named_client
from mcp_server.oauth.credentials import Digests
from mcp_server.oauth.parameters import Parameters
from mcp_server.oauth.ports import GrantStore, RefreshTokenStore, UserStore
from mcp_server.oauth.revocations import Revocations
from mcp_server.oauth.tokens import AccessTokens


class _FoundToken:
    """A token whose signature or digest is ours, as Authlib asks about it."""

    def __init__(self, answer: dict[str, Any], revocable_ids: tuple[str, ...], *, alive: bool) -> None:
        self.answer = answer
        self.revocable_ids = revocable_ids
        self.alive = alive
        self.ends_at = float(answer["exp"])


class IntrospectionEndpoint(AuthlibIntrospectionEndpoint):
    CLIENT_AUTH_METHODS: ClassVar[list[str]] = list(PROVING_METHODS)  # whoever finds a public client's token could ask in its name

    def __init__(
        self, server: AuthorizationServer, *, issuer: str, access_tokens: AccessTokens, refresh_tokens: RefreshTokenStore, grants: GrantStore,
        users: UserStore, digests: Digests, revocations: Revocations, audit: Audit, clock: Clock,
    ) -> None:
        super().__init__(server)
        self._issuer = issuer
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens
        self._grants = grants
        self._users = users
        self._digests = digests
        self._revocations = revocations
        self._audit = audit
        self._clock = clock
        server.register_endpoint(self)

    def introspect(self, parameters: Parameters, authorization: str | None) -> Mapping[str, Any]:
        """The answer. Raises an OAuthError, and StoreUnavailable rather than call a token active that may be revoked."""
        parameters.required("token")
        try:
            response = self.server.create_endpoint_response(self.ENDPOINT_NAME, EndpointRequest("POST", parameters, authorization))
        except InvalidClient as error:
            self._audit.record("oauth", "authentication_failed", "failure", client_id=named_client(parameters, authorization), reason=error.detail)
            raise
        body: Mapping[str, Any] = response.body
        return body

    def create_endpoint_request(self, request: EndpointRequest) -> EndpointRequest:
        return request

    def authenticate_endpoint_client(self, request: EndpointRequest) -> KnownClient:
        try:
            client: KnownClient = super().authenticate_endpoint_client(request)
        except UnauthorizedClient as error:  # it named itself and proved nothing (RFC 7662 §2.1)
            raise InvalidClient("Introspection is for clients that have a secret, and send it.", detail=error.detail) from error
        return client

    def check_params(self, request: EndpointRequest, client: KnownClient) -> None:
        """Nothing: a hint is a hint, whatever it says (RFC 7662 §2.1)."""

    def check_permission(self, token: _FoundToken, client: KnownClient, request: EndpointRequest) -> bool:  # noqa: ARG002 Authlib's signature
        return bool(client.get_client_id() == token.answer["client_id"])

    def query_token(self, token_string: str, token_type_hint: str) -> _FoundToken | None:  # noqa: ARG002 Authlib's signature
        return self._access_token(token_string) or self._refresh_token(token_string)

    def create_introspection_payload(self, token: _FoundToken | None) -> dict[str, Any]:
        """What is not active is told nothing else about (RFC 7662 §2.2)."""
        if token is None or not token.alive or token.ends_at <= self._clock() or self._revocations.any_revoked(token.revocable_ids):
            return {"active": False}
        return self._of_its_person(token.answer)

    def _of_its_person(self, answer: dict[str, Any]) -> dict[str, Any]:
        """With the name of the person; inactive when that person may not act any more."""
        subject: str = answer["sub"]
        if subject.startswith("client:"):
            return answer
        user = self._users.find_by_id(subject)
        if user is None or user.disabled:
            return {"active": False}
        return answer | {"username": user.username}

    def _access_token(self, token: str) -> _FoundToken | None:
        try:
            principal = self._access_tokens.verify(token)
        except InvalidToken:
            return None
        claims = self._access_tokens.read(token)
        if claims is None:  # its key was removed a moment ago
            return None
        told = {name: claims[name] for name in ("scope", "client_id", "exp", "iat", "sub", "aud", "iss", "jti")}
        return _FoundToken({"active": True, "token_type": "Bearer"} | told, principal.revocable_ids, alive=True)

    def _refresh_token(self, token: str) -> _FoundToken | None:
        """For us alone, and says so: whoever takes any active token for an access token must see that it is none."""
        for digest in self._digests.candidates("refresh", token):
            found = self._refresh_tokens.find(digest, self._clock())
            if found is not None:
                grant = self._grants.find(found.grant_id, self._clock())  # a token that is not used ends with its grant, before its own time
                answer = {
                    "active": True, "token_type": "refresh_token", "scope": found.scope, "client_id": found.client_id,
                    "exp": int(grant.expires_at if grant else 0),
                    "sub": found.subject, "aud": self._issuer, "iss": self._issuer}
                revocable_ids = (found.grant_id, f"client:{found.client_id}", f"user:{found.subject}")
                return _FoundToken(answer, revocable_ids, alive=found.rotated_at is None and not found.dead)
        return None
