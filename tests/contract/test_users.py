import dataclasses

import pytest

from mcp_server.oauth.models import User

USER = User(user_id="1", username="Ärger", password_hash="hash", created_at=1_000_000.5, operator=True)


@pytest.fixture
def users(registry):
    registry.users.add(USER)
    return registry.users


@pytest.mark.parametrize("username", ["Ärger", "ärger", "ÄRGER"])
def test_a_user_is_found_by_name_without_regard_to_case(users, username):
    assert users.find(username) == USER


def test_a_user_is_found_by_id(users):
    assert users.find_by_id("1") == USER


def test_an_unknown_user_is_not_found(users):
    assert users.find("other") is None
    assert users.find_by_id("2") is None


def test_a_name_that_is_taken_in_another_case_is_a_value_error(users):
    with pytest.raises(ValueError, match="already"):
        users.add(dataclasses.replace(USER, user_id="2", username="äRGER"))
    assert users.all() == [USER]


def test_a_replaced_user_is_the_changed_one(users):
    changed = dataclasses.replace(USER, username="Other", password_hash="other", disabled=True)
    assert users.replace(changed) is True
    assert users.find("other") == changed
    assert users.find("Ärger") is None


def test_a_name_is_not_changed_to_one_that_is_taken(users):
    other = dataclasses.replace(USER, user_id="2", username="Other")
    users.add(other)
    with pytest.raises(ValueError, match="already"):
        users.replace(dataclasses.replace(other, username="ärger"))
    assert users.find("other") == other


def test_an_unknown_user_is_not_replaced(users):
    assert users.replace(dataclasses.replace(USER, user_id="2", username="Other")) is False


def test_a_user_is_removed_once_by_name_in_any_case(users):
    assert users.remove("ärgER") is True
    assert users.remove("Ärger") is False
    assert users.find_by_id("1") is None


def test_users_come_by_name(users):
    others = [dataclasses.replace(USER, user_id=name, username=name) for name in ("zoe", "Bob", "adam")]
    for other in others:
        users.add(other)
    assert [user.username for user in users.all()] == ["adam", "Bob", "zoe", "Ärger"]


def test_a_name_is_given_to_exactly_one_of_those_who_add_it_at_once(registry, race):
    def add(number, caller):
        name = f"Name{number}" if caller % 2 else f"naME{number}"
        try:
            registry.users.add(dataclasses.replace(USER, user_id=f"{number}.{caller}", username=name))
        except ValueError:
            return "taken"
        return "added"

    for answers in race(add):
        assert sorted(answers) == ["added"] + ["taken"] * (len(answers) - 1)


IDENTITY = {"issuer": "https://login.acme.test/", "external_subject": "Zoé|1"}
EXTERNAL = dataclasses.replace(USER, user_id="9", username="zoe", password_hash="", **IDENTITY)


def test_a_user_is_found_by_the_identity_at_a_provider_letter_by_letter(users):
    users.add(EXTERNAL)
    assert users.find_by_identity(*IDENTITY.values()) == EXTERNAL
    for other in (("https://login.acme.test", "Zoé|1"), ("https://login.acme.test/", "zoé|1"), ("https://login.acme.test/", "Zoé|1 ")):
        assert users.find_by_identity(*other) is None


def test_local_users_have_no_identity_and_there_may_be_many(users):
    users.add(dataclasses.replace(USER, user_id="2", username="Other"))
    assert users.find_by_identity("", "") is None


def test_an_identity_belongs_to_one_user(users):
    users.add(EXTERNAL)
    with pytest.raises(ValueError, match="already"):
        users.add(dataclasses.replace(EXTERNAL, user_id="10", username="another"))
    users.add(dataclasses.replace(EXTERNAL, user_id="11", username="elsewhere", issuer="https://other.test"))
    assert users.find_by_identity(*IDENTITY.values()) == EXTERNAL


def test_a_user_is_renamed_and_nothing_else_of_it_changes(users):
    assert users.rename("1", "New Name") is True
    assert users.find("new name") == dataclasses.replace(USER, username="New Name")
    assert users.find("Ärger") is None


def test_nobody_is_renamed_to_a_name_that_is_taken_and_who_is_gone_is_not_renamed(users):
    users.add(EXTERNAL)
    with pytest.raises(ValueError, match="already"):
        users.rename("9", "ÄRGER")
    assert users.rename("404", "free") is False
    assert users.find_by_id("9") == EXTERNAL


def test_an_identity_is_given_to_exactly_one_of_those_who_add_it_at_once(registry, race):
    def add(number, caller):
        name = f"{number}.{caller}"
        try:
            registry.users.add(dataclasses.replace(EXTERNAL, user_id=name, username=name, external_subject=str(number)))
        except ValueError:
            return "taken"
        return "added"

    for answers in race(add):
        assert sorted(answers) == ["added"] + ["taken"] * (len(answers) - 1)
