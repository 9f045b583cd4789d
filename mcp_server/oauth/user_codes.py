"""The code that a device shows and a person types (RFC 8628 §6.1)."""

from __future__ import annotations

import re
import secrets

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words; no digits, so nothing looks like something else. Eight of them: 34 bits."""

_CODE = re.compile(f"[{ALPHABET}]{{8}}")
_BETWEEN = re.compile(r"[\W_]+")


def new_user_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(8))


def read(typed: str) -> str | None:
    """The code that was meant, without regard to case, dashes and blanks. None when it cannot be one."""
    code = _BETWEEN.sub("", typed).upper()
    return code if _CODE.fullmatch(code) else None


def shown(code: str) -> str:
    """As people read it: WDJB-MJHT."""
    return f"{code[:4]}-{code[4:]}"
