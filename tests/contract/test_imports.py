import dataclasses

import pytest

from mcp_server.errors import StoreUnavailable
from mcp_server.oauth.models import Client

CLIENT = Client(
    client_id="imported", client_name="Imported", redirect_uris=("https://dev1.example.com/oauth_redirect.do",), grant_types=("authorization_code",),
    response_types=("code",), token_endpoint_auth_method="client_secret_post", created_at=1000.0, origin="import")


def named(client_id, **changes):
    return dataclasses.replace(CLIENT, client_id=client_id, **changes)


def test_a_content_is_taken_over_once(registry, now):
    assert [registry.imports.take_over("digest", [CLIENT], now) for _ in range(3)] == [1, 0, 0]
    assert registry.clients.find("imported") == CLIENT
    assert registry.imports.take_over("other", [named("second")], now) == 1


def test_a_client_that_was_removed_does_not_come_back_with_the_same_content(registry, now):
    registry.imports.take_over("digest", [CLIENT], now)
    registry.clients.remove("imported")
    assert registry.imports.take_over("digest", [CLIENT], now) == 0
    assert registry.clients.find("imported") is None


def test_a_client_that_is_there_stays_as_it_is(registry, now):
    registry.clients.add(CLIENT)
    assert registry.imports.take_over("digest", [named("imported", client_name="Another"), named("second")], now) == 1
    assert registry.clients.find("imported") == CLIENT


def test_an_import_that_breaks_off_is_as_if_it_had_not_begun(registry, now):
    broken = named("broken", client_name=None)
    with pytest.raises(StoreUnavailable):
        registry.imports.take_over("digest", [CLIENT, broken], now)
    assert registry.clients.find("imported") is None
    assert registry.imports.take_over("digest", [CLIENT], now) == 1


def test_a_content_is_taken_over_by_exactly_one_of_those_who_start_at_once(registry, race, now):
    def take_over(number, _caller):
        return registry.imports.take_over(f"digest{number}", [named(f"client{number}")], now)

    for answers in race(take_over):
        assert sorted(answers) == [0] * (len(answers) - 1) + [1]
