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

from flask import Blueprint, Flask, Response, request, session
from flask_limiter import Limiter
from flask_limiter import RateLimitExceeded as LimitBreached

from mcp_server.audit import current_request
from mcp_server.clock import Clock
from mcp_server.errors import GatewayError, RateLimitExceeded
from mcp_server.oauth.device_authorization_endpoint import LIFETIME
from mcp_server.oauth.models import DEVICE_CODE
from mcp_server.oauth.registration_endpoint import presented_token
from mcp_server.rate_limiting.limits import Limit
from mcp_server.web import bodies
from mcp_server.web.client_address import counted_as
from mcp_server.web.hooks import only_for
from mcp_server.web.services import services

CLIENTS_PROVE_THEMSELVES = frozenset({"oauth.token", "oauth.device_authorization", "oauth.revoke", "oauth.introspect"})
SIGN_INS = Limit(10, 60)
"""Passwords that one address may try: checking one is dear, for us too."""
USER_CODES = Limit(20, LIFETIME)
"""Codes of devices that one person may look up while a code lasts: of 2^34 possible ones (RFC 8628 §5.1)."""
USER_CODES_FROM_AN_ADDRESS = Limit(60, LIFETIME)
"""The same for one address, whoever is signed in there."""

PROVIDER_SIGN_INS = Limit(60, 60)
"""Ways to the provider and back, two for a sign-in: each costs us a request or two, and a whole office may have one address."""

def init_app(
    app: Flask, storage: Mapping[str, Any], *, oauth: Blueprint, login: Blueprint, oidc: Blueprint, device: Blueprint, limit: Limit, clock: Clock,
) -> Limiter:
    """Limit the OAuth endpoints per address and per client, the sign-ins per address, and the codes of devices per person and per address.

    `storage` is what the back end needs: storage_uri and storage_options.
    """
    limiter = RefusingLimiter(
        clock, strategy="fixed-window", headers_enabled=False, key_prefix="mcp-limits", in_memory_fallback_enabled=True, **storage)
    if limit.most:
        limiter.shared_limit(limit.in_words, scope="oauth", key_func=_address, exempt_when=_is_poll)(oauth)
        limiter.shared_limit(limit.in_words, scope="oauth", key_func=_address, exempt_when=_is_no_poll, deduct_when=_is_more_than_waiting)(oauth)
        limiter.shared_limit(
            limit.in_words, scope="registration-token", key_func=_registration_token, exempt_when=lambda: not _registration_token())(oauth)
        limiter.shared_limit(
            limit.in_words, scope="oauth-client", key_func=_client, exempt_when=_nobody_proves_a_client_here, deduct_when=_proven)(oauth)
    limiter.limit(SIGN_INS.in_words, key_func=_address, methods=["POST"])(login)
    limiter.shared_limit(PROVIDER_SIGN_INS.in_words, scope="provider-sign-ins", key_func=_address)(oidc)
    limiter.shared_limit(USER_CODES.in_words, scope="user-code", key_func=_person, exempt_when=_looks_up_no_code)(device)
    limiter.shared_limit(
        USER_CODES_FROM_AN_ADDRESS.in_words, scope="user-code-address", key_func=_address, exempt_when=_looks_up_no_code)(device)
    only_for(app, (oauth, login, oidc, device), limiter.init_app)
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
            if request.blueprint == "device":
                services().audit.record("security", "user_codes_limited", "denied", user_id=session.get("user_id"))
            seconds_left = max(1, min(window, int(breached.reset_at - self._now()))) if breached else window
            raise RateLimitExceeded(
                f"Rate limit exceeded: {error.limit.limit}. Try again in {seconds_left} seconds.", retry_after=seconds_left) from error


def _address() -> str:
    """Never empty: Flask-Limiter would skip the limit without a word."""
    facts = current_request.get()
    return counted_as(facts.source_ip if facts else "")


def _is_poll() -> bool:
    """A device that waits for a person asks every five seconds: more often than any limit allows."""
    return request.endpoint == "oauth.token" and _sent("grant_type") == DEVICE_CODE


def _is_no_poll() -> bool:
    return not _is_poll()


def _is_more_than_waiting(response: Response) -> bool:
    """A poll in its time is free; one that came too early, or asks in vain, is counted as any other request."""
    return _error(response) != "authorization_pending"


def _nobody_proves_a_client_here() -> bool:
    """Nor does who asks for a device code with nothing but the id of a public client, which everybody may know."""
    if request.endpoint == "oauth.device_authorization":
        return "Authorization" not in request.headers and not _sent("client_secret") and not _sent("client_assertion")
    return request.endpoint not in CLIENTS_PROVE_THEMSELVES


def _proven(response: Response) -> bool:
    """Only what a client was given counts against it: who merely knows its id must not use its limit up. It needs a device code to be too fast."""
    return response.status_code < 400 or _error(response) == "slow_down"  # noqa: PLR2004 an error


def _error(response: Response) -> str | None:
    body = response.get_json(silent=True)
    return body.get("error") if isinstance(body, dict) else None


def _looks_up_no_code() -> bool:
    return request.endpoint != "device.approval" or request.method == "POST" or not _person()


def _person() -> str:
    """Of the session, signed in still or not: a code is looked up for nobody else."""
    return str(session.get("user_id") or "")


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
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return _sent("client_id")


def _sent(name: str) -> str | None:
    """A parameter of the form, if there is one that can be read; the view says what is wrong with it."""
    if request.method != "POST" or request.mimetype != "application/x-www-form-urlencoded":
        return None
    try:
        return bodies.form(request).get(name)
    except GatewayError:
        return None
