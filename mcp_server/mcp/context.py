"""What a handler or a tool may know of its call."""

from __future__ import annotations

from dataclasses import dataclass

from mcp_server.deadline import Deadline
from mcp_server.errors import InsufficientScope, TokenRequired
from mcp_server.principal import Principal


@dataclass(slots=True)  # not frozen: made for every call, and freezing costs three times as much
class CallContext:
    """`principal` is None for the few methods that are open. A tool must be done by `deadline`."""

    principal: Principal | None
    deadline: Deadline
    request_id: str | int | None = None

    def require_scope(self, scope: str) -> None:
        """Raises TokenRequired or InsufficientScope unless the caller has `scope`."""
        if self.principal is None:
            raise TokenRequired("This needs an access token.")
        if scope not in self.principal.scopes:
            raise InsufficientScope(f"This needs the scope {scope}.", scopes=self.principal.scopes | {scope})
