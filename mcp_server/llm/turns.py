"""Who is next at the model in this worker: clients take turns, whatever each of them has waiting."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from mcp_server.errors import ModelBusy

WAITING_PER_PLACE = 8


class Turns:
    """So many places, and the queue before them.

    Of those who wait, each client's longest waiting call is next in turn. Patient calls, for which nobody holds a connection, come
    after the others, and leave one place free where there are two. The queue is bounded: when it is full, the client with the most
    calls in it loses its last one, so that no client can keep another out.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._taken = 0
        self._patient_taken = 0
        self._queue = _Queue()
        self._patient = _Queue()

    @property
    def taken(self) -> int:
        return self._taken

    @property
    def waiting(self) -> int:
        return len(self._queue) + len(self._patient)

    @contextmanager
    def turn(self, caller: str, seconds: float, *, patient: bool) -> Iterator[None]:
        """Raises ModelBusy when there was no place for `caller` within `seconds`, or at once when there will be none."""
        self._enter(caller, seconds, patient=patient)
        try:
            yield
        finally:
            self._leave(patient=patient)

    def _enter(self, caller: str, seconds: float, *, patient: bool) -> None:
        queue = self._patient if patient else self._queue
        with self._lock:
            if self._taken < self._places and (not patient or self._may_be_patient):
                self._taken += 1
                self._patient_taken += patient
                return
            if not patient and len(queue) >= WAITING_PER_PLACE * self._places:
                if not queue.has_room_for(caller):
                    raise self.busy()
                queue.drop_one()
            turn = _Turn()
            queue.add(caller, turn)
        try:
            turn.decided.wait(seconds)
        except BaseException:  # the greenlet is killed, or its time is up
            if not self._withdraw(caller, turn, queue) and turn.granted:
                self._leave(patient=patient)
            raise
        if self._withdraw(caller, turn, queue) or not turn.granted:
            raise self.busy()

    def _withdraw(self, caller: str, turn: _Turn, queue: _Queue) -> bool:
        """Stop waiting. False when it was decided in the meantime."""
        with self._lock:
            if turn.decided.is_set():
                return False
            queue.remove(caller, turn)
            return True

    def _leave(self, *, patient: bool) -> None:
        """Hand the place over, so that nobody who comes later can take it."""
        with self._lock:
            self._patient_taken -= patient
            if self._queue:
                self._queue.next().grant()
            elif self._patient and self._may_be_patient:
                self._patient_taken += 1
                self._patient.next().grant()
            else:
                self._taken -= 1

    @property
    def _may_be_patient(self) -> bool:
        return self._patient_taken < patient_places(self._places)

    def busy(self) -> ModelBusy:
        waiting = self.waiting
        waits = "1 call is waiting" if waiting == 1 else f"{waiting} calls are waiting"
        return ModelBusy(f"The model is busy: {waits}. Try again in a few seconds.")


def patient_places(places: int) -> int:
    """How many of the places patient calls may have."""
    return max(1, places - 1)


class _Turn:
    """One waiting call. `decided` is set when it has a place (`granted`), or will never have one."""

    __slots__ = ("decided", "granted")

    def __init__(self) -> None:
        self.decided = threading.Event()
        self.granted = False

    def grant(self) -> None:
        self.granted = True
        self.decided.set()


class _Queue:
    """The waiting calls by client; the client whose turn it is comes first."""

    def __init__(self) -> None:
        self._by_caller: OrderedDict[str, deque[_Turn]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, caller: str, turn: _Turn) -> None:
        self._by_caller.setdefault(caller, deque()).append(turn)
        self._length += 1

    def next(self) -> _Turn:
        caller, turns = next(iter(self._by_caller.items()))
        turn = turns.popleft()
        self._by_caller.move_to_end(caller)
        self._removed(caller)
        return turn

    def remove(self, caller: str, turn: _Turn) -> None:
        self._by_caller[caller].remove(turn)
        self._removed(caller)

    def has_room_for(self, caller: str) -> bool:
        """Whether another client has so many more calls waiting that it can lose one to `caller`."""
        return len(self._by_caller[self._longest]) > len(self._by_caller.get(caller, ())) + 1

    def drop_one(self) -> None:
        """Refuse the last call of the client that has the most."""
        longest = self._longest
        self._by_caller[longest].pop().decided.set()
        self._removed(longest)

    @property
    def _longest(self) -> str:
        return max(self._by_caller, key=lambda caller: len(self._by_caller[caller]))

    def _removed(self, caller: str) -> None:
        self._length -= 1
        if not self._by_caller[caller]:
            del self._by_caller[caller]
