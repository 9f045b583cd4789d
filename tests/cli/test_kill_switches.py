"""What an operator ends at once, and that nothing else ends with it."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from mcp_server.oauth.models import Client, Grant, User

INSTANCE, OTHER_INSTANCE = "https://dev1.service-now.com", "https://dev2.service-now.com"


@pytest.fixture
def built(machine):
    """Two people, three clients on two instances, and a grant of each person to each client; and one that a client has for itself."""
    built, now = machine.services, machine.services.clock()
    for name in ("ada", "bob"):
        built.users.add(User(name * 10, name, "hash", now))
    for client_id, redirect_uri, instance in (
            ("one", f"{INSTANCE}/oauth_redirect.do", None), ("bound", "https://elsewhere.test/cb", f"{INSTANCE}:443"),
            ("two", f"{OTHER_INSTANCE}/cb", None)):
        built.clients.add(Client(client_id, client_id, (redirect_uri,), (), (), "none", now, instance=instance))
    numbers = itertools.count()
    for client_id in ("one", "bound", "two"):
        for subject in ("ada" * 10, "bob" * 10):
            built.grants.add(Grant(f"{client_id}-{subject[:3]}", client_id, subject, "tools:read", "r", now + next(numbers), now + 1000))
    built.grants.add(Grant("one-itself", "one", "client:one", "tools:read", "r", now, now + 1000))
    return built


def in_force(built):
    return {grant.grant_id for grant in built.grants_in_force.all()}


@pytest.mark.requirement("REV-016")
@pytest.mark.parametrize(("arguments", "ended"), [
    (("--client", "one"), {"one-ada", "one-bob", "one-itself"}),
    (("--user", "Ada"), {"one-ada", "bound-ada", "two-ada"}),
    (("--instance", INSTANCE), {"one-ada", "one-bob", "one-itself", "bound-ada", "bound-bob"}),
    (("--instance", f"{OTHER_INSTANCE.upper().replace('HTTPS', 'https')}:443/"), {"two-ada", "two-bob"}),
    (("--all", "--yes"), {"one-ada", "one-bob", "one-itself", "bound-ada", "bound-bob", "two-ada", "two-bob"})])
def test_what_is_named_ends_and_nothing_else(run, built, arguments, ended):
    before = in_force(built)
    said = run("tokens", "revoke", *arguments, "--json")
    assert (said.status, said.err) == (0, "")
    assert said.json["ended"] == len(ended)
    assert {grant["grant_id"] for grant in said.json["grants"]} == ended
    assert in_force(built) == before - ended
    again = run("tokens", "revoke", *arguments)
    assert (again.status, again.out) == (0, "")
    assert "nothing had to be ended" in again.err


def test_tokens_that_were_issued_before_are_revoked_for_as_long_as_they_would_last(machine, run, built):
    token = built.access_tokens.issue(client_id="one", subject="ada" * 10, scope="tools:read", grant_id="one-ada")
    run("tokens", "revoke", "--user", "ada")
    assert run("tokens", "show", token, "--json").json["revoked"]
    grant = built.grants.find("one-ada", built.clock())
    at_the_end = grant.expires_at + built.access_tokens.accepted_for - 10
    assert built.registry.revocations.any_revoked(("one-ada",), at_the_end)


def test_what_is_approved_after_a_kill_works(run, built):
    assert "3 approvals ended" in run("tokens", "revoke", "--client", "one").err
    again = dataclasses.replace(built.grants.find("one-ada", built.clock()), grant_id="again")
    built.grants.add(again)
    assert "again" in in_force(built)
    assert not built.revocations.any_revoked(("again", "client:one", f"user:{again.subject}"))


def test_a_grant_to_a_redirect_uri_of_the_instance_ends_also_when_its_client_has_moved_on(run, built):
    grant = built.grants.find("two-ada", built.clock())
    built.grants.add(dataclasses.replace(grant, redirect_uri=f"{INSTANCE}/was-here.do"))
    assert "two-ada" in {ended["grant_id"] for ended in run("tokens", "revoke", "--instance", INSTANCE, "--json").json["grants"]}


def test_ending_everything_asks_first(run, built):
    before = in_force(built)
    refused = run("tokens", "revoke", "--all", input="n\n")
    assert refused.status == 1
    assert "End all 7 approvals?" in refused.err
    assert in_force(built) == before
    assert run("tokens", "revoke", "--all", input="y\n").status == 0
    assert in_force(built) == set()


@pytest.mark.parametrize(("arguments", "status", "said"), [
    ((), 2, "Say what to end"), (("--client", "one", "--user", "ada"), 2, "one of them only"), (("one-ada", "--all"), 2, "one of them only"),
    (("--client", "nobody"), 1, "no client 'nobody'"), (("--user", "nobody"), 1, "no user 'nobody'"),
    (("--instance", "dev1"), 2, "ServiceNow instance")])
def test_what_cannot_be_meant_ends_nothing_and_says_why(run, built, arguments, status, said):
    before = in_force(built)
    refused = run("tokens", "revoke", *arguments)
    assert refused.status == status
    assert said in refused.err
    assert in_force(built) == before


def test_a_client_that_is_gone_but_has_a_grant_is_ended_too(run, built):
    built.clients.remove("one")
    assert run("tokens", "revoke", "--client", "one", "--json").json["ended"] == 3


def test_who_ended_what_is_audited_grant_by_grant(machine, run, built):
    run("tokens", "revoke", "--client", "two")
    command, *each = machine.audit[-3:]
    assert (command["event_type"], command["action"], command["details"]["count"], command["details"]["client"]) == (
        "operator", "grants_revoked", 2, "two")
    assert command["details"]["account"]
    assert {(record["action"], record["details"]["grant_id"], record["client_id"], record["user_id"]) for record in each} == {
        ("grant_revoked", "two-ada", "two", "ada" * 10), ("grant_revoked", "two-bob", "two", "bob" * 10)}


def test_one_token_is_revoked_with_json_too(run, built):
    assert run("tokens", "revoke", "one-ada", "--json").json == {"kind": "grant", "revoked_id": "one-ada"}
