import threading
from dataclasses import replace

import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import ContextTooLong, ModelBusy, ModelTimeout, ModelUnavailable
from mcp_server.llm.breaker import OPEN_SECONDS
from mcp_server.llm.gate import Gate
from mcp_server.llm.ports import Answer, Message, ModelStatus, Prompt
from mcp_server.llm.turns import WAITING_PER_PLACE
from tests.engine import wait_until

SECONDS = 10


class Held:
    """A model whose answers the test lets go one by one, and that can be told to fail."""

    def __init__(self):
        self.started = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.order = []
        self.failure = None
        self.calls = 0

    def answer(self, prompt, deadline, on_token=None):  # noqa: ARG002 - the port's
        self.calls += 1
        if self.failure:
            raise self.failure
        self.order.append(prompt.messages[0].content)
        self.started.release()
        assert self.go.acquire(timeout=SECONDS)
        return Answer("done", "held", complete=True)

    def status(self, deadline):  # noqa: ARG002 - the port's
        return ModelStatus("held", available=True)


def ask(gate, name="", seconds=SECONDS, *, patient=False):
    return gate.answer(Prompt([Message("user", name)]), replace(Deadline.after(seconds), patient=patient))


@pytest.fixture
def model():
    return Held()


@pytest.fixture
def callers():
    threads = []

    def start(gate, name, until, *, patient=False):
        thread = threading.Thread(target=ask, args=(gate, name), kwargs={"patient": patient})
        threads.append(thread)
        thread.start()
        wait_until(until)

    yield start
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


@pytest.mark.requirement("F40")
def test_no_more_calls_than_slots_run_at_once_and_the_others_come_in_order(model, callers):
    gate = Gate(model, slots=2)
    for number in range(6):
        callers(gate, str(number), lambda number=number: gate.running + gate.waiting == number + 1)
    assert (gate.running, gate.waiting) == (2, 4)
    assert (gate.status(Deadline.after(1)).facts["running"], gate.status(Deadline.after(1)).facts["waiting"]) == (2, 4)
    for finished in range(6):
        model.go.release()
        wait_until(lambda finished=finished: gate.running + gate.waiting == 5 - finished)
    assert model.order[2:] == ["2", "3", "4", "5"]
    assert (gate.running, gate.waiting) == (0, 0)


def test_patient_calls_come_after_the_others_and_in_order(model, callers):
    gate = Gate(model, slots=1)
    for number, name in enumerate(["first", "patient 1", "patient 2", "second", "third"]):
        callers(gate, name, lambda number=number: gate.running + gate.waiting == number + 1, patient=name.startswith("patient"))
    for finished in range(5):
        model.go.release()
        wait_until(lambda finished=finished: gate.running + gate.waiting == 4 - finished)
    assert model.order == ["first", "second", "third", "patient 1", "patient 2"]


def test_patient_calls_leave_a_slot_to_the_others(model, callers):
    gate = Gate(model, slots=2)
    for number in range(3):
        callers(gate, f"patient {number}", lambda number=number: gate.running + gate.waiting == number + 1, patient=True)
    assert (gate.running, gate.waiting) == (1, 2)
    callers(gate, "other", lambda: gate.running == 2)
    for finished in range(4):
        model.go.release()
        wait_until(lambda finished=finished: gate.running + gate.waiting == 3 - finished)
    assert (gate.running, gate.waiting, len(model.order)) == (0, 0, 4)


def test_a_patient_call_waits_as_long_as_its_deadline_lets_it_and_is_never_one_too_many(model, callers):
    gate = Gate(model, slots=1, longest_wait=0.0)
    for number in range(WAITING_PER_PLACE + 3):
        callers(gate, "", lambda number=number: gate.running + gate.waiting == number + 1, patient=True)
    with pytest.raises(ModelBusy):
        ask(gate, "hurried")
    with pytest.raises(ModelBusy):
        ask(gate, "late", seconds=0.1, patient=True)
    for _ in range(WAITING_PER_PLACE + 3):
        model.go.release()
    wait_until(lambda: (gate.running, gate.waiting) == (0, 0))
    assert len(model.order) == WAITING_PER_PLACE + 3


@pytest.mark.requirement("F40")
def test_a_call_that_gets_no_slot_in_time_is_told_how_many_wait(model, callers):
    gate = Gate(model, slots=1, longest_wait=0.05)
    callers(gate, "first", lambda: gate.running == 1)
    with pytest.raises(ModelBusy, match=r"^The model is busy: 0 calls are waiting. Try again in a few seconds.$"):
        ask(gate, "second")
    assert gate.waiting == 0
    model.go.release()


def test_no_call_waits_into_the_time_that_its_answer_needs(model, callers):
    gate = Gate(model, slots=1)
    callers(gate, "first", lambda: gate.running == 1)
    with pytest.raises(ModelBusy):
        ask(gate, "second", seconds=2.05)
    model.go.release()


def test_the_queue_is_bounded(model, callers):
    gate = Gate(model, slots=1)
    for number in range(1 + WAITING_PER_PLACE):
        callers(gate, str(number), lambda number=number: gate.running + gate.waiting == number + 1)
    with pytest.raises(ModelBusy, match=f"{WAITING_PER_PLACE} calls are waiting"):
        ask(gate)
    for _ in range(1 + WAITING_PER_PLACE):
        model.go.release()


def test_a_slot_is_free_again_whatever_ends_its_call(model):
    gate = Gate(model, slots=1)
    for failure in (ModelTimeout("late"), ContextTooLong("long"), RuntimeError("a bug"), KeyboardInterrupt()):
        model.failure = failure
        with pytest.raises(type(failure)):
            ask(gate)
        assert (gate.running, gate.waiting) == (0, 0)


def test_a_model_that_is_gone_is_not_tried_by_every_call(model):
    now = [0.0]
    gate = Gate(model, slots=1, clock=lambda: now[0])
    model.failure = ModelUnavailable("Nobody is there.")
    for _ in range(10):
        with pytest.raises(ModelUnavailable, match=r"Nobody is there\."):
            ask(gate)
    assert model.calls == 3
    now[0] += OPEN_SECONDS
    for _ in range(10):
        with pytest.raises(ModelUnavailable):
            ask(gate)
    assert model.calls == 4, "one call tried again"
    now[0] += OPEN_SECONDS
    model.failure = None
    model.go.release(2)
    assert ask(gate).text == ask(gate).text == "done"


@pytest.mark.parametrize("other", [ContextTooLong("long"), ModelBusy("busy")])
def test_another_failure_in_between_shows_that_the_model_is_there(model, other):
    gate = Gate(model, slots=1)
    for failure in [ModelUnavailable("gone"), ModelUnavailable("gone"), other] * 3:
        model.failure = failure
        with pytest.raises(type(failure)):
            ask(gate)
    assert model.calls == 9
