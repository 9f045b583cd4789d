"""The authorization code grant (OAuth 2.1 §4.1), both halves: asking for a code and exchanging it."""

from __future__ import annotations

from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7636 import CodeChallenge

from mcp_server import errors
from mcp_server.errors import FormExpired, InvalidGrant, InvalidRequest, Redirect
from mcp_server.oauth import pkce, resources, scopes
from mcp_server.oauth.authorization_server import EndpointRequest, KnownClient
from mcp_server.oauth.client_authentication import METHODS
from mcp_server.oauth.credentials import new_id, new_secret
from mcp_server.oauth.grants.issuing import GrantParts
from mcp_server.oauth.models import AuthorizationCode, Client
from mcp_server.oauth.redirect_uris import location

PLAIN_REFUSED = (
    "PKCE with code_challenge_method=S256 is required; plain is refused. In ServiceNow: System OAuth, Application Registry, "
    "the record of this server: tick Public Client and set Code challenge method to S256."
)
ANSWERED_ALREADY = "This page was answered already. Go back to the application and start again."
ELSEWHERE = (
    "The redirect_uri is not in the document of this client, or it leads to another host than the document's own. The operator of this server can "
    "allow that host: CIMD_ALLOWED_DOMAINS."
)
CODE_REFUSED = "The authorization code is not valid. Start the authorization again."


class StoredCode:
    """An authorization code as Authlib asks about it."""

    def __init__(self, digest: str, code: AuthorizationCode) -> None:
        self.digest = digest
        self.model = code

    def get_redirect_uri(self) -> str | None:
        return self.model.redirect_uri if self.model.redirect_uri_given else None

    def get_scope(self) -> str:
        return self.model.scope


