from mcp_server.oauth.models import Revocation
from mcp_server.oauth.ports import Admission


def revocation(revoked_id, until):
    return Revocation(1, revoked_id, until)


def test_a_copy_that_was_never_filled_knows_nothing_for_sure(state, now):
    assert state.revocations.any_revoked(["id"], now) is None
    assert state.revocations.admit(["id"], "", 60, now).complete is False


def test_a_complete_copy_says_what_is_not_revoked(state, now):
    state.revocations.put([revocation("id", now + 60)], now)
    state.revocations.mark_complete()
    assert state.revocations.any_revoked(["id"], now) is True
    assert state.revocations.any_revoked(["other"], now) is False
    assert state.revocations.any_revoked([], now) is False


def test_an_empty_ledger_makes_a_complete_copy(state, now):
    state.revocations.put([], now)
    state.revocations.mark_complete()
    assert state.revocations.any_revoked(["id"], now) is False


def test_an_incomplete_copy_still_says_what_it_knows_to_be_revoked(state, now):
    state.revocations.put([revocation("id", now + 60)], now)
    assert state.revocations.any_revoked(["other", "id"], now) is True


def test_one_revoked_id_among_several_is_enough(state, now):
    state.revocations.put([revocation("grant", now + 60)], now)
    assert state.revocations.admit(["token", "grant", "client", "user"], "", 60, now).revoked is True


def test_a_revocation_ends_at_the_exact_second(state, now):
    state.revocations.put([revocation("id", now + 60)], now)
    state.revocations.mark_complete()
    assert state.revocations.any_revoked(["id"], now + 59.999) is True
    assert state.revocations.any_revoked(["id"], now + 60) is False


def test_the_longest_of_several_revocations_of_an_id_counts(state, now):
    state.revocations.put([revocation("id", now + 60)], now)
    state.revocations.put([revocation("id", now + 30)], now)
    assert state.revocations.any_revoked(["id"], now + 59) is True
    state.revocations.put([revocation("id", now + 90)], now)
    assert state.revocations.any_revoked(["id"], now + 89) is True


def test_many_revocations_are_put_at_once(state, now):
    state.revocations.put([revocation(f"id{number}", now + 60) for number in range(1201)], now)
    assert [state.revocations.any_revoked([f"id{number}"], now) for number in (0, 499, 500, 1200)] == [True] * 4


def test_hits_are_counted_within_a_fixed_window(state):
    start = 60 * 20_000.0
    hits = [state.revocations.admit([], "caller", 60, start + after) for after in (0, 30.5, 59.9, 60)]
    assert hits == [
        Admission(revoked=False, complete=False, hits=1, seconds_left=60),
        Admission(revoked=False, complete=False, hits=2, seconds_left=30),
        Admission(revoked=False, complete=False, hits=3, seconds_left=1),
        Admission(revoked=False, complete=False, hits=1, seconds_left=60),
    ]


def test_each_counter_counts_for_itself(state, now):
    state.revocations.admit([], "caller", 60, now)
    assert state.revocations.admit([], "other", 60, now).hits == 1


def test_without_a_counter_nothing_is_counted(state, now):
    assert [state.revocations.admit(["id"], "", 60, now).hits for _ in range(2)] == [0, 0]


def test_a_revoked_caller_is_counted_too(state, now):
    state.revocations.put([revocation("id", now + 60)], now)
    assert [state.revocations.admit(["id"], "caller", 60, now).hits for _ in range(2)] == [1, 2]


def test_no_hit_is_lost_or_counted_twice_however_many_come_at_once(state, race, now):
    def hit(_number, _caller):
        return state.revocations.admit(["id"], "caller", 60, now).hits

    answers = [hits for of_round in race(hit, rounds=200) for hits in of_round]
    assert sorted(answers) == list(range(1, len(answers) + 1))
