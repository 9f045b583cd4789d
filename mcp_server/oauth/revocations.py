"""What was revoked: one durable truth, a shared copy that is asked on every request, and each worker's memory.

A revocation counts once the ledger has it, and is answered only then. The copy (Redis, or the state file) makes it
known to every worker at once. Memory follows the ledger, and covers what a copy that was restored or failed over lost.
A copy says whether it is complete: one that was wiped is refilled before it is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mcp_server.clock import Clock
from mcp_server.errors import StoreUnavailable
from mcp_server.oauth.models import Revocation
from mcp_server.oauth.ports import Admission, RevocationCopy, RevocationLedger
from mcp_server.rate_limiting.limits import Limit, LocalCounter

CANNOT_TELL = "The server cannot check at the moment whether this token was revoked. Keep it and try again in a few seconds."


class Revocations:
    """Asked on every request, followed every second.

    `fail_mode` decides when neither the copy nor the ledger can be asked: `closed`, `bounded` (memory is trusted for
    `max_staleness` seconds after it was last in step), or `open`.
    """

    SWEPT_ABOVE = 1000

    def __init__(
        self, ledger: RevocationLedger, copy: RevocationCopy, clock: Clock, *, fail_mode: str, max_staleness: int,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._copy = copy
        self._clock = clock
        self._fail_mode = fail_mode
        self._max_staleness = max_staleness
        self._warn = warn
        self._memory: dict[str, float] = {}
        self._sequence = 0
        self._in_step_at: float | None = None
        self._local = LocalCounter()

    def revoke(self, revoked_ids: Sequence[str], until: float) -> None:
        """End what these ids open. Returns when the ledger has it; raises StoreUnavailable when it has not."""
        self._ledger.record(revoked_ids, until)
        self._memory.update(dict.fromkeys(revoked_ids, until))
        try:
            self._copy.put([Revocation(0, each, until) for each in revoked_ids], self._clock())
        except StoreUnavailable:
            self._warn("A revocation is in the ledger and not yet in the copy; the workers follow the ledger.")

    def any_revoked(self, revoked_ids: Sequence[str]) -> bool:
        """For the endpoints that issue and inspect: never in doubt. Raises StoreUnavailable."""
        return self._in_memory(revoked_ids) or self._ledger.any_revoked(revoked_ids, self._clock())

    def known_to_be_revoked(self, revoked_ids: Sequence[str]) -> bool:
        """As far as this worker has heard, which is about a second behind. Costs nothing."""
        return self._in_memory(revoked_ids)

    def admit(self, revocable_ids: Sequence[str], counter: str, limit: Limit) -> bool:
        """False when one of the ids is revoked. Counts the request against `limit`, in the same round trip.

        Raises RateLimitExceeded, and StoreUnavailable when the fail mode says so.
        """
        if self._in_memory(revocable_ids):
            return False
        now = self._clock()
        try:
            admission = self._copy.admit(revocable_ids, counter if limit.most else "", limit.window, now)
        except StoreUnavailable:
            admission = self._without_the_copy(revocable_ids, counter, limit, now)
        if not admission.complete and not admission.revoked:
            admission = self._after_a_loss(revocable_ids, admission, now)
        if admission.revoked:
            return False
        limit.require(admission.hits, admission.seconds_left)
        return True

    def _without_the_copy(self, revocable_ids: Sequence[str], counter: str, limit: Limit, now: float) -> Admission:
        """The ledger answers for revocations; each worker counts for itself: local limits, not none."""
        hits, seconds_left = self._local.hit(counter, limit.window, now)
        return Admission(self._revoked_by_the_ledger(revocable_ids, now), complete=True, hits=hits, seconds_left=seconds_left)

    def _revoked_by_the_ledger(self, revocable_ids: Sequence[str], now: float) -> bool:
        try:
            return self._ledger.any_revoked(revocable_ids, now)
        except StoreUnavailable as error:
            in_step = self._in_step_at is not None and now - self._in_step_at <= self._max_staleness
            if self._fail_mode == "open" or (self._fail_mode == "bounded" and in_step):
                self._warn(f"No store can be asked for revocations; accepted by REVOCATION_FAIL_MODE={self._fail_mode}.")
                return False
            raise StoreUnavailable(CANNOT_TELL, detail=error.detail) from error

    def _after_a_loss(self, revocable_ids: Sequence[str], admission: Admission, now: float) -> Admission:
        """The copy was wiped: ask the ledger for this request, and fill the copy again."""
        revoked = self._revoked_by_the_ledger(revocable_ids, now)
        try:
            self._refill(now)
        except StoreUnavailable:
            self._warn("The copy of the revocations was lost and cannot be filled again yet.")
        return Admission(revoked, complete=True, hits=admission.hits, seconds_left=admission.seconds_left)

    def follow(self) -> None:
        """Bring memory, and a copy that was lost, in step with the ledger. Called about once a second. Never raises."""
        now = self._clock()
        try:
            news = self._ledger.since(self._sequence, now)
            self._remember(news)
            self._in_step_at = now
        except StoreUnavailable:
            return
        try:
            if news:
                self._copy.put(news, now)
            if self._copy.any_revoked((), now) is None:
                self._refill(now)
        except StoreUnavailable:
            return

    def _remember(self, news: Sequence[Revocation]) -> None:
        for revocation in news:
            self._memory[revocation.revoked_id] = revocation.until
            self._sequence = max(self._sequence, revocation.sequence)
        now = self._clock()
        if len(self._memory) > self.SWEPT_ABOVE:
            self._memory = {each: until for each, until in self._memory.items() if until > now}

    def _refill(self, now: float) -> None:
        self._copy.put(self._ledger.since(0, now), now)
        self._copy.mark_complete()

    def _in_memory(self, revoked_ids: Sequence[str]) -> bool:
        now = self._clock()
        return any(self._memory.get(each, 0.0) > now for each in revoked_ids)
