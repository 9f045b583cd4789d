"""`flask clients sweep`: what ServiceNow's registrations leave behind."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from mcp_server.cli import clients as commands
from mcp_server.oauth.administration import Administration
from mcp_server.oauth.models import Client, Grant

DAY = 86400
AUTOGEN = "AutoGen-1775150937195-OAuthProvider"


@pytest.fixture
def add(machine):
    """add(client_id, made=days ago, used=days ago) → a client in the registry."""

    def add(client_id, *, made=60.0, used=None, name=AUTOGEN, origin="registration"):
        now = time.time()
        machine.services.clients.add(Client(
            client_id, name, ("https://acme.service-now.com/oauth_redirect.do",), ("authorization_code", "refresh_token"), ("code",),
            "client_secret_post", now - made * DAY, client_secret_digests=("digest",), origin=origin,
            last_used_at=None if used is None else now - used * DAY))

    return add


@pytest.fixture
def approve(machine):
    def approve(client_id, *, ends_in=5.0):
        now = time.time()
        machine.services.grants.add(Grant(f"g-{client_id}", client_id, "ada", "tools:read", "https://x/mcp", now - 50 * DAY, now + ends_in * DAY))

    return approve


@pytest.fixture
def sweep(run):
    return lambda *arguments, **kwargs: run("clients", "sweep", *arguments, **kwargs)


@pytest.fixture
def left(machine):
    return lambda: {client.client_id for client in machine.services.clients.all()}


@pytest.mark.requirement("REG-033")
def test_registrations_that_nobody_used_for_a_month_are_gone_after_a_sweep_and_their_tokens_end(machine, add, sweep, left):
    for number in range(60):
        add(f"stale{number}")
    add("new", made=1)
    assert sweep("--yes").status == 0
    assert left() == {"new"}
    assert machine.services.revocations.any_revoked(("client:stale7",))
    assert not machine.services.revocations.any_revoked(("client:new",))


def test_a_client_that_is_in_use_stays(add, approve, sweep, left):
    add("approved")
    approve("approved")
    add("used lately", used=3)
    add("used within the hour that is not written down", used=30.02)
    add("made lately", made=29)
    add("an operator's", origin="operator")
    add("imported by name", origin="import", name="Our own")
    add("used long ago", used=31)
    add("approval ended")
    approve("approval ended", ends_in=-1)
    add("imported", origin="import")
    add("with a name of its own", name="Postman")
    stale = {"used long ago", "approval ended", "imported", "with a name of its own"}
    assert {row["client_id"] for row in sweep("--dry-run", "--json").json} == stale
    assert sweep("--yes").status == 0
    assert not left() & stale
    assert len(left()) == 6


@pytest.mark.parametrize("revoked", ["g-client", "client:client", "user:ada"])
def test_an_approval_that_was_revoked_keeps_no_client(*, machine, add, approve, sweep, left, revoked):
    add("client")
    approve("client")
    machine.services.revocations.revoke((revoked,), time.time() + 9 * DAY)
    sweep("--yes")
    assert left() == set()


def test_a_dry_run_shows_them_and_removes_nothing(machine, add, sweep, left):
    add("stale", used=40)
    shown = sweep("--dry-run")
    assert shown.status == 0
    assert AUTOGEN in shown.out
    assert left() == {"stale"}
    assert not machine.services.revocations.any_revoked(("client:stale",))


@pytest.mark.parametrize(("answer", "status", "remaining"), [("n\n", 1, {"stale"}), ("", 1, {"stale"}), ("y\n", 0, set())])
def test_an_operator_is_asked_first(*, add, sweep, left, answer, status, remaining):
    add("stale")
    asked = sweep(input=answer)
    assert (asked.status, left()) == (status, remaining)
    assert "Remove these 1 clients?" in asked.err


def test_a_shorter_time_finds_more(add, sweep, left):
    add("client", made=10, used=8)
    assert "No client is stale" in sweep("--yes").err
    assert sweep("--older-than", "7d", "--yes").status == 0
    assert left() == set()


@pytest.mark.parametrize("time_given", ["0d", "23h", "5m", "x", "30"])
def test_no_time_is_taken_in_which_a_token_may_still_be_good(add, sweep, left, time_given):
    add("stale")
    assert sweep("--older-than", time_given, "--yes").status == 2
    assert left() == {"stale"}


@pytest.mark.parametrize("connects", ["approval", "token"])
def test_a_client_that_is_used_while_the_question_stands_stays(*, machine, add, approve, sweep, left, monkeypatch, connects):
    add("stale")
    add("back")

    def somebody_connects(*_, **__):
        if connects == "approval":
            approve("back")
        else:
            machine.services.clients.touch("back", time.time())

    monkeypatch.setattr(commands.click, "confirm", somebody_connects)
    said = sweep()
    assert left() == {"back"}
    assert "1 removed. 1 left" in said.err
    assert not machine.services.revocations.any_revoked(("client:back",))


def test_a_client_that_is_used_at_the_moment_of_its_removal_stays(machine, add, sweep, left, monkeypatch):
    add("back")
    known = Administration.stale_clients

    def used_right_after(administration, older_than):
        found = known(administration, older_than)
        machine.services.clients.touch("back", time.time())
        return found or [replace(machine.services.clients.find("back"), last_used_at=None)]

    monkeypatch.setattr(Administration, "stale_clients", used_right_after)
    sweep("--yes")
    assert left() == {"back"}
    assert not machine.services.revocations.any_revoked(("client:back",))


def test_each_removal_is_audited_as_the_operators(machine, add, sweep):
    add("stale")
    sweep("--yes")
    [line] = machine.audit
    assert (line["event_type"], line["action"], line["client_id"], line["details"]["older_than"]) == ("operator", "client_swept", "stale", "30d")
