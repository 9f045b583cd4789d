import dataclasses

import pytest

from mcp_server.oauth.models import Client

CLIENT = Client(
    client_id="client", client_name="Ünïcode's", redirect_uris=("https://a.example/cb", "https://b.example/cb"),
    grant_types=("authorization_code", "refresh_token"), response_types=("code",), token_endpoint_auth_method="client_secret_basic",
    created_at=1_000_000.123456, client_secret_digests=("one", "two"), pkce_required=False, origin="registration",
    metadata={"client_uri": "https://a.example", "contacts": ["a@a.example"]})


@pytest.fixture
def clients(registry):
    registry.clients.add(CLIENT)
    return registry.clients


def test_a_client_is_found_as_it_was_added(clients):
    assert clients.find("client") == CLIENT


def test_an_unknown_client_is_not_found(clients):
    assert clients.find("other") is None


def test_an_id_that_is_taken_is_a_value_error_and_changes_nothing(clients):
    with pytest.raises(ValueError, match="client"):
        clients.add(dataclasses.replace(CLIENT, client_name="Another"))
    assert clients.find("client") == CLIENT


def test_a_replaced_client_is_the_changed_one(clients):
    changed = dataclasses.replace(CLIENT, client_name="Changed", client_secret_digests=("two",))
    assert clients.replace(changed) is True
    assert clients.find("client") == changed


def test_an_unknown_client_is_not_replaced(clients):
    assert clients.replace(dataclasses.replace(CLIENT, client_id="other")) is False
    assert clients.all() == [CLIENT]


def test_a_client_is_removed_once(clients):
    assert clients.remove("client") is True
    assert clients.remove("client") is False
    assert clients.find("client") is None


def test_the_newest_client_comes_first(clients):
    newer = dataclasses.replace(CLIENT, client_id="newer", created_at=1_000_001.0)
    oldest = dataclasses.replace(CLIENT, client_id="oldest", created_at=999_999.0)
    clients.add(oldest)
    clients.add(newer)
    assert clients.all() == [newer, CLIENT, oldest]


def test_an_id_is_given_to_exactly_one_of_those_who_add_it_at_once(registry, race):
    def add(number, caller):
        try:
            registry.clients.add(dataclasses.replace(CLIENT, client_id=f"client{number}", client_name=str(caller)))
        except ValueError:
            return "taken"
        return "added"

    for answers in race(add):
        assert sorted(answers) == ["added"] + ["taken"] * (len(answers) - 1)
