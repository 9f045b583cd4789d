"""The built objects, and how views reach them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from flask import current_app

from config.settings import Settings
from mcp_server.audit import Audit
from mcp_server.backup.backups import Backups
from mcp_server.clock import Clock
from mcp_server.knowledge.base import KnowledgeBase
from mcp_server.llm.ports import Embedder, LanguageModel
from mcp_server.llm.self_test import SelfTest
from mcp_server.mcp.dispatcher import Dispatcher
from mcp_server.mcp.ports import Journals
from mcp_server.mcp.server import Server
from mcp_server.mcp.tool import ToolRegistry
from mcp_server.metrics import Metrics
from mcp_server.oauth.administration import Administration
from mcp_server.oauth.authorize_endpoint import AuthorizeEndpoint
from mcp_server.oauth.client_configuration_endpoint import ClientConfigurationEndpoint
from mcp_server.oauth.credentials import Digests, Passwords
from mcp_server.oauth.device_approval import DeviceApproval
from mcp_server.oauth.device_authorization_endpoint import DeviceAuthorizationEndpoint
from mcp_server.oauth.grants_in_force import GrantsInForce
from mcp_server.oauth.identity.relying_party import RelyingParty
from mcp_server.oauth.introspection_endpoint import IntrospectionEndpoint
from mcp_server.oauth.key_records import KeyRecords
from mcp_server.oauth.keys import SigningKeys
from mcp_server.oauth.ports import ClientStore, GrantStore, InitialAccessTokenStore, SingleUseStore, UserStore
from mcp_server.oauth.registration_endpoint import RegistrationEndpoint
from mcp_server.oauth.revocation_endpoint import RevocationEndpoint
from mcp_server.oauth.revocations import Revocations
from mcp_server.oauth.token_endpoint import TokenEndpoint
from mcp_server.oauth.tokens import AccessTokens
from mcp_server.rate_limiting.limits import Limit
from mcp_server.tracing import RequestTracer
from mcp_server.web.bearer import Bearer
from mcp_server.web.client_address import ClientAddress
from mcp_server.web.running_calls import RunningCalls


class Store(Protocol):
    """A back end as the health page sees it."""

    def ping(self) -> None:
        """Raises StoreUnavailable."""

    def write(self, now: float) -> None:
        """Raises StoreUnavailable when it can be read at most."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class AuthorizationServices:
    """What the authorization server consists of."""

    clients: ClientStore
    users: UserStore
    grants: GrantStore
    grants_in_force: GrantsInForce
    administration: Administration
    initial_access_tokens: InitialAccessTokenStore
    single_use: SingleUseStore
    signing_keys: SigningKeys
    key_records: KeyRecords
    access_tokens: AccessTokens
    revocations: Revocations
    relying_party: RelyingParty | None
    authorize: AuthorizeEndpoint
    token: TokenEndpoint
    revocation: RevocationEndpoint
    introspection: IntrospectionEndpoint
    device_authorization: DeviceAuthorizationEndpoint
    device_approval: DeviceApproval
    registration: RegistrationEndpoint
    client_configuration: ClientConfigurationEndpoint
    metadata: dict[str, Any]
    resource_metadata: dict[str, Any]


@dataclass(frozen=True)
class McpServices:
    """What the MCP server consists of."""

    dispatcher: Dispatcher
    mcp_server: Server
    journals: Journals
    tools: ToolRegistry
    model: LanguageModel
    embedder: Embedder
    self_test: SelfTest
    knowledge: KnowledgeBase


@dataclass(frozen=True)
class Services(AuthorizationServices, McpServices):
    """Everything a view or a command may use. Built in `building/` and joined in `app.py`, and only there."""

    settings: Settings
    clock: Clock
    audit: Audit
    state: Store
    registry: Store
    digests: Digests
    passwords: Passwords
    bearer: Bearer
    client_address: ClientAddress
    allowed_origins: frozenset[str]
    local: bool
    mcp_limit: Limit
    metrics: Metrics
    tracing: RequestTracer | None
    calls: RunningCalls
    write_access_line: Callable[[dict[str, Any]], None]
    backups: Backups
    background: tuple[Callable[[], Callable[[], None]], ...] = ()
    probed: dict[str, tuple[float, str]] = field(default_factory=dict)  # the health page's, kept for a moment
    stops: list[Callable[[], None]] = field(default_factory=list)

    def start(self) -> None:
        """Begin the background work of this worker: following the revocations and the keys, sweeping what has expired."""
        self.stops.extend(begin() for begin in self.background)

    def drain(self) -> None:
        """End what would go on for long, and tell its clients: the worker stops."""
        self.mcp_server.changes.close()
        self.calls.end_within(self.settings.llm_timeout)
        if self.mcp_server.tasks is not None:
            self.mcp_server.tasks.runner.drain()

    def close(self) -> None:
        for stop in self.stops:
            stop()
        self.stops.clear()
        self.state.close()
        self.registry.close()
        self.knowledge.close()
        self.audit.close()


def services() -> Services:
    built: Services = current_app.extensions["services"]
    return built
