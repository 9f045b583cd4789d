"""Client ids that are URLs (draft-ietf-oauth-client-id-metadata-document §3): which may be one, and of which hosts an operator accepts them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from mcp_server.errors import InvalidClient
from mcp_server.oauth.models import LONGEST_CLIENT_ID

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SEGMENT = r"/(?!(?:\.|%2[Ee]){1,2}(?:/|\Z))(?:[A-Za-z0-9._~!$&()*+,;=:@-]|%[0-9A-Fa-f]{2})*"
_URL = re.compile(rf"https://(?:{_LABEL}\.)+(?=[a-z]){_LABEL}(?::(?!443/)[1-9][0-9]{{0,4}})?(?!/\Z)(?:{_SEGMENT})+")
"""A host is a domain name whose last part begins with a letter: no spelling of an address is one."""


def is_url(client_id: str) -> bool:
    """Whether it is meant as one. The ids that we give have no `://` in them."""
    return "://" in client_id


def host_of(client_id: str) -> str:
    """The host of a client id that is a URL, with the port if it has one: what a person knows the application by."""
    return urlsplit(client_id).netloc


def require_good(client_id: str) -> None:
    """Raises InvalidClient for a URL that cannot be the id of a client."""
    if len(client_id) > LONGEST_CLIENT_ID or not _URL.fullmatch(client_id):
        raise InvalidClient(
            "A client id that is a web address must be an https URL with a domain name in small letters and a path, without user name, query, "
            f"fragment and dot segments, in at most {LONGEST_CLIENT_ID} characters.", detail=client_id[:200])


class AllowedDomains:
    """CIMD_ALLOWED_DOMAINS: `app.example.com`, `*.example.com` for what is below it, `*` for all. A port other than 443 only where it is listed."""

    def __init__(self, listed: Iterable[str]) -> None:
        self._listed = frozenset(listed)

    def __bool__(self) -> bool:
        return bool(self._listed)

    def name(self, host: str) -> bool:
        """Whether an operator wrote this host down, itself or the domain above it."""
        return host in self._listed or any(domain.startswith("*.") and host.endswith(domain[1:]) for domain in self._listed)

    def cover(self, host: str) -> bool:
        return self.name(host) or ("*" in self._listed and ":" not in host)
