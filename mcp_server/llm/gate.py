"""How many calls reach the model at once, how long the others wait, and what happens while it is gone."""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from mcp_server.clock import Elapsed, elapsed
from mcp_server.concurrency import give_up_after
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelBusy, ModelError, ModelTimeout, ModelUnavailable
from mcp_server.llm.http import too_late
from mcp_server.llm.ports import Answer, LanguageModel, ModelStatus, OnToken, Prompt

T = TypeVar("T")

LONGEST_WAIT = 10.0
MARGIN = 2.0  # seconds that must be left for the answer itself
WAITING_PER_SLOT = 8
FAILURES_TO_OPEN = 3
OPEN_SECONDS = 5.0


class Gate:
    """A model behind `slots` places in this process, first come first served.

    Patient calls, for which nobody holds a connection, come after the others, wait as long as their deadline lets them, and leave one
    slot free where there are two. A slot is free again however its call ends. A call that cannot have one in time is told so
    instead of waiting for nothing. After three failures to reach the model in a row calls are refused at once, but for one
    each five seconds that tries.
    """

    def __init__(self, model: LanguageModel, slots: int, *, longest_wait: float = LONGEST_WAIT, clock: Elapsed = elapsed) -> None:
        self._model = model
        self._slots = slots
        self._longest_wait = longest_wait
        self._lock = threading.Lock()
        self._running = 0
        self._queue: deque[threading.Event] = deque()
        self._patient: deque[threading.Event] = deque()
        self._patient_running = 0
        self._breaker = _Breaker(clock)

    def answer(self, prompt: Prompt, deadline: Deadline, on_token: OnToken | None = None) -> Answer:
        """Raises a ModelError, before or at the deadline."""
        with give_up_after(deadline.left, too_late), self._slot(deadline):
            return self._breaker.call(lambda: self._model.answer(prompt, deadline, on_token))

    def label_probabilities(self, prompt: Prompt, labels: Sequence[str], deadline: Deadline) -> Mapping[str, float] | None:
        """Raises a ModelError, before or at the deadline."""
        with give_up_after(deadline.left, too_late), self._slot(deadline):
            return self._breaker.call(lambda: self._model.label_probabilities(prompt, labels, deadline))

    def status(self, deadline: Deadline) -> ModelStatus:
        """Never raises, and needs no slot."""
        try:
            with give_up_after(deadline.left, too_late):
                status = self._model.status(deadline)
        except ModelTimeout as error:
            status = ModelStatus("unknown", available=False, problem=error.message)
        return dataclasses.replace(status, facts={**status.facts, "slots": self._slots, "running": self.running, "waiting": self.waiting})

    @property
    def running(self) -> int:
        """Calls that have a slot now."""
        return self._running

    @property
    def waiting(self) -> int:
        """Calls that wait for one."""
        return len(self._queue) + len(self._patient)

    @contextmanager
    def _slot(self, deadline: Deadline) -> Iterator[None]:
        self._enter(deadline)
        try:
            yield
        finally:
            self._leave(patient=deadline.patient)

    def _enter(self, deadline: Deadline) -> None:
        patient, longest = deadline.patient, max(0.0, deadline.left - MARGIN)
        queue = self._patient if patient else self._queue
        with self._lock:
            if self._running < self._slots and (not patient or self._may_be_patient):
                self._running += 1
                self._patient_running += patient
                return
            if not patient and len(queue) >= WAITING_PER_SLOT * self._slots:
                raise self._busy()
            turn = threading.Event()
            queue.append(turn)
        try:
            turn.wait(longest if patient else min(self._longest_wait, longest))
        except BaseException:  # the greenlet is killed, or its time is up
            if not self._withdraw(turn, queue):
                self._leave(patient=patient)
            raise
        if self._withdraw(turn, queue):
            raise self._busy()

    def _withdraw(self, turn: threading.Event, queue: deque[threading.Event]) -> bool:
        """Stop waiting. False when a slot was handed over in the meantime."""
        with self._lock:
            if turn.is_set():
                return False
            queue.remove(turn)
            return True

    def _leave(self, *, patient: bool) -> None:
        """Hand the slot to the one who waits longest; so nobody who comes later can take it."""
        with self._lock:
            self._patient_running -= patient
            if self._queue:
                self._queue.popleft().set()
            elif self._patient and self._may_be_patient:
                self._patient_running += 1
                self._patient.popleft().set()
            else:
                self._running -= 1

    @property
    def _may_be_patient(self) -> bool:
        return self._patient_running < max(1, self._slots - 1)

    def _busy(self) -> ModelBusy:
        waiting = self.waiting
        waits = "1 call is waiting" if waiting == 1 else f"{waiting} calls are waiting"
        return ModelBusy(f"The model is busy: {waits}. Try again in a few seconds.")


class _Breaker:
    """Remembers that the model cannot be reached, so that not every call has to find out."""

    def __init__(self, clock: Elapsed) -> None:
        self._clock = clock
        self._failures = 0
        self._tried_at = 0.0
        self._last = ""

    def call(self, ask: Callable[[], T]) -> T:
        if self._failures >= FAILURES_TO_OPEN and self._clock() - self._tried_at < OPEN_SECONDS:
            raise ModelUnavailable(self._last, detail="not tried: it was unavailable a moment ago")
        self._tried_at = self._clock()
        try:
            answer = ask()
        except ModelUnavailable as error:
            self._failures += 1
            self._last = error.message
            raise
        except ModelTimeout:
            raise  # says nothing about whether the next call would reach it
        except ModelError:
            self._failures = 0
            raise
        self._failures = 0
        return answer
