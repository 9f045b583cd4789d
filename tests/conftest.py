"""What every test may ask for: a real Redis and a real PostgreSQL, started once for each test process that needs them."""

from __future__ import annotations

import pytest

from tests.servers import PostgresServer, RedisServer


@pytest.fixture(scope="session")
def redis_server():
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def redis_url(redis_server):
    """A Redis that all tests of this process share: use a prefix, or a database number, of your own."""
    return redis_server.url


@pytest.fixture(scope="session")
def postgres_server():
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_url(postgres_server):
    """An empty database that all tests of this process share; `new_postgres_url` is one of a test's own."""
    return postgres_server.url


@pytest.fixture
def new_postgres_url(postgres_server, request):
    """An empty database of this test's own."""
    name = f"t{abs(hash(request.node.nodeid)):x}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield postgres_server.url_of(name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
