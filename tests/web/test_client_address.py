"""Where a request comes from, and whom a limit counts it for."""

from __future__ import annotations

import pytest

from mcp_server.web.client_address import ClientAddress, counted_as

LOOPBACK = "127.0.0.1"


@pytest.fixture
def addresses():
    return ClientAddress(["127.0.0.0/8", "::1/128", "10.1.0.0/16"])


@pytest.mark.requirement("RL-003")
@pytest.mark.parametrize(("peer", "cloudflare", "forwarded", "expected"), [
    ("203.0.113.9", None, None, "203.0.113.9"),
    ("203.0.113.9", "198.51.100.1", "198.51.100.2", "203.0.113.9"),
    (LOOPBACK, "198.51.100.1", None, "198.51.100.1"),
    (LOOPBACK, "198.51.100.1", "198.51.100.2", "198.51.100.1"),
    (LOOPBACK, None, "198.51.100.2", "198.51.100.2"),
    (LOOPBACK, None, "6.6.6.6, 198.51.100.2", "198.51.100.2"),
    (LOOPBACK, None, "6.6.6.6, 198.51.100.2, 10.1.2.3", "198.51.100.2"),
    (LOOPBACK, None, "6.6.6.6, 198.51.100.2, 127.0.0.1,10.1.0.1", "198.51.100.2"),
    (LOOPBACK, None, "10.1.2.3", LOOPBACK),
    (LOOPBACK, None, "6.6.6.6, unknown", LOOPBACK),
    (LOOPBACK, None, "6.6.6.6, 198.51.100.2:4711", LOOPBACK),
    (LOOPBACK, None, "", LOOPBACK),
    (LOOPBACK, "nonsense", None, LOOPBACK),
    (LOOPBACK, "nonsense", "198.51.100.2", "198.51.100.2"),
    (LOOPBACK, "198.51.100.1, 6.6.6.6", None, LOOPBACK),
    (LOOPBACK, " 2001:db8::1 ", None, "2001:db8::1"),
    (LOOPBACK, "::ffff:198.51.100.1", None, "198.51.100.1"),
    ("::1", "198.51.100.1", None, "198.51.100.1"),
    ("::ffff:127.0.0.1", "198.51.100.1", None, "198.51.100.1"),
    ("10.1.255.255", "198.51.100.1", None, "198.51.100.1"),
    ("10.2.0.1", "198.51.100.1", None, "10.2.0.1"),
    (LOOPBACK, None, ",".join(["6.6.6.6"] * 5_000), "6.6.6.6"),
    (LOOPBACK, None, "é, \0", LOOPBACK),
    ("", "198.51.100.1", None, "198.51.100.1"),
    (None, None, None, LOOPBACK),
])
def test_only_a_trusted_proxy_says_who_calls(addresses, peer, cloudflare, forwarded, expected):
    environ = {"REMOTE_ADDR": peer, "HTTP_CF_CONNECTING_IP": cloudflare, "HTTP_X_FORWARDED_FOR": forwarded}
    assert addresses.of({name: value for name, value in environ.items() if value is not None}) == expected


@pytest.mark.requirement("RL-009")
@pytest.mark.parametrize(("address", "counted"), [
    ("198.51.100.1", "198.51.100.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2::", "2001:db8:1:2::/64"),
    ("::ffff:198.51.100.1", "198.51.100.1"),
    ("fe80::1", "fe80::/64"), ("", "unknown"), ("nonsense", "unknown")])
def test_a_limit_counts_an_address_or_an_ipv6_network(address, counted):
    assert counted_as(address) == counted
