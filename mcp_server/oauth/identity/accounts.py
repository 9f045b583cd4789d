"""Who may come in on a provider's word, and which account here is theirs: known by issuer and `sub`, never by a name or an address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mcp_server.audit import Audit
from mcp_server.clock import Clock
from mcp_server.errors import SignInFailed
from mcp_server.oauth.credentials import new_id
from mcp_server.oauth.models import User
from mcp_server.oauth.ports import UserStore

LONGEST_NAME = 100
SAME_NAMES = 5
NAMES = ("preferred_username", "email", "name")
"""The claims that may name a person, the best first."""
EVERYBODY = "*"
ASK = "Ask the operator of this server, or sign in with another account."


@dataclass(frozen=True)
class AllowList:
    """Every list that is not empty must hold."""

    domains: tuple[str, ...]
    groups: tuple[str, ...]
    groups_claim: str

    @property
    def asks_for_email(self) -> bool:
        return bool(self.domains) and EVERYBODY not in self.domains

    def require(self, claims: Mapping[str, Any]) -> None:
        """Raises SignInFailed."""
        if self.asks_for_email:
            self._require_domain(claims)
        if self.groups and not set(self.groups).intersection(_names(claims.get(self.groups_claim))):
            if self.groups_claim not in claims:
                raise SignInFailed(f"The provider did not say which groups you are in. {ASK}", detail=f"no claim {self.groups_claim}")
            raise SignInFailed(f"You are in none of the groups that may use this server. {ASK}", detail="groups")

    def _require_domain(self, claims: Mapping[str, Any]) -> None:
        email, verified = claims.get("email"), claims.get("email_verified")
        if not isinstance(email, str) or (verified is not True and verified != "true"):
            raise SignInFailed(f"The provider did not say that your e-mail address is verified. {ASK}", detail="no email, or not email_verified")
        local, _, domain = email.rpartition("@")
        if not local or domain.lower() not in self.domains:
            raise SignInFailed(f"E-mail addresses of your domain may not use this server. {ASK}", detail="domain")


class Accounts:
    def __init__(self, users: UserStore, allowed: AllowList, audit: Audit, clock: Clock) -> None:
        self.allowed = allowed
        self._users = users
        self._audit = audit
        self._clock = clock

    def of(self, issuer: str, subject: str, claims: Mapping[str, Any]) -> User:
        """The account, made at the first time, under the name that the provider says now. It may be disabled."""
        user = self._users.find_by_identity(issuer, subject)
        return self._made(issuer, subject, claims) if user is None else self._renamed(user, claims)

    def _made(self, issuer: str, subject: str, claims: Mapping[str, Any]) -> User:
        for name in _free_names(_name(claims, subject), issuer):
            user = User(new_id(), name, "", created_at=float(int(self._clock())), issuer=issuer, external_subject=subject)
            try:
                self._users.add(user)
            except ValueError:  # the name is taken, or this person comes in twice at the same moment
                if (found := self._users.find_by_identity(issuer, subject)) is not None:
                    return found
                continue
            self._audit.record("security", "user_linked", "success", user_id=user.user_id, account=name, provider=issuer)
            return user
        raise SignInFailed(f"There are too many people of your name here. {ASK}", detail="no free name")

    def _renamed(self, user: User, claims: Mapping[str, Any]) -> User:
        """A name that others have here leaves them theirs."""
        for name in _free_names(_name(claims, user.external_subject or ""), user.issuer or ""):
            if name == user.username:
                break
            try:
                self._users.rename(user.user_id, name)
            except ValueError:
                continue
            self._audit.record("security", "user_renamed", "success", user_id=user.user_id, account=name, former=user.username)
            break
        return self._users.find_by_id(user.user_id) or user


def _name(claims: Mapping[str, Any], otherwise: str) -> str:
    """What the provider calls them, as a name that can be read: never a proof of who they are."""
    for claim in NAMES:
        value = claims.get(claim)
        if isinstance(value, str) and (name := " ".join(value.split())) and name.isprintable():
            return name[:LONGEST_NAME].strip()
    return otherwise[:LONGEST_NAME].strip() or "somebody"


def _free_names(name: str, issuer: str) -> Iterator[str]:
    """The name, then names that say where its bearer comes from: whoever has it here already is somebody else."""
    host = urlsplit(issuer).netloc
    yield name
    for number in range(1, SAME_NAMES + 1):
        yield f"{name[:LONGEST_NAME]} ({host}{f' {number}' if number > 1 else ''})"
    yield f"{name[:LONGEST_NAME]} ({host} {new_id()[:8]})"


def _names(claim: Any) -> set[str]:
    return {name for name in (claim if isinstance(claim, list) else [claim]) if isinstance(name, str)}
