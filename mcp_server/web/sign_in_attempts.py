"""Wrong passwords are counted for each account, so that guessing ends, and so that it cannot be used to lock the owner out.

A browser that has signed in to an account carries a signed cookie of it and has a count of its own. All other browsers share one
count for that account: whoever guesses uses up that one, and the owner goes on from a browser that is known (OWASP, device cookies).
Unknown names are counted alike, so a refusal tells nothing. `flask users unlock` begins the counts of an account anew.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer
from limits.errors import StorageError
from limits.storage import Storage

from mcp_server.clock import Clock
from mcp_server.errors import StoreUnavailable
from mcp_server.oauth.credentials import Digests, new_id
from mcp_server.oauth.models import User
from mcp_server.rate_limiting.limits import Limit, LocalCounter

WRONG_PASSWORDS = Limit(20, 3600)
"""For one account: from one browser that is known, and from all others together."""
KNOWN_FOR = 90 * 86400
"""Seconds for which a browser is known after a sign-in."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One password that may be tried, counted already. `allowed` False: it may not; `seconds_left` until it may."""

    counter: str
    known_browser: bool
    allowed: bool
    seconds_left: int


class SignInAttempts:
    """Counts in fixed windows, exactly across workers; when the shared counter is away, each worker for itself."""

    def __init__(self, storage: Storage, digests: Digests, clock: Clock) -> None:
        self._storage = storage
        self._digests = digests
        self._clock = clock
        self._local = LocalCounter()
        raised = storage.base_exceptions
        self._unavailable: tuple[type[Exception], ...] = (StorageError, *(raised if isinstance(raised, tuple) else (raised,)))

    def begin(self, account: str, browser: str | None) -> Attempt:
        """Count a try before the password is looked at: however many come at once, no more than the limit are checked."""
        now = self._clock()
        number, window = int(now // WRONG_PASSWORDS.window), WRONG_PASSWORDS.window
        try:
            begun_anew = self._storage.get(self._unlocks(account))
            counter = f"{self._digest(account)}:{begun_anew}:{self._digest(browser) if browser else 'strangers'}:{number}"
            hits = self._storage.incr(f"sign-in:{counter}", window)
        except self._unavailable:
            counter = ""
            hits, _ = self._local.hit(f"{account}:{browser}", window, now)
        return Attempt(counter, browser is not None, hits <= WRONG_PASSWORDS.most, int((number + 1) * window - now) + 1)

    def give_back(self, attempt: Attempt) -> None:
        """It was no wrong password."""
        if attempt.counter:
            with suppress(*self._unavailable):
                self._storage.incr(f"sign-in:{attempt.counter}", WRONG_PASSWORDS.window, -1)

    def unlock(self, account: str) -> None:
        """Begin all counts of this account anew. Raises StoreUnavailable."""
        try:
            self._storage.incr(self._unlocks(account), 2 * WRONG_PASSWORDS.window)
        except self._unavailable as error:
            raise StoreUnavailable(detail=f"the counts of wrong passwords: {error}") from error

    def _unlocks(self, account: str) -> str:
        return f"sign-in-unlocks:{self._digest(account)}"

    def _digest(self, name: str) -> str:
        return self._digests.digest("sign-in", name)[:32]


def init_app(app: Flask, storage: Storage, digests: Digests, clock: Clock) -> None:
    app.extensions["sign_in_attempts"] = SignInAttempts(storage, digests, clock)


def attempts() -> SignInAttempts:
    built: SignInAttempts = current_app.extensions["sign_in_attempts"]
    return built


def account_of(user: User | None, username: str) -> str:
    """What is counted: the person, or the name of nobody."""
    return f"user {user.user_id}" if user else f"nobody {username.casefold()}"


def known_browser(user: User | None) -> str | None:
    """The name of this browser, if it has signed in as this person before."""
    if user is None:
        return None
    try:
        user_id, browser = _signer().loads(request.cookies.get(_cookie(user), ""), max_age=KNOWN_FOR)
    except (BadData, ValueError, TypeError):
        return None
    return str(browser) if user_id == user.user_id else None


def remember_browser(response: Response, user: User) -> None:
    """From now on it has a count of its own for this person."""
    signed: Any = _signer().dumps([user.user_id, new_id()])
    response.set_cookie(
        _cookie(user), signed, max_age=KNOWN_FOR, secure=current_app.config["SESSION_COOKIE_SECURE"], httponly=True, samesite="Strict", path="/")


def _cookie(user: User) -> str:
    """A cookie for each person: one who signs in does not make the browser forget another."""
    prefix = "__Host-" if current_app.config["SESSION_COOKIE_SECURE"] else ""
    return f"{prefix}browser-{hashlib.sha256(user.user_id.encode()).hexdigest()[:12]}"


def _signer() -> URLSafeTimedSerializer:
    keys = [*current_app.config["SECRET_KEY_FALLBACKS"], current_app.config["SECRET_KEY"]]  # itsdangerous signs with the last
    return URLSafeTimedSerializer(keys, salt="known browser v1")
