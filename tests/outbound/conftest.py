from __future__ import annotations

import socket

import pytest

from mcp_server.outbound.safe_fetch import SafeFetch
from tests.gateway_fixtures import back_end, clock, data_folder, gateway, log, migrated_file, open_gateway, registration
from tests.tls import Authority, serving

__all__ = ["back_end", "clock", "data_folder", "gateway", "log", "migrated_file", "open_gateway", "registration"]


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def web(authority):
    """A web server called localhost."""
    with serving(authority.server_context("localhost")) as serves:
        yield serves


@pytest.fixture
def fetch(authority):
    """As in production, but loopback is allowed and the test's authority is trusted."""
    return SafeFetch(allowed=lambda address: address.is_loopback, context=authority.context)


@pytest.fixture
def names(monkeypatch):
    """names[host] = a list of answers, each a list of addresses: what the resolver says, one answer after the other. Also what was asked."""
    known, real = {}, socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        if host not in known:
            return real(host, port, *args, **kwargs)
        addresses = known[host].pop(0)
        return [(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known
