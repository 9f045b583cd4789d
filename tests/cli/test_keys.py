from __future__ import annotations

import pytest

from mcp_server.oauth.key_records import PUBLISHED_FIRST

ES256 = {"JWT_ALGORITHM": "ES256"}
OTHER_SECRET = "Rw3yTb6nMk9pLq2vXs5cZd8fGh1jAe4u"


@pytest.fixture
def keys(run):
    """keys("list", …) → what the command did, where tokens are signed with key pairs."""
    return lambda *arguments, **changes: run("keys", *arguments, **{**ES256, **changes})


def test_without_keys_the_list_is_an_empty_array_and_people_are_told_what_to_do(keys):
    assert keys("list", "--json").json == []
    assert "flask keys rotate" in keys("list").err


def test_the_first_key_signs_and_the_next_one_waits(keys):
    first = keys("rotate", "--json").json
    second = keys("rotate", "--json").json
    assert [first["state"], second["state"]] == ["signs", "waits"]
    rows = keys("list", "--json").json
    assert [(row["kid"], row["state"]) for row in rows] == [(second["kid"], "waits"), (first["kid"], "signs")]
    assert rows[0]["retired_at"] is None
    assert rows[1]["retired_at"] == rows[0]["signs_from"]
    assert "encrypted_jwk" not in rows[0]


def test_people_read_a_table(keys):
    kid = keys("rotate", "--json").json["kid"]
    header, row = keys("list").out.splitlines()
    assert header.split()[:2] == ["KID", "STATE"]
    assert row.split()[:2] == [kid, "signs"]
    assert f"{PUBLISHED_FIRST} seconds" in keys("rotate").err


def test_a_running_server_takes_over_the_new_key_and_serves_both(machine, keys):
    first = keys("rotate", "--json").json["kid"]
    app = machine.app(**ES256)
    signing_keys = app.extensions["services"].signing_keys
    assert signing_keys.active.kid == first
    second = keys("rotate", "--json").json["kid"]
    signing_keys.follow()
    assert [key["kid"] for key in app.test_client().get("/oauth/jwks.json").json["keys"]] == [second, first]


def test_a_key_is_removed_once_another_one_can_sign(keys):
    first = keys("rotate", "--json").json["kid"]
    refused = keys("remove", first)
    assert refused.status == 1
    assert "flask keys rotate" in refused.err
    second = keys("rotate", "--json").json["kid"]
    assert keys("remove", second).status == 1  # the first one retires already
    assert keys("remove", first).status == 0
    assert [(row["kid"], row["state"]) for row in keys("list", "--json").json] == [(second, "signs")]


@pytest.mark.parametrize("kid", ["nothing", "' OR 1=1 --", "--", ""])
def test_a_key_that_is_not_there_cannot_be_removed(keys, kid):
    refused = keys("remove", "--", kid)
    assert refused.status == 1
    assert "flask keys list" in refused.err


def test_a_key_whose_name_begins_with_a_dash_is_no_option(keys):
    refused = keys("remove", "-9eVrHIe-B4CMJh7JRoGGEw4jsdgwPglVOS1yfFnd6g")
    assert refused.status == 1
    assert "There is no key '-9eVrHIe" in refused.err


def test_where_secrets_sign_keys_can_be_made_and_removed_and_people_are_told_that_none_signs(run):
    made = run("keys", "rotate", "--json")
    assert made.json["state"] == "waits"
    assert "JWT_ALGORITHM is HS256" in made.err
    assert run("keys", "remove", made.json["kid"]).status == 0


def test_what_was_done_is_audited_without_any_key(machine, keys):
    first = keys("rotate", "--json").json["kid"]
    second = keys("rotate", "--json").json["kid"]
    keys("remove", first)
    lines = [line for line in machine.audit if line["action"].startswith("signing_key")]
    assert [(line["event_type"], line["action"], line["details"]["kid"]) for line in lines] == [
        ("operator", "signing_key_rotated", first), ("operator", "signing_key_rotated", second), ("operator", "signing_key_removed", first)]
    assert all({"kid", "account"} <= set(line["details"]) <= {"kid", "account", "algorithm"} for line in lines)


def test_after_the_secret_changed_the_keys_are_encrypted_anew_once(machine, keys):
    kid = keys("rotate", "--json").json["kid"]
    changed = {"JWT_SECRET": OTHER_SECRET, "JWT_SECRET_PREVIOUS": machine.environ["JWT_SECRET"]}
    assert keys("rewrap", "--json", **changed).json == {"rewrapped": [kid], "unreadable": []}
    assert keys("rewrap", "--json", **changed).json == {"rewrapped": [], "unreadable": []}
    assert keys("list", "--json", JWT_SECRET=OTHER_SECRET).json[0]["state"] == "signs"
    assert keys("list", "--json").json[0]["state"] == "unreadable"
    assert keys("rewrap", "--json").json == {"rewrapped": [], "unreadable": [kid]}
    assert f"1 cannot be read: {kid}" in keys("rewrap").err


def test_without_tables_the_operator_is_told_what_to_run(new_machine):
    for command in (("list",), ("rotate",), ("remove", "x"), ("rewrap",)):
        failed = new_machine.run("keys", *command, **ES256)
        assert failed.status == 75
        assert "python -m mcp_server.prepare" in failed.err
