"""The public keys of clients that prove themselves with a signed assertion: which may be registered, and which one an assertion means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import base64_to_int

from mcp_server.errors import InvalidClientMetadata

Key = ECKey | OKPKey | RSAKey

MOST_KEYS = 20
MOST_BYTES = 16 * 1024
MOST_TRIED = 5
LONGEST_URI = 2000
SMALLEST_RSA, LARGEST_RSA, LONGEST_EXPONENT = 2048, 8192, 6  # bits, bits, base64 digits: beyond them a signature costs too much to check
SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_KEPT = ("kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops")
_TEXT = re.compile(r"[ -~]{1,2048}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_URI = re.compile(r"https://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[/?][!-~]*)?")


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What a key must be to verify signatures of an algorithm."""

    key_type: str
    curve: str | None = None

    def fits(self, jwk: Mapping[str, Any]) -> bool:
        return jwk.get("kty") == self.key_type and (self.curve is None or jwk.get("crv") == self.curve)


ALGORITHMS: dict[str, Algorithm] = {
    "ES256": Algorithm("EC", "P-256"),
    "ES384": Algorithm("EC", "P-384"),
    "RS256": Algorithm("RSA"),
    "PS256": Algorithm("RSA"),
    "Ed25519": Algorithm("OKP", "Ed25519"),
}
"""What an assertion may be signed with, and so what the metadata names."""


def registered(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """`jwks` or `jwks_uri` as they are kept: exactly one of them. Raises InvalidClientMetadata; fetches nothing."""
    jwks, uri = metadata.get("jwks"), metadata.get("jwks_uri")
    if (jwks is None) == (uri is None):
        raise InvalidClientMetadata("private_key_jwt needs the client's public keys: either jwks or jwks_uri, and not both.")
    return {"jwks_uri": require_uri(uri)} if jwks is None else {"jwks": require_public(jwks)}


def require_uri(uri: Any) -> str:
    """Raises InvalidClientMetadata."""
    if not isinstance(uri, str) or len(uri) > LONGEST_URI or not is_https(uri):
        raise InvalidClientMetadata(f"jwks_uri: must be an https URL of at most {LONGEST_URI} characters, without user name and fragment.")
    return uri


def is_https(uri: str) -> bool:
    """Whether the URL names a host over TLS, and nothing in it could be read in two ways."""
    if not _URI.fullmatch(uri) or "#" in uri or "\\" in uri:
        return False
    try:
        return urlsplit(uri).port != 0
    except ValueError:
        return False


def require_public(jwks: Any) -> dict[str, Any]:
    """The set, reduced to the members that are understood. Raises InvalidClientMetadata."""
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise InvalidClientMetadata("jwks: must be a JWK set, an object with a list of keys.")
    if not 1 <= len(keys) <= MOST_KEYS or _size(jwks) > MOST_BYTES:
        raise InvalidClientMetadata(f"jwks: must have 1 to {MOST_KEYS} keys, in at most {MOST_BYTES} bytes.")
    if any(_is_secret(key) for key in keys):
        raise InvalidClientMetadata("jwks: has a private or symmetric key. Send the public keys only, and replace that one: it is no longer secret.")
    kept = [{name: key[name] for name in _KEPT if name in key} for key in keys]
    if not all(_is_text(value) for key in kept for value in key.values()):
        raise InvalidClientMetadata("jwks: has a member that is not text.")
    if not all(any(_imported(key, name) for name in ALGORITHMS) for key in kept):
        raise InvalidClientMetadata(f"jwks: each key must verify one of {', '.join(ALGORITHMS)}; an RSA key has {SMALLEST_RSA} bits or more.")
    return {"keys": kept}


def has_secret(jwks: Any) -> bool:
    """Whether a set has a key in it that nobody else should know, whatever else is wrong with it."""
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    return isinstance(keys, list) and any(isinstance(key, dict) and _is_secret(key) for key in keys)


def choose(jwks: Mapping[str, Any], algorithm: str, kid: str | None) -> list[Key]:
    """The keys that an assertion may be signed with: those of its `kid`, or without one the first few that fit."""
    keys: Any = jwks.get("keys")
    listed = keys[:MOST_KEYS] if isinstance(keys, list) else ()
    named = [key for key in listed if isinstance(key, dict) and not _is_secret(key) and kid in (None, key.get("kid"))]
    return [key for jwk in named if (key := _imported(jwk, algorithm)) is not None][:MOST_TRIED]


def _is_secret(jwk: Mapping[str, Any]) -> bool:
    return jwk.get("kty") == "oct" or not SECRET_MEMBERS.isdisjoint(jwk)


def _is_text(value: Any) -> bool:
    values: Sequence[Any] = value if isinstance(value, list) else (value,)
    return all(isinstance(each, str) and _TEXT.fullmatch(each) for each in values)


def _size(value: Any) -> int:
    try:
        return len(orjson.dumps(value))
    except TypeError:
        return MOST_BYTES + 1


def _imported(jwk: Mapping[str, Any], algorithm: str) -> Key | None:
    """None when the key is of another kind, for another use, too small, or broken."""
    if not ALGORITHMS[algorithm].fits(jwk) or jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
        return None
    if "key_ops" in jwk and (not isinstance(jwk["key_ops"], list) or "verify" not in jwk["key_ops"]):
        return None
    try:
        return _import(jwk)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None


def _import(jwk: Mapping[str, Any]) -> Key | None:
    if jwk["kty"] == "EC":
        return ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")})
    if jwk["kty"] == "OKP":
        return OKPKey.import_key({name: jwk[name] for name in ("kty", "crv", "x")})
    return RSAKey.import_key({name: jwk[name] for name in ("kty", "n", "e")}) if _is_sound_rsa(jwk["n"], jwk["e"]) else None


def _is_sound_rsa(modulus: str, exponent: str) -> bool:
    """Asked before it is imported: joserfc warns of small keys and takes large ones."""
    if not _BASE64URL.fullmatch(modulus) or not _BASE64URL.fullmatch(exponent) or len(modulus) > LARGEST_RSA // 5 or len(exponent) > LONGEST_EXPONENT:
        return False
    return SMALLEST_RSA <= base64_to_int(modulus).bit_length() <= LARGEST_RSA and base64_to_int(exponent) > 1
