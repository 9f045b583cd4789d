def contents(state, journal, position, now):
    return [entry.content for entry in state.journals.after(journal, position, now)]


def test_what_is_appended_is_read_in_order_behind_a_position(state, now):
    start = state.journals.end("j")
    positions = [state.journals.append("j", content, until=now + 60, now=now) for content in (b"one", b"two", b"three")]
    assert contents(state, "j", start, now) == [b"one", b"two", b"three"]
    assert contents(state, "j", positions[0], now) == [b"two", b"three"]
    assert contents(state, "j", positions[2], now) == []


def test_the_end_of_a_journal_is_before_all_that_comes(state, now):
    state.journals.append("j", b"before", until=now + 60, now=now)
    end = state.journals.end("j")
    state.journals.append("j", b"after", until=now + 60, now=now)
    assert contents(state, "j", end, now) == [b"after"]


def test_the_entries_say_where_they_are(state, now):
    start = state.journals.end("j")
    appended = state.journals.append("j", b"one", until=now + 60, now=now)
    [entry] = state.journals.after("j", start, now)
    assert entry.position == appended


def test_journals_do_not_see_each_other(state, now):
    start = state.journals.end("j")
    state.journals.append("other", b"x", until=now + 60, now=now)
    assert contents(state, "j", start, now) == []


def test_any_bytes_come_back_as_they_were(state, now):
    start = state.journals.end("j")
    state.journals.append("j", bytes(range(256)), until=now + 60, now=now)
    assert contents(state, "j", start, now) == [bytes(range(256))]


def test_a_position_that_never_was_loses_nothing(state, now):
    state.journals.append("j", b"one", until=now + 60, now=now)
    for position in ("", "x", "-1", "0", "0-0", "9" * 40, "1; DROP TABLE journals"):
        assert contents(state, "j", position, now) in ([b"one"], [])
    assert contents(state, "j", "", now) == [b"one"]


def test_a_long_journal_is_read_in_parts_without_a_gap(state, now):
    position, read = state.journals.end("j"), []
    for number in range(1200):
        state.journals.append("j", str(number).encode(), until=now + 60, now=now)
    while entries := state.journals.after("j", position, now):
        read += [int(entry.content) for entry in entries]
        position = entries[-1].position
    assert read == list(range(1200))


def test_nothing_is_lost_when_several_append_at_once(state, race, now):
    def append(number, caller):
        return state.journals.append("j", f"{number} {caller}".encode(), until=now + 60, now=now)

    positions = [position for answers in race(append) for position in answers]
    assert len(set(positions)) == len(positions)
    read, position = [], ""
    while entries := state.journals.after("j", position, now):
        read += [entry.position for entry in entries]
        position = entries[-1].position
    assert sorted(read) == sorted(positions)
