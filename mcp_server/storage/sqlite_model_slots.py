"""Who runs at the model, in the SQLite file of the hot state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mcp_server.llm.leases import Seat
from mcp_server.storage.sqlite_file import SqliteFile


class SqliteModelSlots:
    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def take(self, seat: Seat, *, most: int, patient_most: int, now: float, until: float, waits_until: float) -> bool:
        with self._file.transaction() as connection:
            rows = connection.execute("SELECT seat_id, caller, patient, since, running FROM model_seats WHERE expires_at > ?", (now,)).fetchall()
            seats = {row[0]: (Seat(row[0], row[1], bool(row[2]), row[3]), bool(row[4])) for row in rows}
            _, runs = seats.pop(seat.seat_id, (seat, False))
            taken = runs or _is_next(seat, list(seats.values()), most, patient_most)
            connection.execute(
                "INSERT OR REPLACE INTO model_seats VALUES (?, ?, ?, ?, ?, ?)",
                (seat.seat_id, seat.caller, seat.patient, seat.since, taken, until if taken else waits_until))
        return taken

    def hold(self, seats: Sequence[Seat], now: float, until: float) -> None:  # noqa: ARG002 - as RedisModelSlots has it
        with self._file.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO model_seats VALUES (?, ?, ?, ?, 1, ?)",
                [(seat.seat_id, seat.caller, seat.patient, seat.since, until) for seat in seats])

    def give_back(self, seat: Seat) -> None:
        self._file.run("DELETE FROM model_seats WHERE seat_id = ?", (seat.seat_id,))


def _is_next(seat: Seat, others: Sequence[tuple[Seat, bool]], most: int, patient_most: int) -> bool:
    running = [other for other, runs in others if runs]
    of = Counter(other.caller for other in running)
    full_for_patient = sum(other.patient for other in running) >= patient_most

    def may(other: Seat) -> bool:
        return not (other.patient and full_for_patient)

    def order(other: Seat) -> tuple[bool, int, float, str]:
        return other.patient, of[other.caller], other.since, other.seat_id

    waiting = [other for other, runs in others if not runs and may(other)]
    return len(running) < most and may(seat) and all(order(seat) < order(other) for other in waiting)
