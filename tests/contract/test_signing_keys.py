import dataclasses
import threading

import pytest

from mcp_server.oauth.models import SigningKey

KEY = SigningKey("kid", "ES256", "encrypted", created_at=1_000_000.5)
NEWER = dataclasses.replace(KEY, kid="newer", created_at=1_000_001.0)


@pytest.fixture
def keys(registry):
    assert registry.signing_keys.add_first(KEY)
    return registry.signing_keys


def test_a_first_key_is_added_only_when_there_is_none(keys):
    assert not keys.add_first(NEWER)
    assert keys.all() == [KEY]


def test_of_many_first_keys_at_once_one_is_added(registry):
    start, added = threading.Barrier(8), []

    def add(number):
        start.wait()
        added.append(registry.signing_keys.add_first(dataclasses.replace(KEY, kid=str(number))))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(added) == [False] * 7 + [True]
    assert len(registry.signing_keys.all()) == 1


def test_a_successor_comes_first_and_the_others_retire_at_the_given_time(keys, now):
    keys.succeed(NEWER, now + 90)
    assert keys.all() == [NEWER, dataclasses.replace(KEY, retired_at=now + 90)]


def test_a_key_retires_once(keys, now):
    keys.succeed(NEWER, now + 90)
    keys.succeed(dataclasses.replace(KEY, kid="newest", created_at=1_000_002.0), now + 95)
    assert [(key.kid, key.retired_at) for key in keys.all()] == [("newest", None), ("newer", now + 95), ("kid", now + 90)]


def test_a_key_is_encrypted_anew_and_stays_the_same(keys):
    assert [keys.rewrap("kid", "otherwise"), keys.rewrap("other", "otherwise")] == [True, False]
    assert keys.all() == [dataclasses.replace(KEY, encrypted_jwk="otherwise")]


def test_a_key_is_removed_once(keys):
    assert [keys.remove("kid"), keys.remove("kid")] == [True, False]
    assert keys.all() == []
