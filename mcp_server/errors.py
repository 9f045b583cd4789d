"""Every failure that a caller can see. Raise what happened; `web/error_handlers.py` decides how it travels.

GatewayError
├── OAuthError                      RFC 6749 form: error, error_description
│   ├── InvalidRequest              invalid_request
│   ├── InvalidClient               invalid_client, 401
│   ├── InvalidGrant                invalid_grant
│   ├── UnauthorizedClient          unauthorized_client
│   ├── UnsupportedGrantType        unsupported_grant_type
│   ├── UnsupportedResponseType     unsupported_response_type
│   ├── InvalidScope                invalid_scope
│   ├── InvalidTarget               invalid_target (RFC 8707)
│   ├── AccessDenied                access_denied
│   ├── AuthorizationPending        authorization_pending (RFC 8628)
│   │   └── SlowDown                slow_down
│   ├── ExpiredToken                expired_token (RFC 8628)
│   ├── LoginRequired               login_required (OpenID Connect)
│   ├── InvalidRedirectUri          invalid_redirect_uri (RFC 7591)
│   ├── InvalidClientMetadata       invalid_client_metadata (RFC 7591)
│   ├── InvalidSoftwareStatement    invalid_software_statement (RFC 7591)
│   ├── InvalidInitialAccessToken   invalid_token, 401 (RFC 7591)
│   ├── InvalidRegistrationAccessToken  invalid_token, 401 (RFC 7592)
│   ├── RegistrationOff             access_denied, 403
│   └── OAuthServerError            server_error, 500
├── BearerError                     RFC 6750 form: a challenge
│   ├── TokenRequired               401 without an error code
│   ├── InvalidToken                invalid_token, 401
│   ├── MalformedCredential         invalid_request, 400
│   └── InsufficientScope           insufficient_scope, 403
├── JsonRpcError                    a JSON-RPC error object
│   ├── ParseError                  -32700
│   ├── InvalidMessage              -32600
│   ├── MethodNotFound              -32601
│   ├── InvalidParams               -32602
│   │   └── ResourceNotFound        -32602, until 2025-11-25 -32002
│   ├── InternalError               -32603
│   ├── HeaderMismatch              -32020 (2026-07-28)
│   ├── MissingCapability           -32021 (2026-07-28)
│   └── UnsupportedVersion          -32022 (2026-07-28)
├── ToolError                       a tool result with isError
├── KnowledgeRefused                an index, an export or an instance that cannot be used as it is
├── RequestRefused                  refused before it is understood
│   ├── OriginRefused               403
│   ├── MetricsRefused              403
│   ├── OperatorsOnly               403, a page of the console
│   ├── BodyTooLarge                413
│   ├── BodyTooSlow                 408
│   ├── UnsupportedContentType      415
│   ├── FormExpired                 400, a page form that is stale or not ours
│   ├── SignInFailed                403, a sign-in with a provider that came to nothing
│   ├── SessionNotFound             404, an MCP session that has ended
│   └── RateLimitExceeded           429
└── DependencyUnavailable           503 with Retry-After; in a tool call a result with isError
    ├── StoreUnavailable
    ├── ClientDocumentUnavailable   the site of a client that a URL names
    ├── ProviderUnavailable         the OpenID provider does not answer, or not as one does
    ├── InstanceUnavailable         the ServiceNow instance does not answer, or not as its Table API does
    ├── TooBusy
    └── ModelError
        ├── ModelUnavailable        nothing listens, or it does not answer as a model server does
        ├── ModelBusy               no free slot in time
        ├── ModelMissing            the model is not there
        ├── ModelRefused            the model server did not accept the request
        ├── ContextTooLong          the prompt does not fit
        ├── ModelTimeout            no answer before the deadline
        └── BadModelOutput          an answer that cannot be used
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class GatewayError(Exception):
    """Something went wrong that a caller may be told of.

    `message` is for the caller; `detail` is for the log only.
    """

    def __init__(self, message: str = "", *, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class OAuthError(GatewayError):
    """`redirect_to` is set only after the redirect URI was found good: its presence is the permission to redirect."""

    error: ClassVar[str] = "invalid_request"
    status: ClassVar[int] = 400

    def __init__(self, message: str = "", *, detail: str = "", redirect_to: Redirect | None = None) -> None:
        super().__init__(message, detail=detail)
        self.redirect_to = redirect_to


class Redirect:
    """Where an authorization response goes: a redirect URI that was checked against the client, and its `state`."""

    def __init__(self, redirect_uri: str, state: str | None) -> None:
        self.redirect_uri = redirect_uri
        self.state = state


class InvalidRequest(OAuthError):
    error = "invalid_request"


class InvalidClient(OAuthError):
    error, status = "invalid_client", 401


class InvalidGrant(OAuthError):
    error = "invalid_grant"


class UnauthorizedClient(OAuthError):
    error = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    error = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    error = "unsupported_response_type"


class InvalidScope(OAuthError):
    error = "invalid_scope"


class InvalidTarget(OAuthError):
    error = "invalid_target"


class AccessDenied(OAuthError):
    error = "access_denied"


class AuthorizationPending(OAuthError):
    """Nobody has answered yet. Nothing went wrong: the device asks again."""

    error = "authorization_pending"


class SlowDown(AuthorizationPending):
    error = "slow_down"


class ExpiredToken(OAuthError):
    error = "expired_token"


class LoginRequired(OAuthError):
    error = "login_required"


class InvalidRedirectUri(OAuthError):
    error = "invalid_redirect_uri"


class InvalidClientMetadata(OAuthError):
    error = "invalid_client_metadata"


class InvalidSoftwareStatement(OAuthError):
    error = "invalid_software_statement"


class InvalidInitialAccessToken(OAuthError):
    error, status = "invalid_token", 401


class InvalidRegistrationAccessToken(OAuthError):
    error, status = "invalid_token", 401


class RegistrationOff(OAuthError):
    error, status = "access_denied", 403


class OAuthServerError(OAuthError):
    error, status = "server_error", 500


class BearerError(GatewayError):
    """The credential at `/mcp` does not do (RFC 6750 §3)."""

    error: ClassVar[str | None] = None
    status: ClassVar[int] = 401

    def __init__(self, message: str = "", *, detail: str = "", scopes: frozenset[str] = frozenset()) -> None:
        super().__init__(message, detail=detail)
        self.scopes = scopes


class TokenRequired(BearerError):
    pass


class InvalidToken(BearerError):
    error = "invalid_token"


class MalformedCredential(BearerError):
    error, status = "invalid_request", 400


class InsufficientScope(BearerError):
    """`scopes` are the granted and the needed ones together: some clients replace what they have by what they are told."""

    error, status = "insufficient_scope", 403


class JsonRpcError(GatewayError):
    """`code` is JSON-RPC's; `data` is what the client may read besides the message."""

    code: ClassVar[int] = -32603

    def __init__(self, message: str = "", *, detail: str = "", data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, detail=detail)
        self.data = data


