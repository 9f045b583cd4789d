"""A person in a browser: signed in or not, which form is theirs, and which request a form answers.

The cookie is signed and short-lived. What an authorization page is about travels in it as a signed transaction, bound to
the session: no form field of it is believed.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from flask import Flask, Request, current_app, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from itsdangerous import BadData, URLSafeTimedSerializer

from config.settings import Settings
from mcp_server.errors import FormExpired, InvalidRequest
from mcp_server.oauth import parameters
from mcp_server.oauth.credentials import derive_key, new_id
from mcp_server.oauth.models import User
from mcp_server.oauth.parameters import Parameters
from mcp_server.oauth.redirect_uris import LOOPBACK
from mcp_server.web.services import services

LIFETIME = 1800
"""Seconds a sign-in lasts."""
TRANSACTION_LIFETIME = 600
"""Seconds an authorization page can be answered."""
JUST_SIGNED_IN = 60
"""Seconds in which a sign-in counts as fresh."""
_TRANSACTIONS = "authorization transaction v1"
STALE = "This page is out of date. Go back to the application and start again."


@dataclass(frozen=True, slots=True)
class Transaction:
    """`query` is the authorization request as it came; `number` is used once."""

    query: str
    number: str
    expires_at: float


class FormSessions(SecureCookieSessionInterface):
    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """None under /mcp: only to prepare the signer would cost as much as a small tool."""
        return None if request.environ["PATH_INFO"].startswith("/mcp") else super().open_session(app, request)


def init_app(app: Flask, settings: Settings) -> None:
    app.session_interface = FormSessions()
    secure = settings.issuer.startswith("https://")
    keys = [derive_key(secret, "cookies v1").hex() for secret in (settings.jwt_secret, *settings.jwt_secret_previous)]
    app.config.update(
        SECRET_KEY=keys[0], SECRET_KEY_FALLBACKS=keys[1:], SESSION_COOKIE_NAME="__Host-session" if secure else "session",
        SESSION_COOKIE_SECURE=secure, SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_PATH="/")


def sign_in(user: User, *, fresh: bool = True) -> None:
    """A new session: nothing of the one before is kept (session fixation), but the code that was typed at /device, which decides nothing.

    Not `fresh`: a provider knew the person from before.
    """
    kept = {"user_code": typed} if (typed := typed_user_code()) else {}
    session.clear()
    now = services().clock()
    session.update(
        user_id=user.user_id, session_id=new_id(), signed_in_at=now, proved_at=now if fresh else 0, csrf=secrets.token_urlsafe(24),
        password=_password_mark(user), **kept)


def sign_out() -> None:
    """End the session everywhere, also for a copy of the cookie."""
    if session_id := session.get("session_id"):
        services().revocations.revoke((f"session:{session_id}",), services().clock() + LIFETIME)
    session.clear()


def signed_in() -> User | None:
    """The person of this session, if they are still there, enabled, of the same password, and signed in not too long ago."""
    built = services()
    session_id, user_id = session.get("session_id"), session.get("user_id")
    if not isinstance(session_id, str) or not isinstance(user_id, str):
        return None
    if built.clock() - session.get("signed_in_at", 0) > LIFETIME:
        return None
    user = built.users.find_by_id(user_id)
    if user is None or user.disabled or session.get("password") not in _password_marks(user):
        return None
    if built.revocations.any_revoked((f"session:{session_id}", f"user:{user_id}")):
        return None
    return user


def _password_mark(user: User) -> str:
    """A new password ends every session of the old one."""
    return services().digests.digest("session", user.password_hash)[:16]


def _password_marks(user: User) -> list[str]:
    return [digest[:16] for digest in services().digests.candidates("session", user.password_hash)]


def remember_user_code(typed: str) -> None:
    """Across the sign-in, and out of every address and every log."""
    session["user_code"] = typed


def typed_user_code() -> str | None:
    typed = session.get("user_code")
    return typed if isinstance(typed, str) else None


def forget_user_code() -> None:
    session.pop("user_code", None)


def must_sign_in_again(prompts: frozenset[str]) -> bool:
    """`prompt=login`, and the last sign-in was not for this request: the page comes back here right after it."""
    fresh = services().clock() - session.get("proved_at", 0) <= JUST_SIGNED_IN
    return "login" in prompts and not fresh


def local(after: str | None) -> str:
    """A path of ours, or the page of what one has approved: never another site (open redirect)."""
    return after if after and re.fullmatch(r"/(?![/\\])[!-~]*", after) and "\\" not in after else "/grants"


def asks_for_a_fresh_sign_in(after: str) -> bool:
    """Whether the page that comes after the sign-in is a request with `prompt=login`."""
    try:
        prompt = parameters.parse(urlsplit(after).query.encode()).get("prompt")
    except InvalidRequest:
        return False  # the request is refused when it is come back to
    return "login" in (prompt or "").split()


def csrf_token() -> str:
    token: str = session.setdefault("csrf", secrets.token_urlsafe(24))
    return token


def require_csrf(presented: str | None) -> None:
    """Raises FormExpired when the form is not one that we gave to this browser."""
    expected = session.get("csrf")
    if not isinstance(expected, str) or not hmac.compare_digest((presented or "").encode(), expected.encode()):
        raise FormExpired(STALE, detail="csrf")


def require_same_site() -> None:
    """A browser says where a form was sent from. Raises FormExpired for another site."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise FormExpired(STALE, detail="Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if origin not in (None, "null", services().settings.issuer, f"{request.scheme}://{request.host}"):
        raise FormExpired(STALE, detail="Origin")


