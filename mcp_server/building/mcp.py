"""The MCP server, put together: what is shipped, what the operator declared, and what a test adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config import logs
from mcp_server import __version__
from mcp_server.background import every, once, watching_the_knowledge, watching_the_tasks
from mcp_server.building.foundations import Background, Foundations
from mcp_server.building.model import build_model
from mcp_server.knowledge.base import KnowledgeBase
from mcp_server.knowledge.searching import SearchableKnowledge
from mcp_server.llm.ports import Embedder, LanguageModel
from mcp_server.mcp.announcing import announce
from mcp_server.mcp.asking import RequestStates
from mcp_server.mcp.changes import Changes
from mcp_server.mcp.dispatcher import Dispatcher
from mcp_server.mcp.methods import METHODS
from mcp_server.mcp.prompts import Prompt, PromptRegistry
from mcp_server.mcp.resources import ResourceRegistry, ResourceSource
from mcp_server.mcp.server import Server
from mcp_server.mcp.sessions import Sessions
from mcp_server.mcp.shown import Icon
from mcp_server.mcp.switchboard import Switchboard
from mcp_server.mcp.task_runner import TaskRunner
from mcp_server.mcp.tasks import Tasks
from mcp_server.mcp.tool import Tool, ToolRegistry
from mcp_server.oauth.credentials import derive_key
from mcp_server.storage.open import open_knowledge
from mcp_server.tools import SHIPPED, build_tools
from mcp_server.tools.instructions import instructions
from mcp_server.tools.knowledge_resources import ArticleResources, telling
from mcp_server.tools.operator_files import OperatorFiles
from mcp_server.tools.taxonomy_resources import taxonomy_resources
from mcp_server.web.services import AuthorizationServices, McpServices

ICON = Path(__file__).parent.parent / "web/static/icon.svg"
LISTEN_SECONDS, TASKS_SECONDS, KNOWLEDGE_SECONDS, WATCH_SECONDS = 0.05, 1.0, 2.0, 5.0


@dataclass(frozen=True)
class More:
    """What is offered beside what is shipped and what the operator declared."""

    tools: Sequence[Tool] = ()
    prompts: Sequence[Prompt] = ()
    resources: Sequence[ResourceSource] = ()


NOTHING_MORE = More()


def build_mcp(
    base: Foundations, config: Path, authorization: AuthorizationServices, *, model: LanguageModel | None, embedder: Embedder | None, more: More,
) -> tuple[McpServices, tuple[Background, ...]]:
    """The objects, and what runs beside the requests. `authorization` knows clients, and which credentials are revoked.

    Raises ConfigurationError for a bad file of the operator's in `config`.
    """
    settings, state, clock = base.settings, base.state, base.clock
    models, beside_model = build_model(base, model, embedder)
    model, embedder, revocations = models.model, models.embedder, authorization.revocations
    files = OperatorFiles.read(config, SHIPPED)
    corpus, index = open_knowledge(settings.knowledge_url, settings.knowledge_path)
    knowledge = KnowledgeBase(SearchableKnowledge(index, embedder, clock, base.metrics.searched), index, corpus, embedder)
    built_tools = build_tools(
        model, files.taxonomy, files.tools, knowledge=knowledge.search, embedder=embedder, chats=state.chats, parameters=files.classification,
        redact=settings.redact, context=settings.llm_context, echo=settings.echo_tool == "on", clock=clock)
    policies = files.clients.enforced(
        find=authorization.clients.find, count=lambda name, limit: revocations.admit((), name, limit), workers=settings.web_concurrency, clock=clock)
    tools = ToolRegistry((*built_tools, *more.tools), settings.tool_output_limit, policies)
    keys = [derive_key(secret, "mcp v1") for secret in (settings.jwt_secret, *settings.jwt_secret_previous)]
    switchboard = Switchboard(state.journals, clock)
    runner = TaskRunner(
        state.tasks, tools, switchboard, clock, timeout=settings.task_timeout, admitted=lambda ids: not revocations.known_to_be_revoked(ids),
        log_unexpected=_log_unexpected, log_ended=_task_ended(base))
    server = Server(
        "servicenow-mcp-gateway", "ServiceNow MCP gateway", __version__, instructions(() if tools.differs else [tool.name for tool in tools]), tools,
        Sessions(keys, state.sessions, clock, for_everybody=settings.mcp_sessions == "always"), switchboard,
        RequestStates(keys, clock), Changes(switchboard, clock), PromptRegistry((*files.prompts, *more.prompts)),
        ResourceRegistry((taxonomy_resources(files.taxonomy), ArticleResources(index, clock), *more.resources)),
        tasks=Tasks(state.tasks, runner, switchboard, clock, settings.task_timeout), icons=(Icon.svg(ICON.read_bytes()),))
    built = McpServices(
        dispatcher=Dispatcher(METHODS, server, _log_unexpected), mcp_server=server, journals=state.journals, tools=tools, **vars(models),
        knowledge=knowledge)
    return built, (
        *beside_model, once(lambda: announce(server, state.listings, clock())), every(LISTEN_SECONDS, switchboard.follow),
        every(TASKS_SECONDS, runner.look), every(KNOWLEDGE_SECONDS, telling(index, state.listings, server.changes, clock)),
        every(WATCH_SECONDS, watching_the_knowledge(index, base.metrics)), every(WATCH_SECONDS, watching_the_tasks(runner, base.metrics)))


def _task_ended(base: Foundations) -> Callable[[Mapping[str, Any]], None]:
    """Tell the log and the metrics."""

    def ended(facts: Mapping[str, Any]) -> None:
        base.write_access_line({"event": "task", **facts})
        base.metrics.task_ended(facts["tool"], facts["status"], facts["duration_ms"] / 1000)

    return ended


def _log_unexpected(error: Exception, method: str) -> None:
    logs.get("mcp").error("unexpected failure", exc_info=error, mcp_method=method)
