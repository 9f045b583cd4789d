"""Proof Key for Code Exchange (RFC 7636), S256 only."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def challenge_of(code_verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode("ascii")).digest()).rstrip(b"=").decode()


def verifies(code_verifier: str, code_challenge: str) -> bool:
    """Whether the verifier is well-formed (RFC 7636 §4.1) and belongs to the challenge; compared in constant time."""
    return VERIFIER.fullmatch(code_verifier) is not None and hmac.compare_digest(challenge_of(code_verifier), code_challenge)
