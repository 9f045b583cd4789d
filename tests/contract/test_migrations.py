import multiprocessing
import time

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from mcp_server.oauth.models import SigningKey
from mcp_server.storage import migrations
from mcp_server.storage.database import Database
from mcp_server.storage.migrations import migrate, pending
from mcp_server.storage.registry import Registry
from mcp_server.storage.registry_tables import metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/folder/registry.db"
    return request.getfixturevalue("new_postgres_url")


@pytest.fixture
def connect():
    """connect(url) → a connection of the test's own."""
    engines = []

    def connect(url):
        engines.append(sa.create_engine(url, poolclass=sa.NullPool))
        return engines[-1].connect()

    yield connect
    for engine in engines:
        engine.dispose()


def test_migration_makes_exactly_the_tables_that_the_code_knows(empty_url, connect):
    migrate(empty_url)
    with connect(empty_url) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_an_empty_database_is_pending_until_it_is_migrated(empty_url):
    assert pending(empty_url) is True
    migrate(empty_url)
    assert pending(empty_url) is False


def test_asking_whether_it_is_pending_makes_no_file(tmp_path):
    pending(f"sqlite:///{tmp_path}/registry.db")
    assert list(tmp_path.iterdir()) == []


def test_migrating_again_keeps_the_data(empty_url):
    migrate(empty_url)
    registry = Registry(empty_url)
    registry.signing_keys.add_first(SigningKey("kid", "ES256", "encrypted", 1.0))
    migrate(empty_url)
    assert [key.kid for key in registry.signing_keys.all()] == ["kid"]
    registry.close()


def test_several_processes_may_migrate_at_once(empty_url):
    forking = multiprocessing.get_context("fork")
    barrier = forking.Barrier(4)

    def start():
        barrier.wait(timeout=20)
        migrate(empty_url)

    processes = [forking.Process(target=start) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert pending(empty_url) is False


def test_a_database_that_a_newer_release_has_migrated_is_left_as_it_is(empty_url, connect):
    migrate(empty_url)
    with connect(empty_url) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()
    assert pending(empty_url) is False
    migrate(empty_url)
    registry = Registry(empty_url)
    assert registry.clients.all() == []
    registry.close()


def test_clients_of_before_count_as_used_when_their_tables_are_brought_up_to_date(empty_url):
    database = Database(empty_url, create=True)
    with database.writing() as connection:
        command.upgrade(migrations._config(connection), "0001")
        connection.execute(sa.text(
            "INSERT INTO clients VALUES ('old', 'Old', '[]', '[]', '[]', 'none', 1.0, '', '[]', :yes, 'registration', '{}')"), {"yes": True})
    database.close()
    assert pending(empty_url) is True
    before = time.time()
    migrate(empty_url)
    registry = Registry(empty_url)
    assert before <= registry.clients.find("old").last_used_at <= time.time()
    assert registry.clients.remove_unused("old", before) is False
    registry.close()
