import os
import sqlite3
import stat
import time

import psycopg
import pytest
from sqlalchemy import make_url, text

from mcp_server.errors import StoreUnavailable
from mcp_server.oauth.models import Client, InitialAccessToken
from mcp_server.storage.database import Database
from mcp_server.storage.migrations import migrate
from mcp_server.storage.registry import Registry
from tests.servers import PostgresServer, free_port

CLIENT = Client("client", "name", (), (), (), "none", created_at=1.0)


@pytest.fixture
def server():
    """A PostgreSQL that this test may stop."""
    own = PostgresServer()
    try:
        own.start()
        yield own
    finally:
        own.remove()


@pytest.fixture
def file_registry(tmp_path):
    migrate(f"sqlite:///{tmp_path}/registry.db")
    registry = Registry(f"sqlite:///{tmp_path}/registry.db")
    yield registry
    registry.close()


def test_a_registry_connects_to_nothing_until_it_is_used():
    Registry(f"postgresql+psycopg://postgres@127.0.0.1:{free_port()}/nothing")


def test_a_database_url_must_name_a_file():
    with pytest.raises(ValueError, match="file"):
        Registry("sqlite://")


def test_a_database_that_nobody_serves_is_an_outage():
    registry = Registry(f"postgresql+psycopg://postgres@127.0.0.1:{free_port()}/nothing")
    with pytest.raises(StoreUnavailable):
        registry.ping()
    registry.close()


def test_a_postgresql_that_may_only_be_read_answers_and_takes_nothing(new_postgres_url, postgres_server):
    migrate(new_postgres_url)
    postgres_server.execute(f"ALTER DATABASE {make_url(new_postgres_url).database} SET default_transaction_read_only = on")
    registry = Registry(new_postgres_url)
    registry.ping()
    with pytest.raises(StoreUnavailable):
        registry.write(0.0)
    registry.close()


@pytest.mark.requirement("F14")
def test_a_stopped_postgresql_is_an_outage_and_heals_after_the_restart(server):
    migrate(server.url)
    registry = Registry(server.url)
    registry.clients.add(CLIENT)
    server.stop()
    with pytest.raises(StoreUnavailable):
        registry.clients.find("client")
    with pytest.raises(StoreUnavailable):
        registry.revocations.record(["id"], 2.0)
    server.start()
    assert registry.clients.find("client") == CLIENT
    registry.close()


def test_a_postgresql_that_was_restarted_between_two_calls_is_not_noticed(server):
    migrate(server.url)
    registry = Registry(server.url)
    registry.clients.add(CLIENT)
    server.stop()
    server.start()
    assert registry.clients.remove("client") is True
    registry.close()


@pytest.mark.requirement("F18")
def test_a_read_only_postgresql_still_answers_reads(new_postgres_url):
    migrate(new_postgres_url)
    registry = Registry(new_postgres_url)
    registry.clients.add(CLIENT)
    registry.close()
    with psycopg.connect(new_postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET default_transaction_read_only = on")
    with pytest.raises(StoreUnavailable):
        registry.clients.remove("client")
    assert registry.clients.find("client") == CLIENT
    registry.close()


def test_the_detail_of_an_outage_holds_no_value(registry):
    registry.initial_access_tokens.add(InitialAccessToken("id", "name", "SECRETDIGEST", 1.0))
    with pytest.raises(StoreUnavailable) as caught:
        registry.initial_access_tokens.add(InitialAccessToken("other", "name", "SECRETDIGEST", 1.0))
    assert "SECRETDIGEST" not in caught.value.detail


def test_the_file_and_its_folder_are_private_whatever_the_umask(tmp_path):
    former = os.umask(0)
    try:
        migrate(f"sqlite:///{tmp_path}/data/registry.db")
        registry = Registry(f"sqlite:///{tmp_path}/data/registry.db")
        registry.clients.add(CLIENT)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "data").iterdir()}
        registry.close()
    finally:
        os.umask(former)
    assert modes == {"registry.db": 0o600, "registry.db-wal": 0o600, "registry.db-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


@pytest.mark.requirement("F25")
def test_while_another_process_writes_readers_go_on_and_writers_give_up_soon(file_registry, tmp_path):
    file_registry.clients.add(CLIENT)
    other = sqlite3.connect(tmp_path / "registry.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert file_registry.clients.find("client") == CLIENT
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        file_registry.clients.remove("client")
    assert time.monotonic() - started < 3
    other.close()
    assert file_registry.clients.remove("client") is True


def test_a_file_that_is_not_a_database_is_an_outage_and_is_not_touched(tmp_path):
    (tmp_path / "registry.db").write_bytes(b"garbage" * 1000)
    registry = Registry(f"sqlite:///{tmp_path}/registry.db")
    with pytest.raises(StoreUnavailable):
        registry.ping()
    registry.close()
    with pytest.raises(StoreUnavailable):
        migrate(f"sqlite:///{tmp_path}/registry.db")
    assert (tmp_path / "registry.db").read_bytes() == b"garbage" * 1000


def test_options_in_the_url_are_kept_beside_our_own(new_postgres_url):
    database = Database(f"{new_postgres_url}{'&' if '?' in new_postgres_url else '?'}options=-c%20search_path%3Dgateway", patience=7)
    with database.reading() as connection:
        shown = [connection.execute(text(f"SHOW {name}")).scalar() for name in ("search_path", "statement_timeout")]
    database.close()
    assert shown == ["gateway", "7s"]
