from __future__ import annotations

import base64

import pytest

from mcp_server.errors import SessionNotFound
from mcp_server.mcp.sessions import LIFETIME, Sessions
from tests.mcp.conftest import KEY, caller

ADA = caller("tools:read")


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def begin(sessions, principal=ADA, version="2025-11-25", **capabilities):
    return sessions.begin(version, capabilities or {"elicitation": {}}, principal)


@pytest.mark.parametrize("capabilities", [{}, {"tasks": {}}, {"experimental": {"x": {}}}, {"elicitation": None}, {"sampling": True}])
def test_a_client_that_can_only_call_tools_gets_no_session(sessions, capabilities):
    assert sessions.begin("2025-11-25", capabilities, ADA) is None


def test_a_caller_that_nobody_vouches_for_gets_no_session(sessions):
    assert begin(sessions, principal=None) is None


def test_a_session_id_says_what_it_stands_for_at_every_worker(sessions, state, clock):
    session_id = begin(sessions, version="2025-06-18", elicitation={"form": {}, "more": 1}, sampling={}, roots={"listChanged": True})
    other_worker = Sessions([KEY], state.sessions, clock)
    session = other_worker.find(session_id, ADA)
    assert session.version == "2025-06-18"
    assert session.capabilities == {"elicitation": {"form": {}}, "sampling": {}, "roots": {"listChanged": {}}}


@pytest.mark.requirement("MCP-026")
def test_session_ids_are_unlike_each_other_and_of_visible_ascii(sessions):
    ids = {begin(sessions) for _ in range(20)}
    assert len(ids) == 20
    assert all(0x21 <= ord(letter) <= 0x7E for letter in "".join(ids))


@pytest.mark.parametrize("session_id", ["", "x", "é", "0" * 100, "a" * 5_000, "../..", base64.urlsafe_b64encode(b"[]").decode(), "\x00"])
def test_an_id_that_is_not_ours_is_no_session_and_no_error(sessions, session_id):
    assert sessions.find(session_id, ADA) is None


def test_a_changed_id_is_not_ours(sessions):
    session_id = begin(sessions)
    for place in range(0, len(session_id), 7):
        changed = session_id[:place] + ("A" if session_id[place] != "A" else "B") + session_id[place + 1 :]
        if base64.urlsafe_b64decode(changed + "==") != base64.urlsafe_b64decode(session_id + "=="):
            assert sessions.find(changed, ADA) is None


def test_a_session_of_a_former_secret_lives_on_while_that_is_named(sessions, state, clock):
    session_id = begin(sessions)
    assert Sessions([b"new" * 10, KEY], state.sessions, clock).find(session_id, ADA)
    assert Sessions([b"new" * 10], state.sessions, clock).find(session_id, ADA) is None


@pytest.mark.requirement("MCP-025")
def test_somebody_elses_session_is_not_found(sessions):
    session_id = begin(sessions)
    other = ADA.__class__("client", "another", ADA.scopes, ADA.expires_at, ADA.revocable_ids)
    with pytest.raises(SessionNotFound):
        sessions.find(session_id, other)


def test_an_expired_session_is_not_found(sessions, clock):
    session_id = begin(sessions)
    clock.now += LIFETIME - 1
    assert sessions.find(session_id, ADA)
    clock.now += 1
    with pytest.raises(SessionNotFound):
        sessions.find(session_id, ADA)


def test_a_session_that_was_ended_is_not_found(sessions):
    session_id = begin(sessions)
    session = sessions.find(session_id, ADA)
    sessions.store.end(session.name, session.until)
    with pytest.raises(SessionNotFound):
        sessions.find(session_id, ADA)


@pytest.mark.parametrize("respelled", ["{}!", "{}=", "*{}", "{}\n", "{}A"])
def test_a_session_that_was_ended_does_not_come_back_under_another_spelling(sessions, respelled):
    session_id = begin(sessions)
    session = sessions.find(session_id, ADA)
    sessions.store.end(session.name, session.until)
    assert sessions.find(respelled.format(session_id), ADA) is None


def test_what_was_said_of_a_session_comes_with_it(sessions):
    session_id = begin(sessions)
    session = sessions.find(session_id, ADA)
    sessions.store.set_log_level(session.name, "error", session.until)
    assert sessions.find(session_id, ADA).record.log_level == "error"
    assert session_id not in session.name


@pytest.mark.parametrize(("version", "resumable", "primed"), [("2024-11-05", False, False), ("2025-03-26", True, False), ("2025-11-25", True, True)])
def test_what_its_streams_can_do_hangs_on_the_revision(sessions, version, resumable, primed):
    session = sessions.find(begin(sessions, version=version), ADA)
    assert (session.resumable, session.primed) == (resumable, primed)
