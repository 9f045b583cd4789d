"""The authorization endpoint (OAuth 2.1 §4.1.1): a request becomes a code, or an error that may or may not be redirected."""

from __future__ import annotations

from dataclasses import dataclass

from authlib.oauth2.rfc6749 import OAuth2Error

from mcp_server import errors
from mcp_server.oauth.authorization_server import AuthorizationServer, Decision, EndpointRequest, ours
from mcp_server.oauth.grants.authorization_code import AuthorizationCodeGrant
from mcp_server.oauth.models import Client
from mcp_server.oauth.parameters import Parameters


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that was found good: who asks for what, and where the answer goes."""

    client: Client
    redirect_uri: str
    scope: str
    prompts: frozenset[str]


class AuthorizeEndpoint:
    def __init__(self, server: AuthorizationServer, mode: str) -> None:
        self._server = server
        self.automatic = mode == "auto"

    def check(self, parameters: Parameters) -> AuthorizationRequest:
        """Raises an OAuthError; where it has `redirect_to`, the client is told by redirect. Changes nothing."""
        grant = self._grant(parameters)
        prompts = frozenset((parameters.get("prompt") or "").split())
        if "none" in prompts and not self.automatic:
            raise errors.LoginRequired(
                "This server always asks the person, so prompt=none cannot be answered.",
                redirect_to=errors.Redirect(grant.redirect_uri, parameters.get("state")))
        return AuthorizationRequest(grant.client.model, grant.redirect_uri, grant.request.scope, prompts)

    def approve(self, parameters: Parameters, subject: str, decision: Decision) -> str:
        """Where the browser goes with the code. Checks everything again: the client may be gone since the page was shown.

        The same decision again leads to the same code, so that an answer that was lost on the way can be had once more.
        Raises FormExpired when that code was redeemed.
        """
        return self._answer(parameters, subject, decision)

    def refuse(self, parameters: Parameters) -> errors.AccessDenied:
        """The error to raise when the person said no."""
        grant = self._grant(parameters)
        return errors.AccessDenied("The person refused the request.", redirect_to=errors.Redirect(grant.redirect_uri, parameters.get("state")))

    def approve_automatically(self, parameters: Parameters) -> str:
        """AUTHORIZATION_MODE=auto: no person, so only for a client that will prove itself with a secret."""
        asked = self.check(parameters)
        if not asked.client.confidential:
            raise errors.UnauthorizedClient(
                "AUTHORIZATION_MODE=auto approves confidential clients only; this client has no secret.",
                redirect_to=errors.Redirect(asked.redirect_uri, parameters.get("state")))
        return self._answer(parameters, f"client:{asked.client.client_id}")

    def _grant(self, parameters: Parameters) -> AuthorizationCodeGrant:
        try:
            grant: AuthorizationCodeGrant = self._server.get_consent_grant(EndpointRequest("GET", parameters))
        except OAuth2Error as error:
            raise ours(error) from error
        return grant

    def _answer(self, parameters: Parameters, subject: str, decision: Decision | None = None) -> str:
        request = EndpointRequest("POST", parameters)
        request.decision = decision
        grant = self._server.get_authorization_grant(request)
        response = self._server.create_authorization_response(request, grant_user=subject, grant=grant)
        location: str = response.location
        return location
