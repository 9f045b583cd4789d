"""The strict layer in front of Authlib: every parameter once, readable, within bounds, and from the right place.

Authlib 1.9 reads the query string of a POST, takes the first of two equal parameters, and answers odd characters with
an exception; none of that gets past here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from mcp_server.errors import InvalidRequest

MOST_PARAMETERS = 40
MOST_CHARACTERS = {
    "state": 4096, "resource": 2048, "redirect_uri": 2048, "client_assertion": 16384, "assertion": 16384, "code_verifier": 8192, "token": 32768,
    "next": 65536, "transaction": 92160,  # a whole authorization request, escaped and signed
}
MOST_CHARACTERS_OTHERWISE = 4096
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_VISIBLE = re.compile(r"[\x20-\x7e]*")
_ANY_TEXT = frozenset({"name", "state", "username", "password", "user_code", "error_description"})
"""The client's own, what people type (RFC 6749 appendix A.15, A.16), and what a provider tells them. Every other value is visible ASCII."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the client sent. An empty value counts as absent (RFC 6749 §3.1). Only `resource` may come several times."""

    values: Mapping[str, str]
    resources: tuple[str, ...] = ()

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def required(self, name: str) -> str:
        """Raises InvalidRequest when it is absent."""
        value = self.values.get(name)
        if value is None:
            raise InvalidRequest(f"The parameter {name} is missing.")
        return value


def parse(encoded: bytes) -> Parameters:
    """Read application/x-www-form-urlencoded. Raises InvalidRequest."""
    if not encoded:
        return Parameters({})
    pairs = encoded.split(b"&")
    if len(pairs) > MOST_PARAMETERS:
        raise InvalidRequest("There are too many parameters.")
    values: dict[str, str] = {}
    resources: list[str] = []
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        _add(_decoded(name), _decoded(value), values, resources)
    return Parameters({name: value for name, value in values.items() if value}, tuple(filter(None, resources)))


def _add(name: str, value: str, values: dict[str, str], resources: list[str]) -> None:
    if not name:
        return
    if len(value) > MOST_CHARACTERS.get(name, MOST_CHARACTERS_OTHERWISE):
        raise InvalidRequest("A parameter is too long.", detail=name[:60])
    if not _VISIBLE.fullmatch(name) or (name not in _ANY_TEXT and not _VISIBLE.fullmatch(value)):
        raise InvalidRequest("A parameter has characters that are not allowed.", detail=ascii(name)[:60])
    if name == "resource":
        resources.append(value)
    elif name in values:
        raise InvalidRequest("A parameter is given more than once.", detail=name[:60])
    else:
        values[name] = value


def _decoded(encoded: bytes) -> str:
    if _BROKEN_ESCAPE.search(encoded):
        raise InvalidRequest("The parameters are not well-formed: a percent sign is not followed by two hexadecimal digits.")
    try:
        return unquote_to_bytes(encoded.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("The parameters are not well-formed: they are not UTF-8.") from None
