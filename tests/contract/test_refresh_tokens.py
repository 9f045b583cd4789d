import dataclasses

import pytest

from mcp_server.oauth.models import RefreshToken, Rotation

TOKEN = RefreshToken("client", "user", "tools:read", "https://example.com/mcp", "grant", expires_at=1_000_060.0)
SUCCESSOR = dataclasses.replace(TOKEN, expires_at=1_000_090.0)


@pytest.fixture
def tokens(state):
    state.refresh_tokens.add("old", TOKEN)
    return state.refresh_tokens


def test_a_token_is_found_as_it_was_added(tokens, now):
    assert tokens.find("old", now) == TOKEN


def test_a_token_that_was_added_rotated_or_dead_is_so(state, now):
    used_up = dataclasses.replace(TOKEN, rotated_at=999_999.123456789, dead=True)
    state.refresh_tokens.add("used up", used_up)
    assert state.refresh_tokens.find("used up", now) == used_up


def test_rotation_uses_the_token_up_and_stores_the_successor(tokens, now):
    assert tokens.rotate("old", "new", SUCCESSOR, now=now, grace=0) is Rotation.ROTATED
    assert tokens.find("old", now) == dataclasses.replace(TOKEN, rotated_at=now)
    assert tokens.find("new", now) == SUCCESSOR


def test_without_grace_a_rotated_token_is_reused_and_nothing_is_stored(tokens, now):
    tokens.rotate("old", "new", SUCCESSOR, now=now, grace=0)
    assert tokens.rotate("old", "newer", SUCCESSOR, now=now, grace=0) is Rotation.REUSED
    assert tokens.find("newer", now) is None
    assert tokens.find("new", now) == SUCCESSOR


def test_an_unknown_token_is_not_rotated_and_nothing_is_stored(tokens, now):
    assert tokens.rotate("other", "new", SUCCESSOR, now=now, grace=60) is Rotation.UNKNOWN
    assert tokens.find("new", now) is None


def test_a_token_expires_at_the_exact_second(tokens):
    assert tokens.find("old", 1_000_059.999) == TOKEN
    assert tokens.find("old", 1_000_060.0) is None
    assert tokens.rotate("old", "new", SUCCESSOR, now=1_000_060.0, grace=60) is Rotation.UNKNOWN
    assert tokens.find("new", 1_000_060.0) is None


def test_within_grace_the_unused_successor_dies_and_the_new_one_lives(tokens, now):
    tokens.rotate("old", "new", SUCCESSOR, now=now, grace=10)
    assert tokens.rotate("old", "newer", SUCCESSOR, now=now + 10, grace=10) is Rotation.REPEATED
    assert tokens.find("new", now + 10) == dataclasses.replace(SUCCESSOR, dead=True)
    assert tokens.find("newer", now + 10) == SUCCESSOR
    assert tokens.find("old", now + 10) == dataclasses.replace(TOKEN, rotated_at=now)


def test_grace_counts_from_the_first_rotation(tokens, now):
    tokens.rotate("old", "new", SUCCESSOR, now=now, grace=10)
    tokens.rotate("old", "newer", SUCCESSOR, now=now + 8, grace=10)
    assert tokens.rotate("old", "newest", SUCCESSOR, now=now + 10.001, grace=10) is Rotation.REUSED
    assert tokens.find("newest", now) is None
    assert tokens.find("newer", now) == SUCCESSOR


def test_a_token_can_be_repeated_more_than_once_within_grace(tokens, now):
    tokens.rotate("old", "first", SUCCESSOR, now=now, grace=10)
    assert tokens.rotate("old", "second", SUCCESSOR, now=now + 1, grace=10) is Rotation.REPEATED
    assert tokens.rotate("old", "third", SUCCESSOR, now=now + 2, grace=10) is Rotation.REPEATED
    assert [tokens.find(digest, now).dead for digest in ("first", "second", "third")] == [True, True, False]


def test_once_the_successor_was_used_the_token_is_reused_even_within_grace(tokens, now):
    tokens.rotate("old", "new", SUCCESSOR, now=now, grace=10)
    tokens.rotate("new", "newer", SUCCESSOR, now=now, grace=10)
    assert tokens.rotate("old", "newest", SUCCESSOR, now=now, grace=10) is Rotation.REUSED
    assert tokens.find("newest", now) is None
    assert tokens.find("newer", now) == SUCCESSOR


def test_once_the_successor_has_expired_the_token_is_reused(tokens, now):
    tokens.rotate("old", "new", dataclasses.replace(SUCCESSOR, expires_at=now + 5), now=now, grace=10)
    assert tokens.rotate("old", "newer", SUCCESSOR, now=now + 5, grace=10) is Rotation.REUSED


def test_a_dead_token_is_reused_even_within_grace(tokens, now):
    tokens.rotate("old", "new", SUCCESSOR, now=now, grace=10)
    tokens.rotate("old", "newer", SUCCESSOR, now=now, grace=10)
    assert tokens.rotate("new", "newest", SUCCESSOR, now=now, grace=10) is Rotation.REUSED
    assert tokens.find("newest", now) is None


def test_without_grace_exactly_one_of_those_who_ask_at_once_rotates(state, race, now):
    def rotate(number, caller):
        return state.refresh_tokens.rotate(f"old{number}", f"new{number}.{caller}", SUCCESSOR, now=now, grace=0).value

    add(state, 25)
    for number, answers in enumerate(race(rotate)):
        assert sorted(answers) == ["reused"] * (len(answers) - 1) + ["rotated"]
        assert live_branches(state, number, now) == 1


def test_within_grace_at_most_one_branch_is_live_however_many_ask_at_once(state, race, now):
    def rotate(number, caller):
        return state.refresh_tokens.rotate(f"old{number}", f"new{number}.{caller}", SUCCESSOR, now=now, grace=60).value

    add(state, 25)
    for number, answers in enumerate(race(rotate)):
        assert sorted(answers) == ["repeated"] * (len(answers) - 1) + ["rotated"]
        assert live_branches(state, number, now) == 1


def test_a_repeat_and_the_use_of_the_successor_leave_one_branch(state, race, now):
    def rotate_or_go_on(number, caller):
        old = "old" if caller % 2 else "next"
        return state.refresh_tokens.rotate(f"{old}{number}", f"new{number}.{caller}", SUCCESSOR, now=now, grace=60).value

    add(state, 25)
    for number in range(25):
        state.refresh_tokens.rotate(f"old{number}", f"next{number}", SUCCESSOR, now=now, grace=60)
    for number, answers in enumerate(race(rotate_or_go_on)):
        assert not [answer for answer in answers if answer not in ("rotated", "repeated", "reused")]
        assert live_branches(state, number, now) == 1


def add(state, count):
    for number in range(count):
        state.refresh_tokens.add(f"old{number}", TOKEN)


def live_branches(state, number, now):
    """How many tokens of a round can still be exchanged."""
    digests = [f"old{number}", f"next{number}", *(f"new{number}.{caller}" for caller in range(8))]
    tokens = [token for digest in digests if (token := state.refresh_tokens.find(digest, now))]
    return len([token for token in tokens if token.rotated_at is None and not token.dead])