def sign_transaction(query: str) -> str:
    signed: str | bytes = signer(_TRANSACTIONS).dumps([query, new_id(), session["session_id"]])
    return signed if isinstance(signed, str) else signed.decode()


def read_transaction(signed: str) -> Transaction:
    """Raises FormExpired for one that is old, changed, or of another session."""
    try:
        (query, number, session_id), signed_at = signer(_TRANSACTIONS).loads(signed, max_age=TRANSACTION_LIFETIME, return_timestamp=True)
    except (BadData, ValueError):
        raise FormExpired(STALE, detail="transaction") from None
    if session_id != session.get("session_id"):
        raise FormExpired(STALE, detail="transaction of another session")
    return Transaction(query, number, signed_at.timestamp() + TRANSACTION_LIFETIME)


def signer(purpose: str) -> URLSafeTimedSerializer:
    """For what a browser keeps for us: what was signed for one purpose is nothing for another."""
    keys = [*current_app.config["SECRET_KEY_FALLBACKS"], current_app.config["SECRET_KEY"]]  # itsdangerous signs with the last
    return URLSafeTimedSerializer(keys, salt=purpose)


def page_headers(form_action: str = "") -> dict[str, str]:
    """For a page with a form. `form_action`: where its answer may be redirected to; Chromium holds redirects to it too."""
    sources = f"'self' {form_action}".strip()
    return {
        "Content-Security-Policy":
            f"default-src 'none'; style-src 'self'; img-src 'self'; form-action {sources}; frame-ancestors 'none'; base-uri 'none'",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def origin_of(redirect_uri: str) -> str:
    """As a CSP source: the origin, or the scheme where there is none."""
    parts = urlsplit(redirect_uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"


def host_of(redirect_uri: str) -> str:
    return urlsplit(redirect_uri).netloc or redirect_uri


def is_loopback(redirect_uri: str) -> bool:
    return urlsplit(redirect_uri).hostname in LOOPBACK


def as_query(parameters: Parameters) -> str:
    """No longer than it came: what may stand in a query as it is stays so (RFC 3986 §3.4)."""
    return urlencode([*parameters.values.items(), *(("resource", resource) for resource in parameters.resources)], safe="!$'()*,/:;=?@")
