import dataclasses

import pytest

from mcp_server.oauth.models import AuthorizationCode

CODE = AuthorizationCode(
    client_id="client", redirect_uri="https://example.com/cb?a=ü", redirect_uri_given=True, scope="tools:read", subject="user",
    resource="https://example.com/mcp", grant_id="grant", expires_at=1_000_060.0, code_challenge="challenge")


@pytest.fixture
def codes(state):
    state.codes.add("digest", CODE)
    return state.codes


def test_a_code_is_found_as_it_was_added(codes, now):
    assert codes.find("digest", now) == CODE


def test_an_unknown_code_is_not_found_and_not_claimed(codes, now):
    assert codes.find("other", now) is None
    assert codes.claim("other", now) is False


def test_a_code_is_claimed_once(codes, now):
    assert [codes.claim("digest", now) for _ in range(3)] == [True, False, False]


def test_a_claimed_code_stays_findable_as_evidence_of_a_replay(codes, now):
    codes.claim("digest", now)
    assert codes.find("digest", now) == dataclasses.replace(CODE, claimed=True)


def test_a_code_that_is_added_again_stays_as_it_is(codes, now):
    other = dataclasses.replace(CODE, expires_at=1_000_090.0, scope="tools:execute")
    codes.add("digest", other)
    assert codes.find("digest", now) == CODE
    codes.claim("digest", now)
    codes.add("digest", CODE)
    assert codes.find("digest", now) == dataclasses.replace(CODE, claimed=True)
    assert codes.claim("digest", now) is False


def test_a_code_expires_at_the_exact_second(codes):
    assert codes.find("digest", 1_000_059.999) == CODE
    assert codes.find("digest", 1_000_060.0) is None


def test_an_expired_code_is_not_claimed(codes):
    assert codes.claim("digest", 1_000_060.0) is False
    assert codes.claim("digest", 1_000_059.999) is True


def test_a_code_is_claimed_by_exactly_one_of_those_who_ask_at_once(state, race, now):
    def claim(number, _caller):
        return state.codes.claim(f"digest{number}", now)

    for number in range(25):
        state.codes.add(f"digest{number}", CODE)
    for answers in race(claim):
        assert sorted(answers) == [False] * (len(answers) - 1) + [True]
