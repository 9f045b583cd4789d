"""What Flask-Limiter counts in, exercised as Flask-Limiter does it."""

import pytest
from flask import Flask
from flask_limiter import Limiter

from mcp_server.storage.limits import SqliteStorage, limiter_options
from mcp_server.storage.sqlite import SqliteState


@pytest.fixture
def storage(tmp_path, clock):
    storage = SqliteStorage(f"sqlite://{tmp_path}/state.db", clock=clock)
    yield storage
    storage.close()


@pytest.fixture
def clock():
    """A clock that the test sets: clock.now."""
    def clock():
        return clock.now

    clock.now = 1_000_000.0
    return clock


@pytest.fixture(params=["sqlite", "redis"])
def client(request, tmp_path):
    """A client of an application that answers three requests a minute."""
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    app = Flask("test")
    options = limiter_options(url, tmp_path / "state.db")
    limiter = Limiter(lambda: str(tmp_path), app=app, default_limits=["3/minute"], strategy="fixed-window", **options)
    app.get("/")(lambda: "ok")
    yield app.test_client()
    storage = limiter.storage
    storage.close() if url is None else storage.storage.connection_pool.disconnect()


def test_flask_limiter_counts_in_each_back_end(client):
    assert [client.get("/").status_code for _ in range(5)] == [200, 200, 200, 429, 429]


def test_hits_add_up_until_the_window_ends_at_the_exact_second(storage, clock):
    assert [storage.incr("key", 60), storage.incr("key", 60, 5)] == [1, 6]
    clock.now += 59.999
    assert (storage.get("key"), storage.get_expiry("key")) == (6, 1_000_060.0)
    clock.now = 1_000_060.0
    assert (storage.get("key"), storage.get_expiry("key")) == (0, 1_000_060.0)
    assert storage.incr("key", 60) == 1
    assert storage.get_expiry("key") == 1_000_120.0


def test_keys_are_cleared_one_by_one_or_all(storage):
    for key in ("a", "b", "c"):
        storage.incr(key, 60)
    storage.clear("a")
    assert [storage.get(key) for key in ("a", "b", "c")] == [0, 1, 1]
    assert storage.reset() == 2


def test_a_storage_says_whether_it_works(storage, tmp_path):
    assert storage.check() is True
    (tmp_path / "file").write_text("")
    assert SqliteStorage(f"sqlite://{tmp_path}/file/state.db").check() is False


def test_the_sweep_of_the_state_deletes_ended_windows(storage, tmp_path):
    storage.incr("key", 60)
    state = SqliteState(tmp_path / "state.db")
    assert [state.sweep(1_000_059.9), state.sweep(1_000_060.0)] == [0, 1]
    state.close()


def test_no_hit_is_lost_or_counted_twice_however_many_come_at_once(storage, race):
    answers = [hits for of_round in race(lambda _number, _caller: storage.incr("key", 60), rounds=200) for hits in of_round]
    assert sorted(answers) == list(range(1, len(answers) + 1))
