"""Authlib's framework-neutral authorization server, given our requests, our client authentication and our errors.

Authlib keeps the registry of grants and endpoints and the order of a flow. What it raises becomes one of our errors
here, and what we raise passes through it untouched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer as AuthlibAuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Error, OAuth2Payload, OAuth2Request

from mcp_server import errors
from mcp_server.oauth import redirect_uris
from mcp_server.oauth.client_authentication import ClientAuthentication
from mcp_server.oauth.clients import Clients
from mcp_server.oauth.models import Client
from mcp_server.oauth.parameters import Parameters

_ERRORS: dict[str, type[errors.OAuthError]] = {
    error.error: error
    for error in (
        errors.InvalidRequest, errors.InvalidClient, errors.InvalidGrant, errors.UnauthorizedClient, errors.UnsupportedGrantType,
        errors.UnsupportedResponseType, errors.InvalidScope, errors.AccessDenied,
    )
}


@dataclass(frozen=True, slots=True)
class EndpointResponse:
    """What an endpoint answers. `location` is set where the browser is sent on."""

    status: int
    body: Mapping[str, Any]
    location: str | None = None


class KnownClient(ClientMixin):
    """A client as Authlib asks about it."""

    def __init__(self, client: Client) -> None:
        self.model = client

    def get_client_id(self) -> str:
        return self.model.client_id

    def get_default_redirect_uri(self) -> str | None:
        """Without a guess: only when there is just one (RFC 6749 §3.1.2.3)."""
        return self.model.redirect_uris[0] if len(self.model.redirect_uris) == 1 else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uris.matches(redirect_uri, self.model.redirect_uris)

    def check_response_type(self, response_type: str) -> bool:
        return response_type in self.model.response_types

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.model.grant_types


class _Payload(OAuth2Payload):
    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    @property
    def data(self) -> Mapping[str, str]:
        return self._parameters.values

    @property
    def datalist(self) -> dict[str, list[str]]:
        return {name: [value] for name, value in self._parameters.values.items()}


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's approval. Whoever repeats it, within its time, gets the same answer: `number` names it, and was made at `made_at`."""

    number: str
    made_at: float


class EndpointRequest(OAuth2Request):
    """A request whose parameters have passed the strict layer."""

    def __init__(self, method: str, parameters: Parameters, authorization: str | None = None) -> None:
        super().__init__(method, "https://localhost/")  # Authlib wants to see https; what we are called by is checked in the settings
        self.parameters = parameters
        self.authorization = authorization
        self.decision: Decision | None = None
        self.payload = _Payload(parameters)

    @property
    def form(self) -> Mapping[str, str]:
        return self.parameters.values


class AuthorizationServer(AuthlibAuthorizationServer):
    """`authorize`, `token` and `revoke` live in their endpoint files; this is what they share."""

    def __init__(self, clients: Clients, authentication: ClientAuthentication) -> None:
        super().__init__()
        self._clients = clients
        self._authentication = authentication

    @property
    def grant_types(self) -> tuple[str, ...]:
        """What the token endpoint serves, and so what the metadata advertises."""
        return tuple(grant.GRANT_TYPE for grant, _ in self._token_grants)

    def query_client(self, client_id: str) -> KnownClient | None:
        client = self._clients.find(client_id)
        return KnownClient(client) if client else None

    def authenticate_client(self, request: EndpointRequest, methods: Iterable[str], endpoint: str = "token") -> KnownClient:
        client, method = self._authentication.authenticate(request.parameters, request.authorization)
        if method not in methods:
            raise errors.UnauthorizedClient("This is for clients that have a secret.", detail=f"{endpoint} by {method}")
        request.auth_method = method
        return KnownClient(client)

    def save_token(self, token: Mapping[str, Any], request: EndpointRequest) -> None:
        """Nothing: a grant stores what it issues in the step that uses up what it was given."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nothing listens; the audit is told directly."""

    def create_oauth2_request(self, request: EndpointRequest) -> EndpointRequest:
        return request

    def create_json_request(self, request: EndpointRequest) -> EndpointRequest:
        return request

    def handle_response(self, status: int, body: Mapping[str, Any], headers: Iterable[tuple[str, str]]) -> EndpointResponse:
        return EndpointResponse(status, body or {}, dict(headers).get("Location"))

    def handle_error_response(self, request: EndpointRequest, error: OAuth2Error) -> EndpointResponse:  # noqa: ARG002 Authlib's signature
        raise ours(error) from error


def ours(error: OAuth2Error) -> errors.OAuthError:
    """The same failure as an error of ours."""
    kind = _ERRORS.get(error.error, errors.InvalidRequest)
    return kind(error.description or "The request is not valid.", detail=f"authlib: {error.error}")
