from __future__ import annotations

from mcp_server.mcp.ports import MOST_SUBSCRIPTIONS, SessionRecord


def test_a_session_of_which_nothing_was_said_has_an_empty_record(state, now):
    assert state.sessions.find("s", now) == SessionRecord()


def test_a_session_that_was_ended_stays_so(state, now):
    state.sessions.end("s", now + 60)
    state.sessions.set_log_level("s", "info", now + 60)
    state.sessions.subscribe("s", "u", now + 60)
    assert state.sessions.find("s", now).ended
    assert not state.sessions.find("other", now).ended


def test_an_end_does_not_forget_and_may_come_twice(state, now):
    state.sessions.set_log_level("s", "error", now + 60)
    for _ in range(2):
        state.sessions.end("s", now + 60)
    assert state.sessions.find("s", now) == SessionRecord(ended=True, log_level="error")


def test_the_last_level_counts(state, now):
    for level in ("debug", "error"):
        state.sessions.set_log_level("s", level, now + 60)
    assert state.sessions.find("s", now).log_level == "error"


def test_subscriptions_are_kept_until_they_are_given_up(state, now):
    for uri in ("a://1", "b://2", "a://1", "http://x/y?z=1 é"):
        assert state.sessions.subscribe("s", uri, now + 60)
    assert state.sessions.find("s", now).subscriptions == {"a://1", "b://2", "http://x/y?z=1 é"}
    for _ in range(2):
        state.sessions.unsubscribe("s", "a://1", now + 60)
    assert state.sessions.find("s", now).subscriptions == {"b://2", "http://x/y?z=1 é"}
    assert state.sessions.find("t", now).subscriptions == frozenset()


def test_a_session_has_a_bounded_number_of_subscriptions(state, now):
    assert all(state.sessions.subscribe("s", f"a://{number}", now + 60) for number in range(MOST_SUBSCRIPTIONS))
    assert not state.sessions.subscribe("s", "one://more", now + 60)
    assert state.sessions.subscribe("s", "a://0", now + 60)  # it has that one
    state.sessions.unsubscribe("s", "a://1", now + 60)
    assert state.sessions.subscribe("s", "one://more", now + 60)


def test_the_bound_holds_for_those_who_ask_at_once(state, race, now):
    def subscribe(number, caller):
        return state.sessions.subscribe(f"s{number}", f"u://{caller}", now + 60)

    for number in range(25):
        for uri in range(MOST_SUBSCRIPTIONS - 1):
            state.sessions.subscribe(f"s{number}", f"a://{uri}", now + 60)
    for answers in race(subscribe):
        assert answers.count(True) == 1
