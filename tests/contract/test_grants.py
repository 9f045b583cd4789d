import dataclasses

import pytest

from mcp_server.oauth.models import Grant

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
