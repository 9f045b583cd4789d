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


def test_a_client_that_is_used_knows_when_and_the_time_never_goes_back(clients):
    assert clients.find("client").last_used_at is None
    for moment in (1_000_005.5, 1_000_003.0):
        clients.touch("client", moment)
        assert clients.find("client").last_used_at == 1_000_005.5


def test_using_an_unknown_client_makes_none(clients):
    clients.touch("other", 1_000_005.5)
    assert clients.all() == [CLIENT]


def test_a_client_that_is_changed_keeps_when_it_was_used(clients):
    clients.touch("client", 1_000_005.0)
    assert clients.replace(dataclasses.replace(CLIENT, client_name="Changed")) is True
    assert clients.find("client") == dataclasses.replace(CLIENT, client_name="Changed", last_used_at=1_000_005.0)


@pytest.mark.parametrize(("used_at", "since", "removed"), [
    (None, 1_000_001.0, True), (None, 1_000_000.0, False), (1_000_005.0, 1_000_005.1, True), (1_000_005.0, 1_000_005.0, False),
    (1_000_005.0, 1_000_001.0, False)])
def test_only_a_client_that_was_neither_made_nor_used_since_then_is_removed_as_unused(clients, used_at, since, removed):
    if used_at is not None:
        clients.touch("client", used_at)
    assert clients.remove_unused("client", since) is removed
    assert (clients.find("client") is None) is removed
    assert clients.remove_unused("other", since) is False


def test_a_client_keeps_what_it_registered_with(registry):
    registered = dataclasses.replace(
        CLIENT, registration_access_token_digest="digest", registered_with="token", instance="https://a.example", last_used_at=1_000_001.5)
    registry.clients.add(registered)
    assert registry.clients.find("client") == registered


def test_of_a_use_and_a_removal_as_unused_at_once_the_client_is_gone_or_has_its_use(registry, race):
    for number in range(25):
        registry.clients.add(dataclasses.replace(CLIENT, client_id=f"client{number}"))

    def use_or_remove(number, caller):
        if caller % 2:
            return registry.clients.remove_unused(f"client{number}", 1_000_003.0)
        registry.clients.touch(f"client{number}", 1_000_005.0)
        return None

    for number, answers in enumerate(race(use_or_remove)):
        left = registry.clients.find(f"client{number}")
        assert answers.count(True) == (left is None)
        assert left is None or left.last_used_at == 1_000_005.0
