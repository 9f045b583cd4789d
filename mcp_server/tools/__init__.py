"""What this server can do: one file per tool, and the tuple below, which is the order in which clients see them.

To add a tool: write its file, add its row. Nothing registers itself.
"""

from __future__ import annotations

from mcp_server.llm.ports import LanguageModel
from mcp_server.mcp.tool import Tool
from mcp_server.tools.classify_incident import ClassifyIncident
from mcp_server.tools.echo import Echo
from mcp_server.tools.llm_generate import LlmGenerate
from mcp_server.tools.server_status import ServerStatus
from mcp_server.tools.taxonomy import Taxonomy


def build_tools(model: LanguageModel, taxonomy: Taxonomy) -> tuple[Tool, ...]:
    return (
        ClassifyIncident(model, taxonomy),
        LlmGenerate(model),
        ServerStatus(model.status),
        Echo(),
    )
