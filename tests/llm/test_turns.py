"""Clients take turns at the model."""

import threading

import pytest

from mcp_server.errors import ModelBusy
from mcp_server.llm.turns import WAITING_PER_PLACE, Turns
from tests.engine import wait_until

SECONDS = 10


class Callers:
    """Calls of clients that hold a place until the test lets them go, one by one."""

    def __init__(self, turns):
        self.turns = turns
        self.order, self.refused, self.threads = [], [], []
        self.go = threading.Semaphore(0)

    def call(self, caller, *, seconds=SECONDS, patient=False):
        def run():
            try:
                with self.turns.turn(caller, seconds, patient=patient):
                    self.order.append(caller)
                    assert self.go.acquire(timeout=SECONDS)
            except ModelBusy:
                self.refused.append(caller)

        before = self.turns.taken + self.turns.waiting + len(self.refused)
        thread = threading.Thread(target=run)
        self.threads.append(thread)
        thread.start()
        wait_until(lambda: self.turns.taken + self.turns.waiting + len(self.refused) == before + 1)

    def finish(self):
        for _ in range(len(self.threads)):
            self.go.release()
        for thread in self.threads:
            thread.join(SECONDS)
            assert not thread.is_alive()
        assert (self.turns.taken, self.turns.waiting) == (0, 0)


@pytest.fixture
def callers():
    callers = Callers(Turns(1))
    yield callers
    callers.finish()


def finish_one_by_one(callers):
    for _ in range(len(callers.threads)):
        left = callers.turns.taken + callers.turns.waiting
        callers.go.release()
        wait_until(lambda left=left: callers.turns.taken + callers.turns.waiting < left or not left)


def test_one_call_of_a_client_waits_for_one_of_another_and_not_for_all(callers):
    for caller in ["greedy"] * 6 + ["modest", "other", "other"]:
        callers.call(caller)
    finish_one_by_one(callers)
    assert callers.order == ["greedy", "greedy", "modest", "other", "greedy", "other", "greedy", "greedy", "greedy"]


def test_a_full_queue_has_room_for_a_client_that_has_less_in_it(callers):
    for _ in range(1 + WAITING_PER_PLACE):
        callers.call("greedy")
    callers.call("greedy")
    assert callers.refused == ["greedy"], "its own queue is full"
    callers.call("modest")
    assert callers.refused == ["greedy"] * 2, "the last of those who waited made room"
    assert callers.turns.waiting == WAITING_PER_PLACE
    for _ in range(WAITING_PER_PLACE):
        callers.call("modest")
    assert callers.refused.count("greedy") - 1 == WAITING_PER_PLACE // 2, "until both have the same"
    finish_one_by_one(callers)
    assert callers.order[:5] == ["greedy", "greedy", "modest", "greedy", "modest"]


def test_whoever_made_room_is_told_how_many_wait(callers):
    with pytest.raises(ModelBusy, match=r"The model is busy: 0 calls are waiting\. Try again"), callers.turns.turn("a", 1, patient=False), \
            callers.turns.turn("b", 0, patient=False):
        pytest.fail("there is one place")


def test_patient_calls_of_a_client_come_after_the_others_of_all(callers):
    for caller, patient in [("a", False), ("a", True), ("b", True), ("c", False), ("a", False)]:
        callers.call(caller, patient=patient)
    finish_one_by_one(callers)
    assert callers.order == ["a", "c", "a", "a", "b"]
