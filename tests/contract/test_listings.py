"""What the lists looked like at the last start: one of those who find a difference is the first."""

from mcp_server.mcp.ports import Seen


def see(state, digest, at, name="list:tools", kept=60):
    return state.listings.see(name, digest, until=at + kept, now=at)


def test_what_was_never_seen_has_not_changed(state, now):
    assert see(state, "a", now) == Seen(first=False, changed_at=None)


def test_a_difference_is_found_once_and_its_time_is_known_to_all(state, now):
    see(state, "a", now)
    assert see(state, "b", now + 1) == Seen(first=True, changed_at=now + 1)
    assert see(state, "b", now + 2) == Seen(first=False, changed_at=now + 1)
    assert see(state, "a", now + 3) == Seen(first=True, changed_at=now + 3)


def test_names_do_not_get_in_each_others_way(state, now):
    see(state, "a", now)
    see(state, "b", now, "list:prompts")
    assert see(state, "a", now).first is False


def test_exactly_one_of_those_who_start_at_once_finds_the_difference(state, race, now):
    def start(number, _caller):
        return see(state, "new", now + 1, f"list:{number}").first

    for number in range(25):
        see(state, "old", now, f"list:{number}")
    for answers in race(start):
        assert sorted(answers) == [False] * (len(answers) - 1) + [True]
