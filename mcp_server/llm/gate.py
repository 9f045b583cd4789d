"""How many calls reach the model at once, how long the others wait, and what happens while it is gone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from mcp_server.clock import Elapsed, elapsed
from mcp_server.concurrency import give_up_after
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelTimeout
from mcp_server.llm.breaker import Breaker
from mcp_server.llm.http import too_late
from mcp_server.llm.leases import Leases
from mcp_server.llm.observing import NOBODY, Observer
from mcp_server.llm.ports import Answer, IdentifiedModel, ModelIdentity, ModelStatus, OnToken, Prompt
from mcp_server.llm.turns import Turns

T = TypeVar("T")

LONGEST_WAIT = 10.0
MARGIN = 2.0  # seconds that must be left for the answer itself

class Gate:
    """A model behind `slots` places: in this process, and with `leases` in all workers together.

    Clients take turns. Patient calls, for which nobody holds a connection, come after the others, wait as long as their deadline
    lets them, and leave one slot free where there are two. A slot is free again however its call ends. A call that cannot have one in
    time is told so instead of waiting for nothing. After three failures to reach the model in a row calls are refused at once, but
    for one each five seconds that tries.
    """

    def __init__(
        self, model: IdentifiedModel, slots: int, *, leases: Leases | None = None, longest_wait: float = LONGEST_WAIT, clock: Elapsed = elapsed,
        observer: Observer = NOBODY,
    ) -> None:
        self._model = model
        self._slots = slots
        self._turns = Turns(slots)
        self._leases = leases
        self._longest_wait = longest_wait
        self._observer = observer
        self._breaker = Breaker(clock, lambda is_open: observer.breaker("gate", is_open=is_open))

    def answer(self, prompt: Prompt, deadline: Deadline, on_token: OnToken | None = None) -> Answer:
        """Raises a ModelError, before or at the deadline."""
        return self._in_turn(deadline, lambda: self._model.answer(prompt, deadline, on_token))

    def label_probabilities(self, prompt: Prompt, labels: Sequence[str], deadline: Deadline) -> Mapping[str, float] | None:
        """Raises a ModelError, before or at the deadline."""
        return self._in_turn(deadline, lambda: self._model.label_probabilities(prompt, labels, deadline))

    def status(self, deadline: Deadline) -> ModelStatus:
        """Never raises, and needs no slot."""
        try:
            with give_up_after(deadline.left, too_late):
                status = self._model.status(deadline)
        except ModelTimeout as error:
            status = ModelStatus("unknown", available=False, problem=error.message)
        return dataclasses.replace(status, facts={**status.facts, "slots": self._slots, "running": self.running, "waiting": self.waiting})

    def identity(self, model: str | None, deadline: Deadline) -> ModelIdentity:
        """Raises a ModelError. Needs no slot."""
        with give_up_after(deadline.left, too_late):
            return self._model.identity(model, deadline)

    @property
    def running(self) -> int:
        """Calls of this worker that have a place now."""
        return self._turns.taken

    @property
    def waiting(self) -> int:
        """Calls of this worker that wait for one."""
        return self._turns.waiting

    def renew(self) -> None:
        """Keep the slots that this worker holds among all. To be called every RENEW_SECONDS."""
        if self._leases is not None:
            self._leases.renew()

    def _in_turn(self, deadline: Deadline, ask: Callable[[], T]) -> T:
        with give_up_after(deadline.left, too_late):
            self._breaker.check()
            with self._slot(deadline):
                return self._breaker.call(ask)

    @contextmanager
    def _slot(self, deadline: Deadline) -> Iterator[None]:
        with ExitStack() as held:
            began, granted = deadline.clock(), False
            self._observer.began_to_wait()
            try:
                self._wait_for_a_slot(deadline, held)
                granted = True
            finally:
                self._observer.waited(deadline.clock() - began, granted=granted)
            held.callback(self._observer.left)
            yield

    def _wait_for_a_slot(self, deadline: Deadline, held: ExitStack) -> None:
        longest = max(0.0, deadline.left - MARGIN)
        seconds = longest if deadline.patient else min(self._longest_wait, longest)
        ends = deadline.clock() + seconds
        held.enter_context(self._turns.turn(deadline.caller, seconds, patient=deadline.patient))
        if self._leases is not None:
            held.enter_context(self._leases.lease(deadline, ends - deadline.clock(), self._turns.busy))
