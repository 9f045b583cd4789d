"""When the caller stops waiting. Made once per request and handed down to the socket."""

from __future__ import annotations

from dataclasses import dataclass

from mcp_server.clock import Elapsed, elapsed


@dataclass(slots=True, eq=False)  # two that end at the same moment are two; not frozen: made for every call, and freezing costs three times as much
class Deadline:
    """`at` is a reading of `clock`, in seconds. `patient`: nobody holds a connection meanwhile, so others go first.

    `caller` is the client it is for, so that clients take turns at what is scarce. Empty: the operator, or nobody in particular.
    """

    at: float
    clock: Elapsed = elapsed
    patient: bool = False
    caller: str = ""

    @classmethod
    def after(cls, seconds: float, clock: Elapsed = elapsed, *, caller: str = "") -> Deadline:
        return cls(clock() + seconds, clock, caller=caller)

    @property
    def left(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self.at - self.clock())
