"""What this server can do: one file per tool, and the rows below, in the order in which clients see them.

To add a tool: write its file, add its row. Nothing registers itself. A tool without code is a YAML file of the operator's: `declared.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mcp_server.knowledge.ports import Knowledge
from mcp_server.knowledge.searching import NO_KNOWLEDGE
from mcp_server.llm.ports import LanguageModel
from mcp_server.mcp.tool import Tool
from mcp_server.tools.classify_incident import ClassifyIncident
from mcp_server.tools.declared import Declaration, declared_tool
from mcp_server.tools.echo import Echo
from mcp_server.tools.find_similar_incidents import FindSimilarIncidents
from mcp_server.tools.llm_generate import LlmGenerate
from mcp_server.tools.search_knowledge import SearchKnowledge
from mcp_server.tools.server_status import ServerStatus
from mcp_server.tools.taxonomy import Taxonomy

SHIPPED: dict[str, Callable[[LanguageModel, Taxonomy, Knowledge], Tool]] = {
    ClassifyIncident.name: lambda model, taxonomy, _: ClassifyIncident(model, taxonomy),
    SearchKnowledge.name: lambda _, __, knowledge: SearchKnowledge(knowledge),
    FindSimilarIncidents.name: lambda _, __, knowledge: FindSimilarIncidents(knowledge),
    LlmGenerate.name: lambda model, *_: LlmGenerate(model),
    ServerStatus.name: lambda model, *_: ServerStatus(model.status),
    Echo.name: lambda *_: Echo(),
}


def build_tools(
    model: LanguageModel, taxonomy: Taxonomy, declared: Iterable[Declaration] = (), *, knowledge: Knowledge = NO_KNOWLEDGE,
) -> tuple[Tool, ...]:
    """The shipped tools, then those that the operator declared."""
    return (*(make(model, taxonomy, knowledge) for make in SHIPPED.values()), *(declared_tool(each, model) for each in declared))
