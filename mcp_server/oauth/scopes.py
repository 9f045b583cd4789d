"""Scopes on the wire: space separated (RFC 6749 §3.3), or comma separated, as ServiceNow's form wants them typed."""

from __future__ import annotations

import re

from mcp_server.errors import InvalidScope
from mcp_server.oauth.models import IGNORED_SCOPES, SCOPES


def requested(scope: str | None, otherwise: str) -> str:
    """The scope to grant for what was asked. None asked for: `otherwise`. Raises InvalidScope."""
    asked = [part for part in re.split(r"[ ,]+", scope or "") if part and part not in IGNORED_SCOPES]
    unknown = sorted(set(asked) - set(SCOPES))
    if unknown:
        raise InvalidScope(f"Unknown scope. This server has: {' '.join(SCOPES)}.", detail=" ".join(unknown)[:200])
    return in_order(set(asked)) or otherwise


def narrowed(scope: str | None, granted: str) -> str:
    """For a refresh: at most what was granted (RFC 6749 §6). Raises InvalidScope."""
    asked = requested(scope, otherwise=granted)
    if not set(asked.split()) <= set(granted.split()):
        raise InvalidScope(f"The scope was not granted. Granted: {granted}.")
    return asked


def in_order(scopes: set[str]) -> str:
    return " ".join(scope for scope in SCOPES if scope in scopes)
