"""What an OpenID provider says of itself (OpenID Connect Discovery 1.0), kept for a while and believed only under its own name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mcp_server.clock import Clock
from mcp_server.errors import ProviderUnavailable

KEPT_SECONDS = 600
OK = 200
_VISIBLE = re.compile(r"[!-~]{1,2000}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered. `document` is None when it is not a JSON object."""

    status: int
    document: dict[str, Any] | None


class Http(Protocol):
    def send(self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None) -> Answer:
        """Whatever the status, within seconds. Raises ProviderUnavailable."""


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    issuer: str
    jwks_uri: str
    authorization_endpoint: str | None
    token_endpoint: str | None
    userinfo_endpoint: str | None
    secret_in_body: bool
    names_itself: bool
    """Whether its answers have `iss` (RFC 9207)."""


class Provider:
    """One provider. Its document is fetched when it is needed, and a failure is not kept."""

    def __init__(self, issuer: str, http: Http, clock: Clock) -> None:
        self.issuer = issuer
        self._http = http
        self._clock = clock
        self._kept: tuple[ProviderMetadata, float] | None = None

    def metadata(self) -> ProviderMetadata:
        """Raises ProviderUnavailable."""
        kept, now = self._kept, self._clock()
        if kept is not None and now < kept[1]:
            return kept[0]
        answer = self._http.send("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration", headers={"Accept": "application/json"})
        if answer.status != OK or answer.document is None:
            raise unusable(f"discovery: status {answer.status}{'' if answer.document else ', no JSON object'}")
        metadata = self._read(answer.document)
        self._kept = (metadata, now + KEPT_SECONDS)
        return metadata

    def _read(self, document: Mapping[str, Any]) -> ProviderMetadata:
        if document.get("issuer") != self.issuer:
            raise unusable(f"discovery: it calls itself {str(document.get('issuer'))[:200]!r}, and not {self.issuer!r}")
        jwks_uri = self._url(document, "jwks_uri")
        if jwks_uri is None:
            raise unusable("discovery: no jwks_uri")
        methods = document.get("token_endpoint_auth_methods_supported")
        return ProviderMetadata(
            issuer=self.issuer, jwks_uri=jwks_uri, authorization_endpoint=self._url(document, "authorization_endpoint"),
            token_endpoint=self._url(document, "token_endpoint"), userinfo_endpoint=self._url(document, "userinfo_endpoint"),
            secret_in_body=isinstance(methods, list) and "client_secret_basic" not in methods and "client_secret_post" in methods,
            names_itself=document.get("authorization_response_iss_parameter_supported") is True)

    def _url(self, document: Mapping[str, Any], name: str) -> str | None:
        """https, or what a provider on loopback says of itself."""
        url = document.get(name)
        if url is None:
            return None
        allowed = ("https://",) if self.issuer.startswith("https://") else ("https://", _origin(self.issuer))
        if not isinstance(url, str) or not _VISIBLE.fullmatch(url) or not url.startswith(allowed) or "#" in url or "@" in url.split("?")[0]:
            raise unusable(f"discovery: {name} is not an https URL")
        return url


def unusable(reason: str) -> ProviderUnavailable:
    return ProviderUnavailable(
        "The sign-in provider cannot be used at this moment. Try again in a minute; if it stays so, tell the operator.", detail=reason)


def _origin(url: str) -> str:
    return "/".join(url.split("/")[:3]) + "/"
