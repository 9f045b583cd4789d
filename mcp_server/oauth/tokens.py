"""Access tokens: JWTs of type at+jwt (RFC 9068), issued and verified here and nowhere else."""

from __future__ import annotations

from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry

from mcp_server.clock import Clock
from mcp_server.errors import InvalidToken
from mcp_server.oauth.credentials import new_id
from mcp_server.oauth.keys import SigningKeys
from mcp_server.principal import Principal

MOST_CHARACTERS = 4096
LEEWAY = 30
ALGORITHMS = ["HS256", "ES256"]
REMEMBERED = 4096
REMEMBERED_SECONDS = 30


class AccessTokens:
    """Issues access tokens for one resource and verifies them.

    A verified token is remembered for half a minute: the signature is not computed again, its expiry is compared every
    time, and it is forgotten when the keys change. Whether it was revoked is asked elsewhere, on every request.
    """

    def __init__(self, issuer: str, resource: str, keys: SigningKeys, lifetime: int, clock: Clock) -> None:
        self._issuer = issuer
        self._resource = resource
        self._keys = keys
        self._clock = clock
        self._claims = JWTClaimsRegistry(
            now=lambda: int(clock()), leeway=LEEWAY,
            iss={"essential": True, "value": issuer}, aud={"essential": True, "value": resource}, exp={"essential": True},
            iat={"essential": True}, sub={"essential": True}, client_id={"essential": True}, jti={"essential": True},
            scope={"essential": True}, grant_id={"essential": True})
        self.lifetime = lifetime
        self.accepted_for = lifetime + LEEWAY  # a revocation must last until the last token of a grant is refused by itself

    def issue(self, *, client_id: str, subject: str, scope: str, grant_id: str, lifetime: int | None = None) -> str:
        """`lifetime`: seconds, when it is to end earlier than others."""
        now = int(self._clock())
        claims = {
            "iss": self._issuer, "sub": subject, "aud": self._resource, "client_id": client_id, "scope": scope,
            "jti": new_id(), "grant_id": grant_id, "iat": now, "exp": now + (lifetime or self.lifetime),
        }
        key = self._keys.active
        header = {"alg": self._keys.algorithm, "typ": "at+jwt", "kid": key.kid}
        return jwt.encode(header, claims, key, algorithms=[self._keys.algorithm])

    def verify(self, token: str) -> Principal:
        """The caller that this token speaks for. Raises InvalidToken."""
        now = self._clock()
        memory: dict[str, tuple[Principal, float]] = self._keys.ring.remembered  # that of the keys of this moment: with other keys it is another
        remembered = memory.get(token)
        if remembered is not None and now < remembered[1]:
            return remembered[0]
        principal = self._principal(self._verified_claims(token))
        if len(memory) >= REMEMBERED:
            memory.clear()
        memory[token] = (principal, min(principal.expires_at + LEEWAY, now + REMEMBERED_SECONDS))
        return principal

    def read(self, token: str) -> dict[str, Any] | None:
        """The claims of a token of ours, expired or not; None if it is not ours. For revocation."""
        try:
            return self._signed_claims(token)
        except InvalidToken:
            return None

    def _verified_claims(self, token: str) -> dict[str, Any]:
        claims = self._signed_claims(token)
        try:
            self._claims.validate(claims)
        except JoseError as error:
            raise InvalidToken("The access token is not valid.", detail=str(error)) from error
        return claims

    def _signed_claims(self, token: str) -> dict[str, Any]:
        """Signature and header first, and only our own spelling of them (RFC 8725 §3.1, §3.11)."""
        if len(token) > MOST_CHARACTERS or not token.isascii():
            raise InvalidToken("The access token is not valid.", detail="too long or not ASCII")
        try:
            decoded = jwt.decode(token, lambda given: self._keys.verifying(given.headers()), algorithms=ALGORITHMS)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidToken("The access token is not valid.", detail=type(error).__name__) from error
        if set(decoded.header) != {"alg", "typ", "kid"} or decoded.header["typ"] != "at+jwt":
            raise InvalidToken("The access token is not valid.", detail="header")
        return decoded.claims

    @staticmethod
    def _principal(claims: dict[str, Any]) -> Principal:
        try:
            scopes = frozenset(claims["scope"].split())
            jti, grant_id, client_id, subject = (str(claims[name]) for name in ("jti", "grant_id", "client_id", "sub"))
            return Principal(
                client_id=client_id, subject=subject, scopes=scopes, expires_at=float(claims["exp"]),
                revocable_ids=(jti, grant_id, f"client:{client_id}", f"user:{subject}"), grant_id=grant_id, token_id=jti)
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidToken("The access token is not valid.", detail="claims") from error
