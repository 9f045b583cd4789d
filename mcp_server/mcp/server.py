"""What this server is, has and says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mcp_server.mcp.asking import RequestStates
from mcp_server.mcp.changes import Changes
from mcp_server.mcp.prompts import PromptRegistry
from mcp_server.mcp.resources import ResourceRegistry
from mcp_server.mcp.sessions import Sessions
from mcp_server.mcp.shown import Icon, icons_of
from mcp_server.mcp.switchboard import Switchboard
from mcp_server.mcp.tasks import TASKS, Tasks
from mcp_server.mcp.tool import ToolRegistry


@dataclass(frozen=True, slots=True)
class Server:
    """`instructions` are read by the model of the client, before any tool is chosen. Without `tasks` every call ends with its request."""

    name: str
    title: str
    version: str
    instructions: str
    tools: ToolRegistry
    sessions: Sessions
    switchboard: Switchboard
    states: RequestStates
    changes: Changes
    prompts: PromptRegistry = field(default_factory=PromptRegistry)
    resources: ResourceRegistry = field(default_factory=ResourceRegistry)
    tasks: Tasks | None = None
    icons: tuple[Icon, ...] = ()

    @property
    def info(self) -> dict[str, Any]:
        """Who answers, in few words: it goes with every result of 2026-07-28."""
        return {"name": self.name, "title": self.title, "version": self.version}

    @property
    def presentation(self) -> dict[str, Any]:
        """Who answers, where a client gets to know us (since 2025-11-25)."""
        return {**self.info, "icons": icons_of(self.icons)} if self.icons else self.info

    @property
    def capabilities(self) -> dict[str, Any]:
        """Only what is there to be used."""
        served: dict[str, Any] = {}
        if self.tools.definitions:
            served |= {"tools": {"listChanged": True}, "logging": {}}
        if self.prompts:
            served["prompts"] = {"listChanged": True}
        if self.resources:
            served["resources"] = {"subscribe": True, "listChanged": True}
        if self.prompts.completes or self.resources.completes:
            served["completions"] = {}
        return served

    @property
    def stateless_capabilities(self) -> dict[str, Any]:
        """As `server/discover` says it."""
        return {**self.capabilities, "extensions": self.extensions} if self.extensions else self.capabilities

    @property
    def extensions(self) -> dict[str, Any]:
        """What this server has beside the core of 2026-07-28."""
        return {TASKS: {}} if self.tasks is not None and any(tool.as_task != "never" for tool in self.tools) else {}
