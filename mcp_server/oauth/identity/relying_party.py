"""Signing in with an OpenID provider (OpenID Connect Core §3.1): the way there, and what is made of the answer.

Authlib's client writes the two requests. What the provider answers is checked here, step by step.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.client import OAuth2Client

from mcp_server.clock import Clock
from mcp_server.errors import SignInFailed
from mcp_server.oauth.credentials import new_secret
from mcp_server.oauth.identity.accounts import NAMES, Accounts
from mcp_server.oauth.identity.id_tokens import IdTokens
from mcp_server.oauth.identity.provider import Answer, Http, Provider, ProviderMetadata, unusable
from mcp_server.oauth.models import User
from mcp_server.oauth.parameters import Parameters
from mcp_server.oauth.ports import JwksSource
from mcp_server.oauth.signed_jwt import JwtRefused

OK, SERVER_ERROR = 200, 500
AGAIN = "Start the sign-in again; if it happens again, tell the operator of this server the request id below."
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")
_VISIBLE = re.compile(r"[!-~]{1,16384}")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in on its way, as the browser that began it keeps it. `since`: the person must sign in at the provider anew, after that moment."""

    state: str
    nonce: str
    verifier: str
    since: float | None


@dataclass(frozen=True, slots=True)
class ProviderClient:
    """Who we are at the provider, and where it sends people back to."""

    client_id: str
    client_secret: str
    scope: str
    redirect_uri: str


