"""Token revocation (RFC 7009): the client authenticates, and ends its own tokens only."""

from __future__ import annotations

from typing import ClassVar

from authlib.oauth2.rfc7009 import RevocationEndpoint as AuthlibRevocationEndpoint

from mcp_server.audit import Audit
from mcp_server.clock import Clock
from mcp_server.errors import InvalidClient, InvalidGrant
from mcp_server.oauth.authorization_server import AuthorizationServer, EndpointRequest, KnownClient
from mcp_server.oauth.client_authentication import METHODS, named_client
from mcp_server.oauth.credentials import Digests
from mcp_server.oauth.parameters import Parameters
from mcp_server.oauth.ports import RefreshTokenStore
from mcp_server.oauth.revocations import Revocations
from mcp_server.oauth.tokens import LEEWAY, AccessTokens


class _FoundToken:
    """What a token string turned out to be: the ids to revoke, until when."""

    def __init__(self, client_id: str, revocable_id: str, until: float, kind: str) -> None:
        self.client_id = client_id
        self.revocable_id = revocable_id
        self.until = until
        self.kind = kind

    def check_client(self, client: KnownClient) -> bool:
        return client.get_client_id() == self.client_id


class RevocationEndpoint(AuthlibRevocationEndpoint):
    CLIENT_AUTH_METHODS: ClassVar[list[str]] = list(METHODS)

    def __init__(
        self, server: AuthorizationServer, *, access_tokens: AccessTokens, refresh_tokens: RefreshTokenStore, digests: Digests,
        revocations: Revocations, audit: Audit, clock: Clock,
    ) -> None:
        super().__init__(server)
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens
        self._digests = digests
        self._revocations = revocations
        self._audit = audit
        self._clock = clock
        server.register_endpoint(self)

    def revoke(self, parameters: Parameters, authorization: str | None) -> None:
        """Returns when the token, if it was one of this client's, is revoked for good. Raises OAuthError or StoreUnavailable."""
        parameters.required("token")
        try:
            self.server.create_endpoint_response(self.ENDPOINT_NAME, EndpointRequest("POST", parameters, authorization))
        except InvalidClient as error:
            self._audit.record("oauth", "authentication_failed", "failure", client_id=named_client(parameters, authorization), reason=error.detail)
            raise

    def create_endpoint_request(self, request: EndpointRequest) -> EndpointRequest:
        return request

    def check_params(self, request: EndpointRequest, client: KnownClient) -> None:
        """Nothing: a hint is a hint, whatever it says (RFC 7009 §2.1)."""

    def authenticate_token(self, request: EndpointRequest, client: KnownClient) -> _FoundToken | None:
        found = self.query_token(request.parameters.required("token"), "")
        if found is not None and not found.check_client(client):
            raise InvalidGrant("The token was issued to another client.")
        return found

    def query_token(self, token_string: str, token_type_hint: str) -> _FoundToken | None:  # noqa: ARG002 Authlib's signature
        claims = self._access_tokens.read(token_string)
        if claims is not None:
            return _FoundToken(str(claims.get("client_id")), str(claims.get("jti")), float(claims.get("exp", 0)) + LEEWAY, "access_token")
        for digest in self._digests.candidates("refresh", token_string):
            found = self._refresh_tokens.find(digest, self._clock())
            if found is not None:
                return _FoundToken(found.client_id, found.grant_id, found.expires_at + self._access_tokens.accepted_for, "refresh_token")
        return None

    def revoke_token(self, token: _FoundToken, request: EndpointRequest) -> None:  # noqa: ARG002 Authlib's signature
        """A refresh token takes the whole grant with it, access tokens too (RFC 7009 §2.1)."""
        self._revocations.revoke((token.revocable_id,), token.until)
        self._audit.record("oauth", "token_revoked", "success", client_id=token.client_id, kind=token.kind, revoked_id=token.revocable_id)
