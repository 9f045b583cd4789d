import dataclasses
import uuid

import pytest
import redis

from mcp_server.oauth.models import Grant
from mcp_server.storage.redis import RedisState
from mcp_server.storage.sqlite import SqliteState
from mcp_server.storage.sqlite_schema import SUBJECT

GRANT = Grant("grant", "client", "user", "tools:read", "https://example.com/mcp", created_at=1_000_000.25, expires_at=1_000_060.5)


@pytest.fixture
def grants(state):
    state.grants.add(GRANT)
    return state.grants


def test_a_grant_is_found_as_it_was_added(grants, now):
    assert grants.find("grant", now) == GRANT


def test_an_unknown_grant_is_not_found(grants, now):
    assert grants.find("other", now) is None


def test_a_grant_ends_at_the_exact_second(grants):
    assert grants.find("grant", 1_000_060.499) == GRANT
    assert grants.find("grant", 1_000_060.5) is None
    assert grants.all(1_000_060.5) == []


def test_operators_see_the_newest_grant_first(grants, now):
    newer = dataclasses.replace(GRANT, grant_id="newer", created_at=1_000_001.0)
    oldest = dataclasses.replace(GRANT, grant_id="oldest", created_at=999_999.0)
    grants.add(oldest)
    grants.add(newer)
    assert grants.all(now) == [newer, GRANT, oldest]


def test_operators_see_every_grant_however_many_there_are(state, now):
    expected = {f"grant{number}" for number in range(1500)}
    for grant_id in expected:
        state.grants.add(dataclasses.replace(GRANT, grant_id=grant_id))
    assert {grant.grant_id for grant in state.grants.all(now)} == expected


def test_a_subject_sees_its_own_grants_newest_first(grants, now):
    newer = dataclasses.replace(GRANT, grant_id="newer", created_at=1_000_001.0, ends_at=1_000_090.0, redirect_uri="https://ü.test/")
    for grant in (newer, dataclasses.replace(GRANT, grant_id="another's", subject="user2"), dataclasses.replace(GRANT, grant_id="x", subject="use")):
        grants.add(grant)
    assert grants.of_subject("user", now) == [newer, GRANT]
    assert grants.of_subject("nobody", now) == []


def test_a_grant_of_a_subject_ends_at_the_exact_second_and_does_not_hide_those_that_go_on(grants):
    longer = dataclasses.replace(GRANT, grant_id="longer", expires_at=1_000_090.0)
    grants.add(longer)
    assert grants.of_subject("user", 1_000_060.499) == [GRANT, longer]
    assert grants.of_subject("user", 1_000_060.5) == [longer]
    assert grants.of_subject("user", 1_000_090.0) == []


def test_a_grant_that_is_added_again_takes_the_place_of_the_one_before(grants, now):
    for expires_at in (1_000_090.0, 1_000_030.0):
        moved = dataclasses.replace(GRANT, expires_at=expires_at, last_used_at=now)
        grants.add(moved)
        assert grants.find("grant", now) == moved
        assert grants.of_subject("user", now) == grants.all(now) == [moved]
        assert grants.of_subject("user", expires_at) == []


def test_a_subject_sees_every_grant_however_many_there_are(state, now):
    expected = {f"grant{number}" for number in range(700)}
    for grant_id in expected:
        state.grants.add(dataclasses.replace(GRANT, grant_id=grant_id))
    assert {grant.grant_id for grant in state.grants.of_subject("user", now)} == expected


def test_the_grants_of_a_subject_are_found_by_an_index(tmp_path, now):
    state = SqliteState(tmp_path / "state.db")
    state.grants.add(GRANT)
    query = f"EXPLAIN QUERY PLAN SELECT record FROM grants WHERE {SUBJECT} = ? AND expires_at > ?"
    assert "USING INDEX grants_subject" in str(state.grants._file.run(query, ("user", now)))
    state.close()


def test_what_redis_keeps_of_a_subject_is_no_more_and_lasts_no_longer_than_its_grants(request):
    with redis.Redis.from_url(request.getfixturevalue("redis_url")) as raw:
        clock = lambda: clock.now  # noqa: E731 - a clock that this test sets
        prefix, clock.now = f"{uuid.uuid4().hex}:", 1_000_000.0
        state = RedisState(request.getfixturevalue("redis_url"), prefix=prefix, clock=clock)
        state.grants.add(GRANT)
        assert 60_000 < raw.pttl(f"{prefix}grants-of:user") <= 62_000
        state.grants.add(dataclasses.replace(GRANT, grant_id="shorter", expires_at=1_000_010.0))
        assert 60_000 < raw.pttl(f"{prefix}grants-of:user") <= 62_000
        clock.now = 1_000_061.0
        state.grants.add(dataclasses.replace(GRANT, grant_id="longer", expires_at=1_000_561.0))
        assert raw.zrange(f"{prefix}grants-of:user", 0, -1) == [b"longer"]
        assert 490_000 < raw.pttl(f"{prefix}grants-of:user") <= 502_000
        raw.delete(f"{prefix}grant:longer")
        assert state.grants.of_subject("user", clock.now) == []
        state.close()
