"""The keys that sign access tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from joserfc.jwk import KeySet, OctKey

from mcp_server.oauth.credentials import derive_key


class SigningKeys:
    """One active key and those it replaced. Imported once: importing a key costs more than using it."""

    algorithm = "HS256"

    def __init__(self, secret: str, previous: Sequence[str] = ()) -> None:
        keys = [self._key(each) for each in (secret, *previous)]
        self.active = keys[0]
        self.verifying = KeySet([*keys])

    @staticmethod
    def _key(secret: str) -> OctKey:
        raw = derive_key(secret, "at+jwt v1")
        return OctKey.import_key(raw, {"kid": hashlib.sha256(raw).hexdigest()[:8], "alg": "HS256", "use": "sig"})
