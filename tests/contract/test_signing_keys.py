import dataclasses

import pytest

from mcp_server.oauth.models import SigningKey

KEY = SigningKey("kid", "ES256", "encrypted", created_at=1_000_000.5)


@pytest.fixture
def keys(registry):
    registry.signing_keys.add(KEY)
    return registry.signing_keys


def test_the_newest_key_comes_first(keys):
    newer = dataclasses.replace(KEY, kid="newer", created_at=1_000_001.0)
    keys.add(newer)
    assert keys.all() == [newer, KEY]


def test_a_key_is_retired_once(keys, now):
    assert [keys.retire("kid", now), keys.retire("kid", now + 1), keys.retire("other", now)] == [True, False, False]
    assert keys.all() == [dataclasses.replace(KEY, retired_at=now)]


def test_a_key_is_removed_once(keys):
    assert [keys.remove("kid"), keys.remove("kid")] == [True, False]
    assert keys.all() == []
