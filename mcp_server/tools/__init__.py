"""What this server can do: one file per tool, and the rows below, in the order in which clients see them.

To add a tool: write its file, add its row. Nothing registers itself. A tool without code is a YAML file of the operator's: `declared.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mcp_server.llm.ports import LanguageModel
from mcp_server.mcp.tool import Tool
from mcp_server.tools.answer_from_knowledge import AnswerFromKnowledge
from mcp_server.tools.chat import Chat
from mcp_server.tools.classify_incident import ClassifyIncident
from mcp_server.tools.declared import Declaration, declared_tool
from mcp_server.tools.draft_reply import DraftReply
from mcp_server.tools.echo import Echo
from mcp_server.tools.extract_fields import ExtractFields
from mcp_server.tools.llm_generate import LlmGenerate
from mcp_server.tools.parts import Parts
from mcp_server.tools.recommend_catalog_items import RecommendCatalogItems
from mcp_server.tools.server_status import ServerStatus
from mcp_server.tools.suggest_resolution import SuggestResolution
from mcp_server.tools.summarize_incident import SummarizeIncident
from mcp_server.tools.taxonomy import Taxonomy

SHIPPED: dict[str, Callable[[Parts], Tool | None]] = {
    ClassifyIncident.name: ClassifyIncident,
    SummarizeIncident.name: SummarizeIncident,
    SuggestResolution.name: lambda parts: SuggestResolution(parts, parts.knowledge) if parts.knowledge else None,
    RecommendCatalogItems.name: lambda parts: RecommendCatalogItems(parts, parts.knowledge) if parts.knowledge else None,
    AnswerFromKnowledge.name: lambda parts: AnswerFromKnowledge(parts, parts.knowledge) if parts.knowledge else None,
    DraftReply.name: DraftReply,
    ExtractFields.name: ExtractFields,
    LlmGenerate.name: LlmGenerate,
    Chat.name: lambda parts: Chat(parts, parts.chats) if parts.chats else None,
    ServerStatus.name: lambda parts: ServerStatus(parts.model.status),
    Echo.name: lambda parts: Echo() if parts.echo else None,
}
"""None: what the tool needs is not there, and it is not offered."""


def build_tools(model: LanguageModel, taxonomy: Taxonomy, declared: Iterable[Declaration] = (), **more: Any) -> tuple[Tool, ...]:
    """The shipped tools, then those that the operator declared. `more`: what else Parts has, such as `knowledge` and `embedder`."""
    parts = Parts(model, taxonomy, **more)
    shipped = (make(parts) for make in SHIPPED.values())
    return (*(tool for tool in shipped if tool is not None), *(declared_tool(each, parts) for each in declared))
