"""The MCP server, put together: what is shipped, what the operator declared, and what a test adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from config import logs
from mcp_server import __version__
from mcp_server.background import every, once
from mcp_server.building.foundations import Background, Foundations
from mcp_server.llm.open import open_embedder, open_model
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
from mcp_server.mcp.switchboard import Switchboard
from mcp_server.mcp.task_runner import TaskRunner
from mcp_server.mcp.tasks import Tasks
from mcp_server.mcp.tool import Tool, ToolRegistry
from mcp_server.oauth.credentials import derive_key
from mcp_server.tools import SHIPPED, build_tools
from mcp_server.tools.operator_files import OperatorFiles
from mcp_server.tools.taxonomy_resources import taxonomy_resources
from mcp_server.web.services import McpServices

INSTRUCTIONS = (
    "A language model inside the company's network, for IT service management. Call classify_incident for the category, impact, urgency and "
    "priority of an incident, and llm_generate for free text. Give each tool the plain text of the record; nothing you send leaves the network."
)
LISTEN_SECONDS, TASKS_SECONDS = 0.05, 1.0


@dataclass(frozen=True)
class More:
    """What is offered beside what is shipped and what the operator declared."""

    tools: Sequence[Tool] = ()
    prompts: Sequence[Prompt] = ()
    resources: Sequence[ResourceSource] = ()


NOTHING_MORE = More()


def build_mcp(
    base: Foundations, config: Path, *, model: LanguageModel | None, embedder: Embedder | None, more: More, revoked: Callable[[Sequence[str]], bool],
) -> tuple[McpServices, tuple[Background, ...]]:
    """The objects, and what runs beside the requests. `revoked` tells of a caller's ids whether one is known to be revoked.

    Raises ConfigurationError for a bad file of the operator's in `config`.
    """
    settings, state, clock = base.settings, base.state, base.clock
    model = model or open_model(settings, settings.state_path.parent)
    embedder = embedder or open_embedder(settings, settings.state_path.parent)
    files = OperatorFiles.read(config, SHIPPED)
    built_tools = build_tools(
        model, files.taxonomy, files.tools, embedder=embedder, chats=state.chats, parameters=files.classification, redact=settings.redact,
        context=settings.llm_context, echo=settings.echo_tool == "on", clock=clock)
    tools = ToolRegistry((*built_tools, *more.tools), settings.tool_output_limit)
    keys = [derive_key(secret, "mcp v1") for secret in (settings.jwt_secret, *settings.jwt_secret_previous)]
    switchboard = Switchboard(state.journals, clock)
    runner = TaskRunner(
        state.tasks, tools, switchboard, clock, timeout=settings.task_timeout, admitted=lambda ids: not revoked(ids),
        log_unexpected=_log_unexpected, log_ended=lambda facts: base.write_access_line({"event": "task", **facts}))
    server = Server(
        "servicenow-mcp-gateway", "ServiceNow MCP gateway", __version__, INSTRUCTIONS, tools,
        Sessions(keys, state.sessions, clock, for_everybody=settings.mcp_sessions == "always"), switchboard,
        RequestStates(keys, clock), Changes(switchboard, clock), PromptRegistry((*files.prompts, *more.prompts)),
        ResourceRegistry((taxonomy_resources(files.taxonomy), *more.resources)),
        tasks=Tasks(state.tasks, runner, switchboard, clock, settings.task_timeout))
    built = McpServices(
        dispatcher=Dispatcher(METHODS, server, _log_unexpected), mcp_server=server, journals=state.journals, tools=tools, model=model,
        embedder=embedder)
    return built, (
        once(lambda: announce(server, state.listings, clock())), every(LISTEN_SECONDS, switchboard.follow), every(TASKS_SECONDS, runner.look))


def _log_unexpected(error: Exception, method: str) -> None:
    logs.get("mcp").error("unexpected failure", exc_info=error, mcp_method=method)
