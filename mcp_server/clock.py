"""The only place that asks the machine for the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]
"""Seconds since the epoch."""

Elapsed = Callable[[], float]
"""Seconds since some moment; never goes back."""

wall_clock: Clock = time.time
elapsed: Elapsed = time.monotonic


def moment(seconds: float | None) -> str | None:
    """A time as it is shown: UTC, to the second."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def in_words(seconds: int) -> str:
    """A length of time as operators say it: 90m, 12h, 7d."""
    unit, length = next((each for each in (("d", 86400), ("h", 3600)) if seconds % each[1] == 0), ("m", 60))
    return f"{seconds // length}{unit}"
