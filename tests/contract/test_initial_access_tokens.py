import dataclasses

import pytest

from mcp_server.oauth.models import InitialAccessToken

TOKEN = InitialAccessToken("id", "name", "digest", created_at=1_000_000.0, expires_at=1_000_060.0, uses_left=2, instance="https://a.example")


@pytest.fixture
def tokens(registry):
    registry.initial_access_tokens.add(TOKEN)
    return registry.initial_access_tokens


def test_a_token_is_listed_as_it_was_added(tokens):
    assert tokens.all() == [TOKEN]


def test_a_count_of_two_is_used_twice(tokens, now):
    used = [tokens.use("digest", now) for _ in range(3)]
    assert used == [dataclasses.replace(TOKEN, uses_left=1), dataclasses.replace(TOKEN, uses_left=0), None]


def test_an_unknown_token_is_not_used(tokens, now):
    assert tokens.use("other", now) is None


def test_a_token_expires_at_the_exact_second(tokens):
    assert tokens.use("digest", 1_000_060.0) is None
    assert tokens.use("digest", 1_000_059.999) is not None


def test_a_token_without_count_and_end_is_used_again_and_again(registry):
    unlimited = dataclasses.replace(TOKEN, expires_at=None, uses_left=None)
    registry.initial_access_tokens.add(unlimited)
    assert [registry.initial_access_tokens.use("digest", 9e9) for _ in range(3)] == [unlimited] * 3
    registry.initial_access_tokens.give_back("id")
    assert registry.initial_access_tokens.all() == [unlimited]


def test_a_use_that_is_given_back_can_be_used(tokens, now):
    for _ in range(2):
        tokens.use("digest", now)
    tokens.give_back("id")
    assert [tokens.use("digest", now) is not None for _ in range(2)] == [True, False]


def test_a_token_is_removed_once(tokens, now):
    assert [tokens.remove("id"), tokens.remove("id")] == [True, False]
    assert tokens.use("digest", now) is None


def test_the_newest_token_comes_first(tokens):
    newer = dataclasses.replace(TOKEN, token_id="newer", token_digest="other", created_at=1_000_001.0)
    tokens.add(newer)
    assert tokens.all() == [newer, TOKEN]


@pytest.mark.parametrize("uses", [1, 3])
def test_a_count_is_used_exactly_so_often_however_many_ask_at_once(registry, race, now, uses):
    def use(number, _caller):
        return registry.initial_access_tokens.use(f"digest{number}", now) is not None

    for number in range(25):
        registry.initial_access_tokens.add(dataclasses.replace(TOKEN, token_id=str(number), token_digest=f"digest{number}", uses_left=uses))
    for answers in race(use):
        assert answers.count(True) == uses
        assert answers.count(False) == len(answers) - uses
