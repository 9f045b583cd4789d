"""What the tools are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mcp_server.clock import Clock, wall_clock
from mcp_server.knowledge.ports import Knowledge
from mcp_server.llm.ports import Embedder, LanguageModel
from mcp_server.llm.redaction import Level
from mcp_server.mcp.ports import ChatStore
from mcp_server.tools.classification import Parameters
from mcp_server.tools.taxonomy import Taxonomy

READS: Mapping[str, bool] = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
"""The annotations of a tool that changes nothing, and answers the same question in the same way."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is None is not there: what needs it is not offered, or does without and says so.

    `context`: tokens that the model can read and write in one call. `redact`: what is kept from the model.
    `echo`: whether there is a tool for trying a connection, which no agent needs.
    """

    model: LanguageModel
    taxonomy: Taxonomy
    knowledge: Knowledge | None = None
    embedder: Embedder | None = None
    chats: ChatStore | None = None
    parameters: Parameters = field(default_factory=Parameters)
    redact: Level = "off"
    context: int = 4096
    echo: bool = True
    clock: Clock = wall_clock