class RelyingParty:
    def __init__(
        self, name: str, client: ProviderClient, provider: Provider, *, http: Http, published: JwksSource, accounts: Accounts, clock: Clock,
    ) -> None:
        self.name = name
        self.issuer = provider.issuer
        self._client = client
        self._provider = provider
        self._http = http
        self._accounts = accounts
        self._id_tokens = IdTokens(client.client_id, published, clock)
        self._clock = clock

    def begin(self, *, anew: bool) -> tuple[Attempt, str]:
        """What to keep, and where to send the browser. Raises ProviderUnavailable."""
        metadata = self._provider.metadata()
        attempt = Attempt(new_secret(), new_secret(), new_secret(), self._clock() if anew else None)
        url, _ = self._authlib_client(metadata).create_authorization_url(
            _required(metadata.authorization_endpoint, "authorization_endpoint"), state=attempt.state, code_verifier=attempt.verifier,
            nonce=attempt.nonce, **({"prompt": "login", "max_age": "0"} if anew else {}))
        return attempt, url

    def finish(self, attempt: Attempt, response: Parameters) -> User:
        """The person, enabled here. Raises SignInFailed or ProviderUnavailable."""
        metadata = self._provider.metadata()
        tokens = self._redeem(self._code(response, metadata), attempt, metadata)
        claims = self._claims(tokens, attempt, metadata)
        self._accounts.allowed.require(claims)
        user = self._accounts.of(self.issuer, claims["sub"], claims)
        if user.disabled:
            raise SignInFailed("Your account on this server is switched off. Ask the operator of this server.", detail=f"disabled: {user.user_id}")
        return user

    def _code(self, response: Parameters, metadata: ProviderMetadata) -> str:
        """`iss` before all else: an answer of another provider must not be acted upon (RFC 9207 §2.4)."""
        issuer = response.get("iss")
        if (issuer is not None or metadata.names_itself) and issuer != self.issuer:
            raise SignInFailed(f"The answer does not come from {self.name}. {AGAIN}", detail="iss of the response")
        if (error := response.get("error")) is not None:
            reason = error if _ERROR_CODE.fullmatch(error) else "an error"
            told = "refused the sign-in" if reason == "access_denied" else f"could not sign you in ({reason})"
            raise SignInFailed(f"{self.name} {told}. Try again, or ask those who run it.", detail=f"provider: {reason}")
        code = response.get("code")
        if code is None:
            raise SignInFailed(f"The answer of {self.name} has no code. {AGAIN}", detail="no code")
        return code

    def _redeem(self, code: str, attempt: Attempt, metadata: ProviderMetadata) -> Mapping[str, Any]:
        endpoint = _required(metadata.token_endpoint, "token_endpoint")
        try:
            tokens: Mapping[str, Any] = self._authlib_client(metadata).fetch_token(
                endpoint, grant_type="authorization_code", code=code, code_verifier=attempt.verifier)
        except AuthlibBaseError as error:
            reason = error.error if isinstance(error.error, str) and _ERROR_CODE.fullmatch(error.error) else "an error"
            if reason in ("invalid_client", "unauthorized_client"):
                raise unusable(f"token endpoint: {reason}; check OIDC_CLIENT_ID and OIDC_CLIENT_SECRET") from error
            raise SignInFailed(f"{self.name} did not accept its own answer. {AGAIN}", detail=f"token endpoint: {reason}") from error
        except ValueError as error:
            raise unusable("token endpoint: no JSON object") from error
        return tokens

    def _claims(self, tokens: Mapping[str, Any], attempt: Attempt, metadata: ProviderMetadata) -> Mapping[str, Any]:
        access_token = tokens.get("access_token")
        try:
            claims = self._id_tokens.verify(tokens.get("id_token"), metadata, nonce=attempt.nonce, signed_in_since=attempt.since)
        except JwtRefused as error:
            raise SignInFailed(f"The answer of {self.name} could not be verified. {AGAIN}", detail=f"ID token: {error}") from error
        if metadata.userinfo_endpoint is None or self._told_enough(claims) or not isinstance(access_token, str):
            return claims
        return {**self._user_info(metadata.userinfo_endpoint, access_token, claims["sub"]), **claims}

    def _told_enough(self, claims: Mapping[str, Any]) -> bool:
        allowed = self._accounts.allowed
        needed = {*(("email", "email_verified") if allowed.asks_for_email else ()), *((allowed.groups_claim,) if allowed.groups else ())}
        return needed <= claims.keys() and not claims.keys().isdisjoint(NAMES)

    def _user_info(self, endpoint: str, access_token: str, subject: str) -> Mapping[str, Any]:
        """Where many providers tell what the ID token leaves out (OpenID Connect Core §5.3). It must be about the same person."""
        if not _VISIBLE.fullmatch(access_token):
            raise unusable("token endpoint: an access token that cannot be sent")
        answer = self._http.send("GET", endpoint, headers={"Authorization": f"Bearer {access_token}", "Accept": "application/json"})
        if answer.status != OK or answer.document is None:
            raise unusable(f"userinfo: status {answer.status}{'' if answer.document else ', no JSON object'}")
        if answer.document.get("sub") != subject:
            raise SignInFailed(f"The answer of {self.name} could not be verified. {AGAIN}", detail="userinfo: another sub")
        return answer.document

    def _authlib_client(self, metadata: ProviderMetadata) -> OAuth2Client:
        mine = self._client
        client = OAuth2Client(
            _Session(self._http), mine.client_id, mine.client_secret, scope=mine.scope, redirect_uri=mine.redirect_uri, code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_post" if metadata.secret_in_body else "client_secret_basic")
        client.register_client_auth_method(("client_secret_basic", _basic))
        return client


class _Session:
    """As much of a `requests` session as Authlib's client uses."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def post(self, url: str, *, data: Mapping[str, str], headers: Mapping[str, str], auth: Any) -> _Response:
        form = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in data.items())
        url, sent, form = auth.prepare("POST", url, dict(headers), form)
        return _Response(self._http.send("POST", url, headers=sent, body=form))


class _Response:
    def __init__(self, answer: Answer) -> None:
        self.status_code = answer.status
        self._document = answer.document

    def json(self) -> Mapping[str, Any] | None:
        return self._document

    def raise_for_status(self) -> None:
        if self.status_code >= SERVER_ERROR or self._document is None:
            raise unusable(f"token endpoint: status {self.status_code}")


def _basic(client: Any, _method: str, url: str, headers: dict[str, str], body: str) -> tuple[str, dict[str, str], str]:
    """Form-encoded first (RFC 6749 §2.3.1), which Authlib leaves out."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    return url, {**headers, "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, body


def _required(endpoint: str | None, name: str) -> str:
    if endpoint is None:
        raise unusable(f"discovery: no {name}")
    return endpoint
