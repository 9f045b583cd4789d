"""One number of calls for all workers: each `Leases` here is a worker, the store is a real one."""

import threading

import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import ModelBusy, StoreUnavailable
from mcp_server.llm.gate import Gate
from mcp_server.llm.leases import LEASE_SECONDS, Leases
from mcp_server.llm.ports import Answer, Message, Prompt
from mcp_server.storage.sqlite import SqliteState
from tests.engine import wait_until


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path):
    state = SqliteState(tmp_path / "state.db")
    yield state.model_slots
    state.close()


def worker(store, clock, most=2, share=1, **settings):
    return Leases(store, most=most, share=share, clock=clock, sleep=settings.pop("sleep", lambda _: None), **settings)


def busy():
    return ModelBusy("busy")


def deadline(caller="a"):
    return Deadline.after(10, caller=caller)


def test_workers_together_run_no_more_than_there_are_slots(store, clock):
    one, other = worker(store, clock), worker(store, clock)
    with one.lease(deadline(), 0, busy), other.lease(deadline(), 0, busy):
        for each in (one, other):
            with pytest.raises(ModelBusy), each.lease(deadline(), 0, busy):
                pytest.fail("two are running")
    with one.lease(deadline(), 0, busy), one.lease(deadline(), 0, busy):
        pass


def test_a_call_that_waits_gets_the_slot_that_another_worker_gives_back(store, clock):
    one = worker(store, clock, most=1)
    held = one.lease(deadline(), 0, busy)
    held.__enter__()
    asked = []

    def sleep(_):
        asked.append(1)
        if len(asked) == 3:
            held.__exit__(None, None, None)

    with worker(store, clock, most=1, sleep=sleep).lease(deadline(), 10, busy):
        assert len(asked) == 3


def test_the_slot_of_a_killed_worker_comes_back_and_that_of_one_that_lives_stays(store, clock):
    killed, lives = worker(store, clock), worker(store, clock)
    killed.lease(deadline(), 0, busy).__enter__()
    with lives.lease(deadline(), 0, busy):
        for _ in range(3):
            clock.now += LEASE_SECONDS / 2
            lives.renew()
        third = worker(store, clock)
        with third.lease(deadline(), 0, busy), pytest.raises(ModelBusy), third.lease(deadline(), 0, busy):
            pytest.fail("one was killed, one lives")


def test_a_call_that_gave_up_stands_in_nobodys_way(store, clock):
    one = worker(store, clock, most=1)
    with one.lease(deadline("a"), 0, busy), pytest.raises(ModelBusy), one.lease(deadline("b"), 0, busy):
        pytest.fail("there is one slot")
    with one.lease(deadline("c"), 0, busy):
        pass


class Away:
    def take(self, *_, **__):
        raise StoreUnavailable(detail="Redis: refused")

    hold = give_back = take


def test_while_the_store_is_away_each_worker_keeps_to_its_share_and_says_so_once(clock):
    warned = []
    alone = worker(Away(), clock, share=2, warn=warned.append)
    with alone.lease(deadline(), 0, busy), alone.lease(deadline(), 0, busy):
        alone.renew()
        with pytest.raises(ModelBusy), alone.lease(deadline(), 0, busy):
            pytest.fail("its share is two")
    with alone.lease(deadline(), 0, busy):
        pass
    assert warned == ["Redis: refused"]


def test_the_gate_of_each_worker_keeps_to_what_all_have_together(store, clock):
    running, most, go = [], [], threading.Event()

    class Model:
        def answer(self, prompt, deadline, on_token=None):  # noqa: ARG002 - the port's
            running.append(1)
            most.append(len(running))
            go.wait(10)
            running.pop()
            return Answer("done", "m", complete=True)

    gates = [Gate(Model(), 2, leases=worker(store, clock, sleep=threading.Event().wait)) for _ in range(3)]
    prompt = Prompt([Message("user", "x")])
    threads = [threading.Thread(target=gate.answer, args=(prompt, deadline(str(number)))) for number in range(2) for gate in gates]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(running) == 2)
    go.set()
    for thread in threads:
        thread.join(10)
    assert max(most) == 2
    assert len(most) == 6
