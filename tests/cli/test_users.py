from __future__ import annotations

import dataclasses

import pytest

from mcp_server.oauth.models import Grant, User

PASSWORD = "correct horse battery"


def verified(machine, name, password):
    built = machine.services
    return built.passwords.verify(password, built.users.find(name).password_hash)


def test_without_users_the_list_is_an_empty_array_and_people_are_told_what_to_do(run):
    assert run("users", "list", "--json").json == []
    assert "flask users add" in run("users", "list").err


def test_a_generated_password_is_printed_once_and_works(machine, run):
    added = run("users", "add", "admin", "--operator", "--generate")
    password = next(line.split()[1] for line in added.out.splitlines() if line.startswith("password"))
    assert "shown this once" in added.out
    assert verified(machine, "admin", password)
    assert password not in run("users", "list", "--json").out
    assert password not in added.err


def test_json_of_a_generated_password_has_nothing_else_on_stdout(run):
    added = run("users", "add", "jo", "--generate", "--json").json
    assert added["username"] == "jo"
    assert len(added["password"]) >= 32


def test_a_password_is_read_from_standard_input(machine, run):
    added = run("users", "add", "jo", "--password-stdin", input=f"{PASSWORD}\n")
    assert added.status == 0
    assert PASSWORD not in added.out + added.err
    assert verified(machine, "jo", PASSWORD)


def test_a_typed_password_is_asked_for_twice(machine, run):
    assert run("users", "add", "jo", input=f"{PASSWORD}\n{PASSWORD}\n").status == 0
    assert verified(machine, "jo", PASSWORD)


def test_two_different_typed_passwords_add_nobody(run):
    assert run("users", "add", "jo", input=f"{PASSWORD}\nsomething else\n").status == 1
    assert run("users", "list", "--json").json == []


def test_a_short_typed_password_is_refused_in_words(run):
    refused = run("users", "add", "jo", "--password-stdin", input="eleven-char\n")
    assert refused.status == 1
    assert "at least 12" in refused.err


@pytest.mark.parametrize("name", ["", " jo", "jo ", "j\x1bo", "j" * 101])
def test_a_name_that_cannot_be_read_or_typed_is_refused(run, name):
    assert run("users", "add", name, "--generate").status == 2


def test_a_name_is_given_once_whatever_its_case(run):
    run("users", "add", "Jo", "--generate")
    again = run("users", "add", "jO", "--generate")
    assert again.status == 1
    assert "flask users passwd" in again.err


def test_passwd_replaces_the_password(machine, run):
    run("users", "add", "jo", "--password-stdin", input=f"{PASSWORD}\n")
    assert run("users", "passwd", "jo", "--password-stdin", input="another long one\n").status == 0
    assert verified(machine, "jo", "another long one")
    assert not verified(machine, "jo", PASSWORD)


def test_remove_ends_what_the_person_approved(machine, run):
    user_id = run("users", "add", "jo", "--generate", "--json").json["user_id"]
    assert run("users", "remove", "jo", "--yes").status == 0
    assert run("users", "list", "--json").json == []
    assert machine.services.revocations.any_revoked((f"user:{user_id}",))


def test_remove_asks_first(machine, run):
    run("users", "add", "jo", "--generate")
    assert run("users", "remove", "jo", input="n\n").status == 1
    assert [user["username"] for user in run("users", "list", "--json").json] == ["jo"]


@pytest.mark.parametrize("arguments", [("passwd", "nobody", "--generate"), ("remove", "nobody", "--yes")])
def test_an_unknown_name_is_an_error_in_words(run, arguments):
    refused = run("users", *arguments)
    assert refused.status == 1
    assert "There is no user 'nobody'" in refused.err


def test_each_change_leaves_an_audit_record_of_an_operator_without_the_password(machine, run):
    run("users", "add", "jo", "--password-stdin", input=f"{PASSWORD}\n")
    (record,) = machine.audit
    assert (record["event_type"], record["action"], record["result"]) == ("operator", "user_added", "success")
    assert record["details"]["account"]
    assert PASSWORD not in str(record)


def test_without_tables_the_status_is_75_and_the_text_says_what_to_run(new_machine):
    failed = new_machine.run("users", "list")
    assert failed.status == 75
    assert "python -m mcp_server.prepare" in failed.err


ISSUER = "https://login.acme.test/"


@pytest.fixture
def from_provider(machine):
    user = User("9", "zoe", "", created_at=1.0, issuer=ISSUER, external_subject="1")
    machine.services.users.add(user)
    return user


def test_the_list_shows_where_a_person_comes_from(run, from_provider):
    run("users", "add", "jo", "--generate")
    assert [(user["username"], user["provider"]) for user in run("users", "list", "--json").json] == [("jo", ""), ("zoe", ISSUER)]
    assert ISSUER in run("users", "list").out


def test_who_comes_from_a_provider_is_given_no_password(machine, run, from_provider):
    refused = run("users", "passwd", "zoe", "--generate")
    assert (refused.status, ISSUER in refused.err) == (1, True)
    assert machine.services.users.find("zoe").password_hash == ""


def test_who_is_disabled_is_ended_and_can_be_let_in_again(machine, run, from_provider):
    built, now = machine.services, machine.services.clock()
    for grant_id, subject in (("theirs", "9"), ("another's", "8")):
        built.grants.add(Grant(grant_id, "client", subject, "tools:read", "https://mcp.test/mcp", now, now + 60))
    assert run("users", "disable", "zoe").status == 0
    assert built.users.find("zoe") == dataclasses.replace(from_provider, disabled=True)
    assert built.revocations.any_revoked(("theirs",))
    assert not built.revocations.any_revoked(("another's",))
    assert run("users", "enable", "zoe").status == 0
    assert built.users.find("zoe") == from_provider
    assert not built.revocations.any_revoked(("user:9",))
    assert [record["action"] for record in machine.audit] == ["user_disabled", "user_enabled"]


@pytest.mark.parametrize("command", ["disable", "enable"])
def test_nobody_of_that_name_can_be_disabled_or_enabled(run, command):
    refused = run("users", command, "nobody")
    assert (refused.status, "There is no user 'nobody'" in refused.err) == (1, True)
