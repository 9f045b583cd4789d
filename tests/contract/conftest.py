"""Every back end, and callers that start at the same moment."""

from __future__ import annotations

import multiprocessing
import threading
import uuid

import pytest

from mcp_server.storage.migrations import migrate
from mcp_server.storage.redis import RedisState
from mcp_server.storage.registry import Registry
from mcp_server.storage.sqlite import SqliteState

NOW = 1_000_000.0
ROUNDS = 25


@pytest.fixture
def now():
    """The moment at which a test takes place."""
    return NOW


@pytest.fixture(params=["sqlite", "redis"])
def state(request, tmp_path):
    """The hot state in each of its back ends."""
    if request.param == "sqlite":
        opened = SqliteState(tmp_path / "state.db")
    else:
        opened = RedisState(request.getfixturevalue("redis_url"), prefix=f"{uuid.uuid4().hex}:", clock=lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def migrated_template(postgres_server):
    """The name of a PostgreSQL database with empty tables, to be copied."""
    postgres_server.execute("DROP DATABASE IF EXISTS template_registry")  # tests handed over from another worker make it anew
    postgres_server.execute("CREATE DATABASE template_registry")
    migrate(postgres_server.url_of("template_registry"))
    return "template_registry"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """A migrated database of this test's own."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/registry.db"
        migrate(url)
        yield url
        return
    template, server = request.getfixturevalue("migrated_template"), request.getfixturevalue("postgres_server")
    name = f"registry_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.url_of(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def registry(database_url):
    """The registry in each of its back ends."""
    opened = Registry(database_url)
    yield opened
    opened.close()


@pytest.fixture(params=["threads", "processes"])
def race(request):
    """race(call) → what `call(round, caller)` answered: a list for each round, whose callers started at a barrier."""
    return race_of_threads if request.param == "threads" else race_of_processes


def race_of_threads(call, *, callers=6, rounds=ROUNDS):
    answers = [[None] * callers for _ in range(rounds)]
    barrier = threading.Barrier(callers)

    def run(caller):
        for number in range(rounds):
            barrier.wait(timeout=20)
            try:
                answers[number][caller] = call(number, caller)
            except Exception as error:  # noqa: BLE001 - it is the answer
                answers[number][caller] = repr(error)

    threads = [threading.Thread(target=run, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def race_of_processes(call, *, callers=4, rounds=ROUNDS):
    """By fork, with all that the parent has open: so this also shows that nothing of it is shared."""
    forking = multiprocessing.get_context("fork")
    barrier, results = forking.Barrier(callers), forking.Queue()

    def run(caller):
        answers = []
        for number in range(rounds):
            barrier.wait(timeout=20)
            try:
                answers.append(call(number, caller))
            except Exception as error:  # noqa: BLE001 - it is the answer
                answers.append(repr(error))
        results.put((caller, answers))

    processes = [forking.Process(target=run, args=(caller,)) for caller in range(callers)]
    try:
        for process in processes:
            process.start()
        answers = dict(results.get(timeout=60) for _ in processes)
    finally:
        for process in processes:
            process.join(timeout=5)
            process.kill()
        results.close()
        results.join_thread()
    return [[answers[caller][number] for caller in range(callers)] for number in range(rounds)]
