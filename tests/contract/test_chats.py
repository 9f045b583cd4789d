from __future__ import annotations

import pytest


def say(state, now, chat, turn, *, most=4, lasts=60):
    state.chats.add(chat, turn.encode(), most=most, until=now + lasts, now=now)


def test_a_chat_in_which_nothing_was_said_has_no_turns(state, now):
    assert state.chats.turns("c", now) == []


def test_turns_come_back_as_they_were_said_oldest_first(state, now):
    for turn in ('{"q":"1"}', "é 🙂 \u2028", "", '"'):
        say(state, now, "c", turn)
    assert state.chats.turns("c", now) == [b'{"q":"1"}', "é 🙂 \u2028".encode(), b"", b'"']
    assert state.chats.turns("other", now) == []


def test_only_the_last_turns_are_kept(state, now):
    for number in range(10):
        say(state, now, "c", str(number), most=3)
    assert state.chats.turns("c", now) == [b"7", b"8", b"9"]


def test_a_whole_chat_lasts_as_long_as_its_last_turn(state, now):
    say(state, now, "c", "first", lasts=60)
    say(state, now, "c", "second", lasts=3600)
    if state.sweep(now):
        pytest.fail("nothing has expired")
    assert state.chats.turns("c", now + 59) == [b"first", b"second"]


def test_a_chat_is_forgotten(state, now):
    say(state, now, "c", "x", lasts=0.001)
    say(state, now, "c2", "x", lasts=60)
    late = now + 1
    while state.chats.turns("c", late):  # Redis counts the milliseconds by itself
        pass
    say(state, late, "c", "new")
    assert state.chats.turns("c", late) == [b"new"]
    assert state.chats.turns("c2", late) == [b"x"]


def test_of_turns_that_come_at_once_none_is_lost(state, race, now):
    def add(number, caller):
        say(state, now, f"c{number}", f"{caller}", most=20)
        return caller

    for number, answers in enumerate(race(add)):
        assert sorted(state.chats.turns(f"c{number}", now)) == sorted(str(caller).encode() for caller in answers)
