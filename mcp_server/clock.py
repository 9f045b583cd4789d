"""The only place that asks the machine for the time."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since the epoch."""

Elapsed = Callable[[], float]
"""Seconds since some moment; never goes back."""

wall_clock: Clock = time.time
elapsed: Elapsed = time.monotonic
