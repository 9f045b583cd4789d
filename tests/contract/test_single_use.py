def test_what_is_claimed_once_is_not_claimed_again(state, now):
    assert [state.single_use.claim("id", now + 60, now) for _ in range(3)] == [True, False, False]


def test_another_id_is_claimed_by_itself(state, now):
    state.single_use.claim("id", now + 60, now)
    assert state.single_use.claim("other", now + 60, now) is True


def test_an_id_is_free_again_at_the_exact_second(state, now):
    state.single_use.claim("id", now + 60, now)
    assert state.single_use.claim("id", now + 120, now + 59.999) is False
    assert state.single_use.claim("id", now + 120, now + 60) is True
    assert state.single_use.claim("id", now + 120, now + 119) is False


def test_what_has_run_out_already_is_not_claimed(state, now):
    assert state.single_use.claim("id", now, now) is False


def test_exactly_one_of_those_who_ask_at_once_is_the_first(state, race, now):
    def claim(number, _caller):
        return state.single_use.claim(f"id{number}", now + 60, now)

    for answers in race(claim):
        assert sorted(answers) == [False] * (len(answers) - 1) + [True]


def test_exactly_one_of_those_who_ask_at_once_takes_over_what_has_run_out(state, race, now):
    def claim(number, _caller):
        return state.single_use.claim(f"id{number}", now + 120, now + 60)

    for number in range(25):
        state.single_use.claim(f"id{number}", now + 60, now)
    for answers in race(claim):
        assert sorted(answers) == [False] * (len(answers) - 1) + [True]
