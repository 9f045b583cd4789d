"""What the store promises of the slots at the model."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mcp_server.llm.leases import LEASE_SECONDS, WAITS_SECONDS, Seat


@dataclass
class Slots:
    """The store, with two slots and a settable time."""

    store: object
    now: float
    most: int = 2
    numbers: dict = field(default_factory=dict)

    def seat(self, name, caller="a", *, patient=False):
        return self.numbers.setdefault(name, Seat(name, caller, patient, self.now + len(self.numbers)))

    def take(self, name, caller="a", *, patient=False):
        return self.store.take(
            self.seat(name, caller, patient=patient), most=self.most, patient_most=max(1, self.most - 1), now=self.now,
            until=self.now + LEASE_SECONDS, waits_until=self.now + WAITS_SECONDS)

    def give_back(self, name):
        self.store.give_back(self.numbers[name])


@pytest.fixture
def slots(state, now):
    return Slots(state.model_slots, now)


def test_so_many_run_at_once_and_no_more(slots):
    assert [slots.take(name) for name in ("1", "2", "3")] == [True, True, False]
    slots.give_back("1")
    assert slots.take("3") is True
    assert slots.take("4") is False


def test_a_slot_is_taken_once_however_often_it_is_asked_for(slots):
    assert [slots.take("1") for _ in range(3)] == [True] * 3
    assert slots.take("2") is True
    slots.give_back("1")
    assert slots.take("3") is True


def test_the_one_that_waits_longest_is_next(slots):
    for name in ("1", "2", "3", "4"):
        slots.take(name)
    slots.give_back("1")
    assert slots.take("4") is False
    assert slots.take("3") is True


def test_a_client_that_runs_fewer_calls_goes_before_one_that_runs_more_however_long_that_waits(slots):
    slots.most = 3
    for name in ("1", "2", "3", "4", "5"):
        slots.take(name, "greedy")
    assert slots.take("6", "modest client: https://example.com/c?x y") is False
    slots.give_back("1")
    assert slots.take("4", "greedy") is False
    assert slots.take("6", "modest client: https://example.com/c?x y") is True


def test_patient_calls_come_last_and_leave_a_slot_to_the_others(slots):
    assert slots.take("p1", "a", patient=True) is True
    assert slots.take("p2", "b", patient=True) is False
    assert slots.take("1", "a") is True
    slots.give_back("p1")
    assert slots.take("2", "a") is True, "a patient one that waits stands in nobody's way"
    slots.give_back("1")
    assert slots.take("3", "a") is True
    slots.give_back("2")
    assert slots.take("p2", "b", patient=True) is True


def test_what_a_killed_worker_held_or_waited_for_is_free_again(slots):
    slots.take("1")
    slots.take("2")
    slots.take("dead")
    slots.store.give_back(slots.numbers["1"])
    assert slots.take("late") is False, "the dead one is next"
    slots.now += WAITS_SECONDS
    assert slots.take("late") is True
    assert slots.take("another") is False
    slots.now += LEASE_SECONDS - WAITS_SECONDS
    assert slots.take("another") is True, "the lease of 2 has run out"


def test_a_lease_that_is_held_does_not_run_out(slots):
    slots.take("1")
    slots.take("2")
    for _ in range(3):
        slots.now += LEASE_SECONDS - 1
        slots.store.hold([slots.numbers["1"], slots.numbers["2"]], slots.now, slots.now + LEASE_SECONDS)
    assert slots.take("3") is False


def test_callers_at_the_same_moment_never_get_more_than_there_are(slots, race):
    answers = race(lambda number, caller: slots.store.take(
        Seat(f"{number}-{caller}", str(caller), False, slots.now), most=2, patient_most=1, now=slots.now + number * 100,
        until=slots.now + number * 100 + 50, waits_until=slots.now + number * 100 + 50))
    for took in answers:
        assert set(took) <= {True, False}, took
        assert sum(took) == 2
