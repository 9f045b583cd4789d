"""Which addresses may be connected to when a stranger named the host: global unicast, and nothing that leads back inside."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address
AddressRule = Callable[[Address], bool]

MOST_ADDRESSES = 4
_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")
_NOT_V4 = tuple(map(ip_network, (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4")))
_NOT_V6 = tuple(map(ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))  # Teredo and ORCHID, examples, 6to4, examples


class AddressRefused(Exception):
    """A host has an address that must not be connected to, or none. The text says which."""


class NameUnresolved(AddressRefused):
    """The name could not be looked up, which may be a trouble of the moment."""


def is_public(address: Address) -> bool:
    """IANA's special-purpose registries, written out: what Python's `is_global` says has changed between its releases.

    An IPv4 address inside an IPv6 one counts where networks use that (NAT64); 6to4, Teredo and mapped forms are refused whole.
    """
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        return address in _GLOBAL_UNICAST and address.is_global and not any(address in network for network in _NOT_V6)
    return address.is_global and not any(address in network for network in _NOT_V4)


def resolve(host: str, port: int, allowed: AddressRule) -> list[str]:
    """The addresses of `host`, asked for once; under gevent other requests go on meanwhile. Raises AddressRefused if one is not allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise NameUnresolved(f"the name does not resolve: {type(error).__name__}") from error
    addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
    for address in addresses:
        if "%" in address or not allowed(ip_address(address)):
            raise AddressRefused(f"{address[:60]} is not a public address")
    if not addresses:
        raise AddressRefused("the name has no address")
    return addresses[:MOST_ADDRESSES]
