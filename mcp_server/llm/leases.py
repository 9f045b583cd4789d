"""One number of calls at the model for all workers together, kept in the store that they share."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from mcp_server.clock import Clock, wall_clock
from mcp_server.concurrency import pause
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelBusy, StoreUnavailable
from mcp_server.llm.turns import patient_places

LEASE_SECONDS = 15.0
RENEW_SECONDS = 5.0
ASK_AGAIN_SECONDS = 0.05
WAITS_SECONDS = 1.0
"""After which one that no longer asks is taken to be gone."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One call that wants to run, or runs. `since` is when it began to wait."""

    seat_id: str
    caller: str
    patient: bool
    since: float


class ModelSlots(Protocol):
    """Who runs at the model, over all workers. Times are of the wall clock."""

    def take(self, seat: Seat, *, most: int, patient_most: int, now: float, until: float, waits_until: float) -> bool:
        """Whether `seat` may run now, until `until`: in one step, and for never more than `most` seats.

        A free slot goes to the seat whose client runs the fewest calls, and among those to the one that waits longest; patient seats come
        after the others, and run `patient_most` at once at most. A seat that may not run is remembered as waiting until `waits_until`.
        """

    def hold(self, seats: Sequence[Seat], now: float, until: float) -> None:
        """These go on running."""

    def give_back(self, seat: Seat) -> None:
        """It neither runs nor waits."""


class Leases:
    """The slots as one worker sees them. While the store is away, the worker keeps to its own `share`."""

    def __init__(
        self, store: ModelSlots, *, most: int, share: int, clock: Clock = wall_clock, sleep: Callable[[float], None] = pause,
        warn: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._store = store
        self._most = most
        self._share = share
        self._clock = clock
        self._sleep = sleep
        self._warn = warn
        self._held: dict[str, Seat] = {}
        self._away = False

    @contextmanager
    def lease(self, deadline: Deadline, seconds: float, busy: Callable[[], ModelBusy]) -> Iterator[None]:
        """Run the block while holding a slot. Raises `busy()` when there was none within `seconds`."""
        seat = Seat(secrets.token_hex(8), deadline.caller, deadline.patient, self._clock())
        try:
            self._wait_for(seat, deadline, deadline.clock() + seconds, busy)
            yield
        finally:
            self._leave(seat)

    def renew(self) -> None:
        """Keep what this worker holds. To be called every RENEW_SECONDS."""
        if seats := list(self._held.values()):
            now = self._clock()
            try:
                self._store.hold(seats, now, now + LEASE_SECONDS)
            except StoreUnavailable as error:
                self._is_away(error)

    def _wait_for(self, seat: Seat, deadline: Deadline, ends: float, busy: Callable[[], ModelBusy]) -> None:
        while not self._take(seat):
            if deadline.clock() >= ends:
                raise busy()
            self._sleep(ASK_AGAIN_SECONDS)
        self._held[seat.seat_id] = seat

    def _take(self, seat: Seat) -> bool:
        now = self._clock()
        try:
            taken = self._store.take(
                seat, most=self._most, patient_most=patient_places(self._most), now=now, until=now + LEASE_SECONDS, waits_until=now + WAITS_SECONDS)
        except StoreUnavailable as error:
            self._is_away(error)
            return len(self._held) < self._share
        self._away = False
        return taken

    def _leave(self, seat: Seat) -> None:
        self._held.pop(seat.seat_id, None)
        try:
            self._store.give_back(seat)
        except StoreUnavailable as error:  # its lease runs out
            self._is_away(error)

    def _is_away(self, error: StoreUnavailable) -> None:
        if not self._away:
            self._away = True
            self._warn(error.detail)
