"""Clients of the guide's templates: a registered_clients.json is read once, and its readable secrets become digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from mcp_server.clock import Clock
from mcp_server.oauth.credentials import Digests
from mcp_server.oauth.models import Client
from mcp_server.oauth.ports import ImportLedger

FIRST_MILLISECONDS = 1e11
"""A larger number of a moment is in milliseconds: in seconds it would be the year 5138."""


class UnreadableClientFile(Exception):
    """The file is not what the templates write. Nothing was imported."""


def import_clients(path: Path, imports: ImportLedger, digests: Digests, clock: Clock) -> int:
    """How many clients were added. 0 when this very file was imported before, or is not there.

    Raises UnreadableClientFile; the file is left as it is, and says so to be deleted: its secrets are readable.
    """
    if not path.is_file():
        return 0
    content = path.read_bytes()
    found = list(_clients_in(content, path, digests, clock()))
    return imports.take_over(hashlib.sha256(content).hexdigest(), found, clock())


def _clients_in(content: bytes, path: Path, digests: Digests, now: float) -> Iterator[Client]:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UnreadableClientFile(f"CLIENT_STORAGE_PATH: {path} is not JSON (line {error.lineno}). Nothing was imported.") from None
    entries = document.values() if isinstance(document, dict) else document
    if not isinstance(document, dict | list) or not all(isinstance(entry, dict) for entry in entries):
        raise UnreadableClientFile(f"CLIENT_STORAGE_PATH: {path} does not hold clients. Nothing was imported.")
    for number, entry in enumerate(entries, start=1):
        try:
            yield _client_from(_snake_case(entry), digests, now)
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableClientFile(f"CLIENT_STORAGE_PATH: entry {number} of {path} is not a client ({error}). Nothing was imported.") from None


def _snake_case(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The JavaScript template writes clientId, the others client_id."""
    return {"".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name): value for name, value in entry.items()}


def _client_from(entry: Mapping[str, Any], digests: Digests, now: float) -> Client:
    secret = entry.get("client_secret")
    return Client(
        client_id=_text(entry["client_id"]),
        client_name=_text(entry.get("client_name") or "Imported client"),
        redirect_uris=_texts(entry.get("redirect_uris") or []),
        grant_types=_texts(entry.get("grant_types") or ["authorization_code", "refresh_token"]),
        response_types=("code",),
        token_endpoint_auth_method=_text(entry.get("token_endpoint_auth_method") or ("client_secret_post" if secret else "none")),
        created_at=_moment(entry.get("created_at"), now),
        client_secret_digests=(digests.digest("client", _text(secret)),) if secret else (),
        origin="import")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise TypeError("a text is missing")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("a list is missing")
    return tuple(map(_text, value))


def _moment(value: object, now: float) -> float:
    """Seconds (Python), milliseconds (TypeScript) or ISO 8601 (JavaScript)."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).timestamp()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value / 1000 if value > FIRST_MILLISECONDS else float(value)
    return now
