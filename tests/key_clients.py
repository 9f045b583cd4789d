"""Clients that prove themselves with a signed assertion."""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass, field

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from tests.gateway import ISSUER, REDIRECT_URI, ClientApplication, without_nones

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MADE_OF = {"ES256": (ECKey, "P-256"), "ES384": (ECKey, "P-384"), "RS256": (RSAKey, 2048), "PS256": (RSAKey, 2048), "Ed25519": (OKPKey, "Ed25519")}


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Signer:
    """A private key, and what it signs."""

    def __init__(self, algorithm="ES256", kid="k1", key=None) -> None:
        kind, size = MADE_OF[algorithm]
        self.algorithm, self.kid = algorithm, kid
        self.key = key or kind.generate_key(size)

    @property
    def jwk(self):
        return without_nones({**self.key.as_dict(private=False), "kid": self.kid})

    @property
    def private_jwk(self):
        return {**self.key.as_dict(private=True), "kid": self.kid}

    @property
    def jwks(self):
        return {"keys": [self.jwk]}

    def sign(self, header, claims) -> str:
        """Whatever the header says, this key signs it."""
        signed = ".".join(base64url(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, claims))
        return f"{signed}.{base64url(JWSRegistry.algorithms[self.algorithm].sign(signed.encode(), self.key))}"

    def assertion(self, client_id, *, header=None, now=None, **changes) -> str:
        """An assertion that is accepted; None takes a member away."""
        now = time.time() if now is None else now
        claims = {"iss": client_id, "sub": client_id, "aud": ISSUER, "jti": secrets.token_hex(8), "iat": int(now), "exp": int(now) + 60}
        return self.sign(without_nones({"alg": self.algorithm, "typ": "JWT", "kid": self.kid} | (header or {})), without_nones(claims | changes))


def asserting(assertion, **changes):
    """What a form has for this assertion."""
    return without_nones({"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion} | changes)


@dataclass(frozen=True)
class KeyClient(ClientApplication):
    signer: Signer = field(default_factory=Signer)

    @property
    def proof(self):
        """Another one each time."""
        return asserting(self.signer.assertion(self.client_id))


def add_key_client(gateway, signer=None, *, jwks_uri=None, jwks=None, **changes) -> KeyClient:
    """A client as an operator creates it, with every grant."""
    signer = signer or Signer()
    keys = {"jwks_uri": jwks_uri} if jwks_uri else {"jwks": jwks or signer.jwks}
    added = gateway.add_client(**{
        "token_endpoint_auth_method": "private_key_jwt", "metadata": keys,
        "grant_types": ("authorization_code", "refresh_token", "client_credentials"), **changes})
    return KeyClient(added.client_id, None, REDIRECT_URI, signer)
