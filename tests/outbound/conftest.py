from __future__ import annotations

import socket

import pytest

from mcp_server.outbound.safe_fetch import SafeFetch
from tests.document_clients import Application
from tests.gateway import ClientApplication
from tests.gateway_fixtures import back_end, clock, data_folder, gateway, log, migrated_file, open_gateway, registration
from tests.key_clients import KeyClient, Signer
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


APPLICATION = "app.acme.test"


@pytest.fixture
def site(authority, monkeypatch):
    """The web site of an application: a domain name that leads to this machine, over real TLS."""
    real = socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        return real("127.0.0.1" if host == APPLICATION else host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with serving(authority.server_context(APPLICATION), APPLICATION) as serves:
        yield serves


@pytest.fixture
def open_with(open_gateway, site, fetch):
    """open_with(**settings) → a gateway that knows the applications of `site`."""
    def open_one(**settings):
        return open_gateway(fetch=fetch, **{"CIMD_ALLOWED_DOMAINS": f"app.acme.test:{site.port}", **settings})

    return open_one


@pytest.fixture
def knowing(open_with):
    """A gateway that knows them, with a person."""
    opened = open_with()
    opened.add_user()
    return opened


@pytest.fixture
def application(site):
    found = Application(site, ClientApplication(f"{site.url}/client.json", redirect_uri=f"{site.url}/cb"))
    found.describe()
    return found


@pytest.fixture
def unregistered(application):
    """The client of `application`: nothing is known of it here."""
    return application.client


@pytest.fixture
def key_client(site, application):
    """The same, with a key: its document lies there already."""
    signer = Signer()
    application.describe(token_endpoint_auth_method="private_key_jwt", jwks=signer.jwks)
    return KeyClient(application.client.client_id, None, application.client.redirect_uri, signer)
