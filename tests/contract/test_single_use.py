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


def test_the_first_answer_settles_a_question_and_when(state, now):
    assert state.single_use.settle("question", "yes", now + 60, now) == ("yes", now)
    assert state.single_use.settle("question", "yes", now + 90, now + 1.25) == ("yes", now)
    assert state.single_use.settle("question", "no", now + 90, now + 59.999) == ("yes", now)
    assert state.single_use.settle("another question", "no", now + 60, now + 1) == ("no", now + 1)


def test_a_question_is_open_again_at_the_exact_second(state, now):
    state.single_use.settle("question", "yes", now + 60, now)
    assert state.single_use.settle("question", "no", now + 120, now + 60) == ("no", now + 60)
    assert state.single_use.settle("question", "yes", now + 180, now + 119) == ("no", now + 60)


def test_an_answer_does_not_claim_an_id_of_the_same_name(state, now):
    state.single_use.settle("same", "yes", now + 60, now)
    assert state.single_use.claim("same", now + 60, now) is True


def test_all_of_those_who_answer_at_once_learn_the_same_first_answer(state, race, now):
    def settle(number, caller):
        return state.single_use.settle(f"question{number}", f"answer{caller}", now + 60, now + caller)

    for answers in race(settle):
        [(answer, at)] = set(answers)
        assert at == now + int(answer.removeprefix("answer"))
