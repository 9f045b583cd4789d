"""Flask-Limiter for everything but `/mcp`: fixed windows in Redis or in the state file, exact across workers.

`/mcp` counts in the same round trip in which it asks for revocations. When the shared counter is away each worker counts
for itself: local limits, not none.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, Response, request
from flask_limiter import Limiter
from flask_limiter import RateLimitExceeded as LimitBreached

from mcp_server.audit import current_request
from mcp_server.clock import Clock
from mcp_server.errors import GatewayError, RateLimitExceeded
from mcp_server.oauth.registration_endpoint import presented_token
from mcp_server.rate_limiting.limits import Limit
from mcp_server.web import bodies
from mcp_server.web.client_address import counted_as
from mcp_server.web.hooks import only_for
from mcp_server.web.services import services

CLIENTS_PROVE_THEMSELVES = frozenset({"oauth.token", "oauth.revoke", "oauth.introspect"})
SIGN_INS = Limit(10, 60)
"""Passwords that one address may try: checking one is dear, for us too."""

PROVIDER_SIGN_INS = Limit(60, 60)
"""Ways to the provider and back, two for a sign-in: each costs us a request or two, and a whole office may have one address."""


def init_app(app: Flask, storage: Mapping[str, Any], *, oauth: Blueprint, login: Blueprint, oidc: Blueprint, limit: Limit, clock: Clock) -> Limiter:
    """Limit the OAuth endpoints per address and per client, and the sign-in per address.

    `storage` is what the back end needs: storage_uri and storage_options.
    """
    limiter = RefusingLimiter(
        clock, strategy="fixed-window", headers_enabled=False, key_prefix="mcp-limits", in_memory_fallback_enabled=True, **storage)
    if limit.most:
        limiter.shared_limit(limit.in_words, scope="oauth", key_func=_address)(oauth)
        limiter.shared_limit(
            limit.in_words, scope="registration-token", key_func=_registration_token, exempt_when=lambda: not _registration_token())(oauth)
        limiter.shared_limit(
            limit.in_words, scope="oauth-client", key_func=_client, exempt_when=_nobody_proves_a_client_here, deduct_when=_proven)(oauth)
    limiter.limit(SIGN_INS.in_words, key_func=_address, methods=["POST"])(login)
    limiter.shared_limit(PROVIDER_SIGN_INS.in_words, scope="provider-sign-ins", key_func=_address)(oidc)
    only_for(app, (oauth, login, oidc), limiter.init_app)
    return limiter


class RefusingLimiter(Limiter):
    """Refuses in our own words; the blueprint gives them their form.

    Not by `on_breach`: Flask-Limiter takes what that raises for a failure of its storage, and counts anew in memory.
    """

    def __init__(self, clock: Clock, **options: Any) -> None:
        super().__init__(_address, **options)
        self._now = clock

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:  # noqa: FBT001, FBT002 Flask-Limiter's signature
        try:
            super()._check_request_limit(callable_name, in_middleware)
        except LimitBreached as error:
            breached = self.current_limit
            window = error.limit.limit.get_expiry()  # at most: the counter's clock may be another machine's
            seconds_left = max(1, min(window, int(breached.reset_at - self._now()))) if breached else window
            raise RateLimitExceeded(
                f"Rate limit exceeded: {error.limit.limit}. Try again in {seconds_left} seconds.", retry_after=seconds_left) from error


def _address() -> str:
    """Never empty: Flask-Limiter would skip the limit without a word."""
    facts = current_request.get()
    return counted_as(facts.source_ip if facts else "")


def _nobody_proves_a_client_here() -> bool:
    return request.endpoint not in CLIENTS_PROVE_THEMSELVES


def _proven(response: Response) -> bool:
    """Only what a client was given counts against it: who merely knows its id must not use its limit up."""
    return response.status_code < 400  # noqa: PLR2004 an error


def _client() -> str:
    """The client that the request names; its address where it names none. Digested, since anyone may write anything there."""
    named = _named_client() or _address()
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _registration_token() -> str:
    """The initial access token of a registration, digested: whoever has a good one, and many addresses, is held to one count too."""
    if request.endpoint != "oauth.register" or request.method != "POST":
        return ""
    authorization = request.headers.get("Authorization")
    try:
        token = presented_token(authorization, None if authorization is not None else bodies.json_object(request))
    except GatewayError:  # the view refuses it in its own words
        return ""
    return services().digests.digest("initial", token)[:32] if token else ""


def _named_client() -> str | None:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        if scheme.lower() == "basic":
            return base64.b64decode(encoded, validate=True).decode().partition(":")[0]
        if request.method == "POST" and request.mimetype == "application/x-www-form-urlencoded":
            return bodies.form(request).get("client_id")
    except (GatewayError, binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return None