class S256Challenge(CodeChallenge):
    """PKCE for every client but one that an operator exempted (RFC 7636; OAuth 2.1 §4.1.1)."""

    def validate_code_challenge(self, grant: AuthorizationCodeGrant, redirect_uri: str) -> None:  # noqa: ARG002 Authlib's signature
        parameters, client = grant.request.parameters, grant.client.model
        challenge, method = parameters.get("code_challenge"), parameters.get("code_challenge_method")
        if challenge is None and method is None and not client.pkce_required and client.confidential:
            return
        if challenge is None or method != "S256":
            raise InvalidRequest(PLAIN_REFUSED, detail=f"method {(method or 'absent')[:20]}")
        if not pkce.CHALLENGE.fullmatch(challenge):
            raise InvalidRequest("The code_challenge is not a base64url SHA-256 digest of 43 characters.")

    def validate_code_verifier(self, grant: AuthorizationCodeGrant, result: object) -> None:  # noqa: ARG002 Authlib's signature
        challenge = grant.request.authorization_code.model.code_challenge
        verifier = grant.request.parameters.get("code_verifier")
        if challenge is None:
            if verifier is not None:
                raise InvalidGrant("The authorization request had no code_challenge, so there is no code_verifier to check.")
        elif verifier is None:
            raise InvalidGrant("The parameter code_verifier is missing.")
        elif not pkce.verifies(verifier, challenge):
            raise InvalidGrant("The code_verifier does not belong to the code_challenge.")


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = list(METHODS)
    parts: GrantParts
    request: EndpointRequest

    @classmethod
    def check_authorization_endpoint(cls, request: EndpointRequest) -> bool:  # noqa: ARG003 Authlib's signature
        """Always ours: `response_type` is judged after the redirect URI, so that the error can be redirected."""
        return True

    # The authorization request, in the order of RFC 6749 §4.1.2.1: nothing is redirected before client and URI are good.

    def validate_authorization_request(self) -> str:
        client = self._require_client()
        redirect_uri = self._require_redirect_uri(client)
        self.request.client = client
        try:
            self._require_well_formed(client.model)
            self.execute_hook("after_validate_authorization_request_payload", redirect_uri)
        except errors.OAuthError as error:
            error.redirect_to = Redirect(redirect_uri, self.request.parameters.get("state"))
            raise
        return redirect_uri

    def _require_client(self) -> KnownClient:
        try:
            client: KnownClient | None = self.server.query_client(self.request.parameters.required("client_id"))
        except errors.InvalidClient as error:  # a URL that names no client; here nobody failed to prove anything
            raise InvalidRequest(error.message, detail=error.detail) from error
        if client is None:
            raise InvalidRequest("The client is not known here. Register it again, or ask the operator whether it was removed.")
        return client

    def _require_redirect_uri(self, client: KnownClient) -> str:
        requested = self.request.parameters.get("redirect_uri") or client.get_default_redirect_uri()
        if requested is None:
            raise InvalidRequest("The parameter redirect_uri is missing.")
        if not client.check_redirect_uri(requested):
            raise InvalidRequest(ELSEWHERE if client.model.from_document else "The redirect_uri is not one that this client registered.",
                                 detail=requested[:200])
        return requested

    def _require_well_formed(self, client: Client) -> None:
        parameters = self.request.parameters
        if parameters.required("response_type") != "code":
            raise errors.UnsupportedResponseType("Only response_type=code is supported.")
        if not self.request.client.check_response_type("code") or not self.request.client.check_grant_type(self.GRANT_TYPE):
            raise errors.UnauthorizedClient("This client is not registered for the authorization code grant.")
        if parameters.get("response_mode") not in (None, "query"):
            raise InvalidRequest("Only response_mode=query is supported.")
        if parameters.get("request") or parameters.get("request_uri"):
            raise InvalidRequest("Request objects are not supported: send the parameters themselves.")
        self.request.scope = scopes.requested(parameters.get("scope"), otherwise=client.scope)
        resources.require_ours(parameters.resources, self.parts.issuer)

    def create_authorization_response(self, redirect_uri: str, grant_user: str | None) -> tuple[int, str, list[tuple[str, str]]]:
        """`grant_user` is the subject who approved; None: refused."""
        redirect = Redirect(redirect_uri, self.request.parameters.get("state"))
        if grant_user is None:
            raise errors.AccessDenied("The request was refused.", redirect_to=redirect)
        code = self._issue_code(redirect_uri, grant_user)
        return 302, "", [("Location", location(redirect, self.parts.issuer, code=code))]

    def _issue_code(self, redirect_uri: str, subject: str) -> str:
        """A new code; or the one that this decision gave already. Stored again it stays as it is, and so does its grant."""
        parts, client, decision = self.parts, self.client.model, self.request.decision
        now = decision.made_at if decision else parts.clock()
        code = parts.digests.derived("decision", decision.number) if decision else new_secret()
        grant_id = parts.digests.digest("decision", f"grant {decision.number}")[:32] if decision else new_id()
        code_digest = parts.digests.digest("code", code)
        known = parts.codes.find(code_digest, parts.clock()) if decision else None
        if known is not None:
            if known.claimed:
                raise FormExpired(ANSWERED_ALREADY, detail="the code was redeemed")
            return code
        grant = parts.new_grant(
            grant_id, client, subject=subject, scope=self.request.scope, now=now, redeemable_for=parts.code_lifetime, redirect_uri=redirect_uri)
        parts.grants.add(grant)
        parts.codes.add(code_digest, AuthorizationCode(
            client_id=client.client_id, redirect_uri=redirect_uri, redirect_uri_given=self.request.parameters.get("redirect_uri") is not None,
            scope=grant.scope, subject=subject, resource=grant.resource, grant_id=grant.grant_id, expires_at=now + parts.code_lifetime,
            code_challenge=self.request.parameters.get("code_challenge")))
        parts.audit.record("oauth", "authorization_code_issued", "success", client_id=client.client_id, user_id=subject,
                           grant_id=grant.grant_id, scope=grant.scope)
        return code

    # The exchange. Authlib authenticates the client, asks for the code, compares the redirect URI and runs PKCE; then:

    def query_authorization_code(self, code: str, client: KnownClient) -> StoredCode | None:
        """Find it, whoever asks; only its own client learns that it exists."""
        for digest in self.parts.digests.candidates("code", code):
            found = self.parts.codes.find(digest, self.parts.clock())
            if found is not None and found.client_id == client.get_client_id():
                return StoredCode(digest, found)
        raise InvalidGrant(CODE_REFUSED, detail="unknown, expired or of another client")

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Use the code up, now that everything was checked."""
        stored: StoredCode = self.request.authorization_code
        parts = self.parts
        resources.require_ours(self.request.parameters.resources, parts.issuer)
        return 200, parts.redeem(
            stored.model, self.request.client.model, self.GRANT_TYPE, claim=lambda: parts.codes.claim(stored.digest, parts.clock()),
            refused=CODE_REFUSED), []
