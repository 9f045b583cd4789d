"""What a client may use: which tools and models, how often, how many at once, how much text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

from mcp_server.clock import Clock
from mcp_server.errors import RateLimitExceeded, ToolError
from mcp_server.principal import Principal
from mcp_server.rate_limiting.limits import Limit

REMEMBERED = 60.0
"""Seconds for which a client keeps the policy that its name gave it."""
MOST_REMEMBERED = 4096
MINUTE = 60

Count = Callable[[str, Limit], object]
"""Counts one call of this name, in all workers. Raises RateLimitExceeded."""


class Named(Protocol):
    @property
    def client_name(self) -> str:
        """What the client calls itself."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`tools`: names or patterns; None: all. `models` empty: all; the first is used when none is named. Of a number 0 means: no limit of its own."""

    tools: tuple[str, ...] | None = None
    models: tuple[str, ...] = ()
    calls_per_minute: int = 0
    concurrent_calls: int = 0
    output_limit: int = 0

    def admits(self, tool: str) -> bool:
        return self.tools is None or any(fnmatchcase(tool, pattern) for pattern in self.tools)


NO_POLICY = Policy()


class Policies:
    """`rules`: policies by pattern of a client's id or name; the first that fits counts, else `default`.

    `find` is asked for the client, for its name, and may raise StoreUnavailable: rather no answer than another client's policy. Calls at once are
    counted in each of the `workers` by itself, each with its share.
    """

    def __init__(
        self, rules: Mapping[str, Policy], default: Policy, *, find: Callable[[str], Named | None], count: Count, workers: int, clock: Clock,
    ) -> None:
        self.rules = rules
        self.default = default
        self._find = find
        self._count = count
        self._workers = workers
        self._clock = clock
        self._remembered: dict[str, tuple[float, Policy]] = {}
        self._running: dict[str, int] = {}

    @property
    def written(self) -> list[Any]:
        """As an operator wrote them, for who wants to know whether they changed."""
        return [["default", asdict(self.default)], *([pattern, asdict(policy)] for pattern, policy in self.rules.items())]

    def of(self, principal: Principal | None) -> Policy:
        """No policy for who has no credential but a terminal of this machine. Raises StoreUnavailable."""
        if principal is None:
            return NO_POLICY
        now, client_id = self._clock(), principal.client_id
        until, policy = self._remembered.get(client_id, (0.0, NO_POLICY))
        if now >= until:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            policy = self._found(client_id)
            self._remembered[client_id] = (now + REMEMBERED, policy)
        return policy

    def count(self, policy: Policy, principal: Principal | None) -> None:
        """One call more in this minute. Raises ToolError beyond the policy's limit."""
        if principal is None or not policy.calls_per_minute:
            return
        try:
            self._count(f"policy:{principal.client_id}", Limit(policy.calls_per_minute, MINUTE))
        except RateLimitExceeded as error:
            raise ToolError(
                f"You may call tools {policy.calls_per_minute} times a minute. Try again in {error.retry_after} seconds.") from error

    @contextmanager
    def running(self, policy: Policy, principal: Principal | None) -> Iterator[None]:
        """While the block runs it counts as one call. Raises ToolError when there are as many as there may be."""
        if principal is None or not policy.concurrent_calls:
            yield
            return
        client_id, most = principal.client_id, max(1, policy.concurrent_calls // self._workers)
        if self._running.get(client_id, 0) >= most:
            raise ToolError(f"You may have {policy.concurrent_calls} calls at once. Wait until one of yours has ended, and call again.")
        self._running[client_id] = self._running.get(client_id, 0) + 1
        try:
            yield
        finally:
            left = self._running.pop(client_id) - 1
            if left:
                self._running[client_id] = left

    def _found(self, client_id: str) -> Policy:
        by_id = next((policy for pattern, policy in self.rules.items() if pattern == client_id), None)
        if by_id is not None:
            return by_id
        client = self._find(client_id)
        names = [client_id, *([client.client_name] if client is not None else [])]
        return next((policy for pattern, policy in self.rules.items() if any(fnmatchcase(name, pattern) for name in names)), self.default)
