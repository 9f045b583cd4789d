"""Where a request comes from. A header is believed only from a proxy that the operator trusts."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ClientAddress:
    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        self._trusted = [ipaddress.ip_network(network) for network in trusted_proxies]
        self._is_trusted = lru_cache(1024)(self._look_up)

    def of(self, environ: Mapping[str, Any]) -> str:
        """The address of the caller: the peer, or what a trusted peer says in CF-Connecting-IP or X-Forwarded-For.

        In X-Forwarded-For only the last hop that is not a trusted proxy counts; what stands before it anyone can write.
        """
        peer: str = environ.get("REMOTE_ADDR") or "127.0.0.1"  # a unix socket has no address: it is on this machine
        if "HTTP_CF_CONNECTING_IP" not in environ and "HTTP_X_FORWARDED_FOR" not in environ:
            return peer
        if not self._is_trusted(peer):
            return peer
        if (address := _parse(environ.get("HTTP_CF_CONNECTING_IP", ""))) is not None:
            return str(address)
        for hop in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")[-20:]):
            address = _parse(hop)
            if address is None:
                return peer
            if not self._is_trusted(str(address)):
                return str(address)
        return peer

    def _look_up(self, address: str) -> bool:
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


@lru_cache(4096)
def counted_as(address: str) -> str:
    """Whom a limit counts: an IPv4 address, or the /64 of an IPv6 address, which is what one customer gets."""
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed) if parsed else "unknown"


def _parse(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address