class ParseError(JsonRpcError):
    code = -32700


class InvalidMessage(JsonRpcError):
    code = -32600


class MethodNotFound(JsonRpcError):
    code = -32601


class InvalidParams(JsonRpcError):
    code = -32602


class ResourceNotFound(InvalidParams):
    pass


class InternalError(JsonRpcError):
    code = -32603


class HeaderMismatch(JsonRpcError):
    """A header and the body say different things."""

    code = -32020


class MissingCapability(JsonRpcError):
    """The request needs something of the client that it did not declare."""

    code = -32021


class UnsupportedVersion(JsonRpcError):
    code = -32022


class ToolError(GatewayError):
    """The tool could not do it. The text is read by the agent: it says what to do next."""


class KnowledgeRefused(GatewayError):
    """The text is the operator's: it says what to do next."""


class RequestRefused(GatewayError):
    status: ClassVar[int] = 400
    error: ClassVar[str] = "invalid_request"


class OriginRefused(RequestRefused):
    status, error = 403, "origin_refused"


class MetricsRefused(RequestRefused):
    status, error = 403, "forbidden"


class OperatorsOnly(RequestRefused):
    status, error = 403, "forbidden"


class BodyTooLarge(RequestRefused):
    status, error = 413, "invalid_request"


class BodyTooSlow(RequestRefused):
    status, error = 408, "invalid_request"


class BodyBroken(RequestRefused):
    status, error = 400, "invalid_request"


class UnsupportedContentType(RequestRefused):
    status, error = 415, "invalid_request"


class FormExpired(RequestRefused):
    status, error = 400, "invalid_request"


class SignInFailed(RequestRefused):
    """The text is a page's: what went wrong, and what the person can do next. `again`: the path of the page where they can."""

    status, error = 403, "access_denied"

    def __init__(self, message: str, *, detail: str = "", again: str | None = None) -> None:
        super().__init__(message, detail=detail)
        self.again = again


class SessionNotFound(RequestRefused):
    """The client begins a new session when it hears of it."""

    status = 404


class RateLimitExceeded(RequestRefused):
    """`retry_after` is in seconds."""

    status, error = 429, "too_many_requests"

    def __init__(self, message: str = "", *, retry_after: int, detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.retry_after = retry_after


class DependencyUnavailable(GatewayError):
    """Something that we need does not answer. `retry_after` is in seconds."""

    status: ClassVar[int] = 503
    retry_after: ClassVar[int] = 5


class StoreUnavailable(DependencyUnavailable):
    def __init__(self, message: str = "The server cannot reach its storage. Try again in a few seconds.", *, detail: str = "") -> None:
        super().__init__(message, detail=detail)


class ClientDocumentUnavailable(DependencyUnavailable):
    retry_after = 30


class ProviderUnavailable(DependencyUnavailable):
    retry_after = 30


class InstanceUnavailable(DependencyUnavailable):
    retry_after = 60


class TooBusy(DependencyUnavailable):
    retry_after = 2


class ModelError(DependencyUnavailable):
    pass


class ModelUnavailable(ModelError):
    pass


class ModelBusy(ModelError):
    pass


class ModelMissing(ModelError):
    pass


class ModelRefused(ModelError):
    pass


class ContextTooLong(ModelError):
    pass


class ModelTimeout(ModelError):
    pass


class BadModelOutput(ModelError):
    pass
