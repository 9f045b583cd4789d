import dataclasses
import itertools

import pytest

from mcp_server.oauth.models import DeviceAuthorization

CODES_END, ENDS = 1_000_060.0, 1_000_120.0
DEVICE = DeviceAuthorization(
    client_id="client", scope="tools:read", resource="https://example.com/mcp", requested_from="2001:db8::1", requested_at=999_999.5,
    codes_expire_at=CODES_END, expires_at=ENDS, interval=5)
APPROVED = {"approved": True, "subject": "ada", "grant_id": "grant"}
REFUSED = {"approved": False, "subject": "ada", "grant_id": ""}


@pytest.fixture
def devices(state, now):
    assert state.devices.add("device", "user code", DEVICE, now)
    return state.devices


def test_a_device_is_found_by_either_code_as_it_was_added(devices, now):
    assert devices.find("device", now) == DEVICE
    assert devices.find_by_user_code("user code", now) == DEVICE


def test_neither_code_stands_in_for_the_other(devices, now):
    assert devices.find("user code", now) is None
    assert devices.find_by_user_code("device", now) is None


def test_an_unknown_code_finds_decides_and_claims_nothing(devices, now):
    assert devices.find("other", now) is None
    assert devices.find_by_user_code("other", now) is None
    assert devices.decide("other", **APPROVED, now=now) is False
    assert devices.claim("other", now) is False
    assert devices.poll("other", now, leeway=0) is True
    assert devices.find("other", now) is None


def test_a_user_code_that_is_taken_is_refused_and_nothing_of_it_is_stored(devices, now):
    assert devices.add("another device", "user code", dataclasses.replace(DEVICE, client_id="other"), now) is False
    assert devices.find("another device", now) is None
    assert devices.find_by_user_code("user code", now) == DEVICE


@pytest.mark.parametrize("answer", [APPROVED, REFUSED])
def test_a_user_code_stays_taken_when_it_was_answered(devices, now, answer):
    devices.decide("user code", **answer, now=now)
    assert devices.add("another device", "user code", DEVICE, now) is False


def test_a_user_code_is_free_again_when_it_has_expired(devices):
    later = dataclasses.replace(DEVICE, client_id="other", codes_expire_at=CODES_END + 60, expires_at=ENDS + 60)
    assert devices.add("another device", "user code", later, CODES_END - 0.001) is False
    assert devices.add("another device", "user code", later, CODES_END) is True
    assert devices.find_by_user_code("user code", CODES_END) == later
    assert devices.find("device", CODES_END) == DEVICE


def test_both_codes_expire_at_the_exact_second_and_the_record_stays_to_tell(devices):
    assert devices.find_by_user_code("user code", CODES_END - 0.001) == DEVICE
    assert devices.find_by_user_code("user code", CODES_END) is None
    assert devices.find("device", ENDS - 0.001) == DEVICE
    assert devices.find("device", ENDS) is None


@pytest.mark.parametrize("answer", [APPROVED, REFUSED])
def test_an_answer_is_found_as_it_was_given(devices, now, answer):
    assert devices.decide("user code", **answer, now=now) is True
    assert devices.find("device", now) == devices.find_by_user_code("user code", now) == dataclasses.replace(DEVICE, **answer)


@pytest.mark.parametrize(("first", "second"), [*itertools.product([APPROVED, REFUSED], repeat=2)])
def test_the_first_answer_is_the_last(devices, now, first, second):
    assert devices.decide("user code", **first, now=now) is True
    assert devices.decide("user code", **{**second, "subject": "eve", "grant_id": "other"}, now=now) is False
    assert devices.find("device", now) == dataclasses.replace(DEVICE, **first)


def test_what_has_expired_is_not_answered(devices):
    assert devices.decide("user code", **APPROVED, now=CODES_END) is False
    assert devices.decide("user code", **APPROVED, now=CODES_END - 0.001) is True


def test_a_poll_in_its_time_is_in_time(devices, now):
    assert [devices.poll("device", now + seconds, leeway=0) for seconds in (0, 5, 10, 15.5, 30)] == [True] * 5
    assert devices.find("device", now).interval == 5


def test_each_poll_that_is_too_early_makes_the_interval_five_seconds_longer(devices, now):
    assert devices.poll("device", now, leeway=0) is True
    assert devices.poll("device", now + 4.9, leeway=0) is False
    assert devices.find("device", now).interval == 10
    assert devices.poll("device", now + 14.8, leeway=0) is False
    assert devices.find("device", now).interval == 15
    assert devices.poll("device", now + 29.9, leeway=0) is True
    assert devices.poll("device", now + 44.8, leeway=0) is False


def test_a_poll_may_be_early_by_the_leeway(devices, now):
    assert devices.poll("device", now, leeway=1) is True
    assert devices.poll("device", now + 4, leeway=1) is True
    assert devices.poll("device", now + 7.9, leeway=1) is False


def test_only_what_was_approved_is_claimed_and_that_once(devices, now):
    assert devices.claim("device", now) is False
    devices.decide("user code", **APPROVED, now=now)
    assert [devices.claim("device", now) for _ in range(3)] == [True, False, False]
    assert devices.find("device", now) == dataclasses.replace(DEVICE, **APPROVED, claimed=True)


def test_what_was_refused_is_not_claimed(devices, now):
    devices.decide("user code", **REFUSED, now=now)
    assert devices.claim("device", now) is False


def test_what_has_expired_is_not_claimed(devices, now):
    devices.decide("user code", **APPROVED, now=now)
    assert devices.claim("device", CODES_END) is False
    assert devices.claim("device", CODES_END - 0.001) is True


def filled(state, now, rounds=25):
    for number in range(rounds):
        state.devices.add(f"device{number}", f"user code{number}", DEVICE, now)
    return state.devices


def test_exactly_one_of_those_who_answer_at_once_is_heard(state, race, now):
    devices = filled(state, now)

    def decide(number, caller):
        answer = APPROVED if caller % 2 else REFUSED
        return devices.decide(f"user code{number}", **{**answer, "subject": f"person{caller}"}, now=now)

    for number, answers in enumerate(race(decide)):
        assert sorted(answers) == [False] * (len(answers) - 1) + [True]
        winner, found = answers.index(True), devices.find(f"device{number}", now)
        assert (found.subject, found.approved) == (f"person{winner}", bool(winner % 2))


def test_exactly_one_of_those_who_claim_at_once_gets_it(state, race, now):
    devices = filled(state, now)
    for number in range(25):
        devices.decide(f"user code{number}", **APPROVED, now=now)
    for answers in race(lambda number, _caller: devices.claim(f"device{number}", now)):
        assert sorted(answers) == [False] * (len(answers) - 1) + [True]


def test_exactly_one_of_those_who_poll_at_once_is_in_time_and_each_other_slows_it_down(state, race, now):
    devices = filled(state, now)
    for number, answers in enumerate(race(lambda number, _caller: devices.poll(f"device{number}", now, leeway=0))):
        assert sorted(answers) == [False] * (len(answers) - 1) + [True]
        assert devices.find(f"device{number}", now).interval == 5 * len(answers)


def test_a_user_code_that_many_want_at_once_goes_to_one(state, race, now):
    def add(number, caller):
        return state.devices.add(f"device{number} of {caller}", f"user code{number}", dataclasses.replace(DEVICE, client_id=f"{caller}"), now)

    for number, answers in enumerate(race(add)):
        assert sorted(answers) == [False] * (len(answers) - 1) + [True]
        assert state.devices.find_by_user_code(f"user code{number}", now).client_id == f"{answers.index(True)}"
