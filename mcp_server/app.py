"""Where every object is built and joined, and nowhere else. Opens no connection: the command line works offline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from flask import Flask
from flask.json.provider import JSONProvider
from flask_cors import CORS

from config import logs
from config.settings import Settings
from mcp_server import __version__
from mcp_server.audit import Audit
from mcp_server.audit_log.chain import Keys
from mcp_server.audit_log.writer import ChainedFile
from mcp_server.background import every, once, sweeping, sweeping_keys
from mcp_server.clock import Clock, wall_clock
from mcp_server.errors import StoreUnavailable
from mcp_server.llm.leases import RENEW_SECONDS
from mcp_server.llm.open import open_embedder, open_leases, open_model
from mcp_server.llm.ports import Embedder, LanguageModel
from mcp_server.llm.self_test import ELECTED_SECONDS, SelfTest, Step
from mcp_server.llm.self_test import FOLLOW_SECONDS as SELF_TEST_SECONDS
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
from mcp_server.oauth.authorization_server import AuthorizationServer
from mcp_server.oauth.authorize_endpoint import AuthorizeEndpoint
from mcp_server.oauth.client_assertion import ClientAssertions
from mcp_server.oauth.client_authentication import ClientAuthentication
from mcp_server.oauth.client_configuration_endpoint import ClientConfigurationEndpoint
from mcp_server.oauth.client_id_documents import ClientIdDocuments
from mcp_server.oauth.client_id_urls import AllowedDomains
from mcp_server.oauth.clients import Clients
from mcp_server.oauth.credentials import Digests, Passwords, derive_key
from mcp_server.oauth.device_approval import DeviceApproval
from mcp_server.oauth.device_authorization_endpoint import DeviceAuthorizationEndpoint
from mcp_server.oauth.grants.authorization_code import AuthorizationCodeGrant, S256Challenge
from mcp_server.oauth.grants.client_credentials import ClientCredentialsGrant
from mcp_server.oauth.grants.device_code import DeviceCodeGrant
from mcp_server.oauth.grants.identity_assertion import IdentityAssertionGrant
from mcp_server.oauth.grants.issuing import GrantParts
from mcp_server.oauth.grants.refresh_token import RefreshTokenGrant
from mcp_server.oauth.grants_in_force import GrantsInForce
from mcp_server.oauth.identity.accounts import Accounts, AllowList
from mcp_server.oauth.identity.identity_assertions import IdentityAssertions
from mcp_server.oauth.identity.provider import Provider
from mcp_server.oauth.identity.relying_party import ProviderClient, RelyingParty
from mcp_server.oauth.introspection_endpoint import IntrospectionEndpoint
from mcp_server.oauth.key_records import KeyRecords, KeyWrapping
from mcp_server.oauth.keys import SigningKeys
from mcp_server.oauth.metadata import authorization_server_metadata, protected_resource_metadata
from mcp_server.oauth.ports import SingleUseStore
from mcp_server.oauth.redirect_uris import LOOPBACK
from mcp_server.oauth.registration_endpoint import RegistrationEndpoint
from mcp_server.oauth.revocation_endpoint import RevocationEndpoint
from mcp_server.oauth.revocations import Revocations
from mcp_server.oauth.token_endpoint import TokenEndpoint
from mcp_server.oauth.tokens import AccessTokens
from mcp_server.outbound.client_documents import FetchedClientDocuments
from mcp_server.outbound.jwks import CachedJwks
from mcp_server.outbound.provider_http import ProviderHttp
from mcp_server.outbound.safe_fetch import Fetch, SafeFetch
from mcp_server.rate_limiting.limits import Limit
from mcp_server.storage.limits import limiter_options
from mcp_server.storage.open import open_state
from mcp_server.storage.registry import Registry
from mcp_server.tools import SHIPPED, build_tools
from mcp_server.tools.operator_files import OperatorFiles
from mcp_server.tools.taxonomy_resources import taxonomy_resources
from mcp_server.web import (
    device,
    error_handlers,
    grants,
    health,
    hooks,
    limits,
    login,
    mcp,
    oauth,
    oidc,
    request_log,
    sessions,
    sign_in_attempts,
    well_known,
)
from mcp_server.web.bearer import Bearer
from mcp_server.web.client_address import ClientAddress
from mcp_server.web.services import Services

CONFIG = Path(__file__).parent.parent / "config"
INSTRUCTIONS = (
    "A language model inside the company's network, for IT service management. Call classify_incident for the category, impact, urgency and "
    "priority of an incident, and llm_generate for free text. Give each tool the plain text of the record; nothing you send leaves the network."
)
FOLLOW_SECONDS, KEYS_SECONDS, SWEEP_SECONDS, TASKS_SECONDS = 1.0, 2.0, 60, 1.0
LISTEN_SECONDS = 0.05

GRANTS: tuple[tuple[type, list[Any]], ...] = (
    (AuthorizationCodeGrant, [S256Challenge()]), (RefreshTokenGrant, []), (ClientCredentialsGrant, []), (DeviceCodeGrant, []))
"""What the token endpoint serves, and so what the metadata names."""
NEED_A_PERSON = (DeviceCodeGrant,)
"""Not served with AUTHORIZATION_MODE=auto, where nobody is asked."""


@dataclass(frozen=True)
class More:
    """What is offered beside what is shipped and what the operator declared."""

    tools: Sequence[Tool] = ()
    prompts: Sequence[Prompt] = ()
    resources: Sequence[ResourceSource] = ()


NOTHING_MORE = More()


def create_app(
    settings: Settings, *, clock: Clock = wall_clock, model: LanguageModel | None = None, password_cost: int = 12, log_to: int = logs.STDOUT,
    fetch: Fetch | None = None, config: Path = CONFIG, more: More = NOTHING_MORE, embedder: Embedder | None = None,
) -> Flask:
    """The application. What a test or the command line must replace is an argument; `log_to` is a file descriptor.

    `config` is the folder of the operator's files. Raises ConfigurationError for a bad one.
    """
    logs.configure(settings.log_level, settings.log_format, log_to)
    app = Gateway(__name__, static_folder="web/static", template_folder="web/templates")
    app.json = OrjsonProvider(app)
    sessions.init_app(app, settings)
    error_handlers.init_app(app)
    for blueprint in (well_known.bp, oauth.bp, login.bp, oidc.bp, grants.bp, device.bp, mcp.bp, health.bp):
        app.register_blueprint(blueprint)
    built = build_services(settings, clock=clock, model=model, password_cost=password_cost, log_to=log_to, fetch=fetch, config=config, more=more,
                           embedder=embedder)
    app.extensions["services"] = built
    request_log.init_app(app, built)
    limiter = limits.init_app(
        app, limiter_options(settings.redis_url, settings.state_path), oauth=oauth.bp, login=login.bp, oidc=oidc.bp, device=device.bp,
        limit=Limit(settings.rate_limit_oauth_max, settings.rate_limit_oauth_window), clock=clock)
    sign_in_attempts.init_app(app, limiter.storage, built.digests, clock)
    origins = {"origins": sorted(built.allowed_origins)}
    cors = CORS(
        resources=dict.fromkeys((r"/\.well-known/.*", r"/(oauth/)?(token|register|revoke)"), origins),
        allow_headers=["Authorization", "Content-Type", "MCP-Protocol-Version"], expose_headers=["WWW-Authenticate", "X-Request-ID"],
        max_age=600, always_send=False, intercept_exceptions=False)
    hooks.only_for(app, (well_known.bp, oauth.bp), cors.init_app)
    return app


def build_services(
    settings: Settings, *, clock: Clock, model: LanguageModel | None, password_cost: int, log_to: int, fetch: Fetch | None = None,
    config: Path = CONFIG, more: More = NOTHING_MORE, embedder: Embedder | None = None,
) -> Services:
    state, registry = open_state(settings.redis_url, settings.state_path, clock=clock), Registry(settings.database_url)
    audit = Audit(_audit_writer(settings, clock, log_to), clock)
    digests = Digests(settings.jwt_secret, settings.jwt_secret_previous)
    key_records = KeyRecords(registry.signing_keys, KeyWrapping(settings.jwt_secret, settings.jwt_secret_previous), clock)
    signing_keys = SigningKeys(
        settings.jwt_secret, settings.jwt_secret_previous, algorithm=settings.jwt_algorithm, records=key_records, clock=clock,
        warn=logs.get("keys").warning)
    access_tokens = AccessTokens(settings.issuer, settings.resource, signing_keys, settings.access_token_lifetime, clock)
    revocations = Revocations(
        registry.revocations, state.revocations, clock, fail_mode=settings.revocation_fail_mode, max_staleness=settings.revocation_max_staleness,
        warn=logs.get("revocations").warning)
    fetch = fetch or SafeFetch()
    assertions = ClientAssertions(settings.issuer, state.single_use, CachedJwks(fetch, clock), clock)
    domains = AllowedDomains(settings.cimd_allowed_domains)
    documents = ClientIdDocuments(domains, _redirect_hosts(settings), clock)
    clients = Clients(registry.clients, FetchedClientDocuments(fetch, documents.client_from, audit, clock), domains, revocations, audit)
    server = AuthorizationServer(clients, ClientAuthentication(clients, registry.clients, digests, assertions))
    parts = GrantParts(
        issuer=settings.issuer, codes=state.codes, devices=state.devices, refresh_tokens=state.refresh_tokens, grants=state.grants,
        users=registry.users, revocations=revocations, access_tokens=access_tokens, digests=digests, audit=audit, clock=clock,
        code_lifetime=settings.authorization_code_lifetime, refresh_lifetime=settings.refresh_token_lifetime,
        refresh_idle=settings.refresh_token_idle_lifetime, refresh_grace=settings.refresh_reuse_grace)
    http = ProviderHttp()
    published = CachedJwks(http, clock)
    accounts = Accounts(
        registry.users, AllowList(settings.oidc_allowed_domains, settings.oidc_allowed_groups, settings.oidc_groups_claim), audit, clock)
    authorize = AuthorizeEndpoint(server, settings.authorization_mode)
    _register_grants(server, parts, automatic=authorize.automatic)
    if settings.id_jag_issuers:
        server.register_grant(type("IdentityAssertionGrant", (IdentityAssertionGrant,), {"parts": parts, "accounts": accounts, "assertions": (
            IdentityAssertions(settings.issuer, [Provider(issuer, http, clock) for issuer in settings.id_jag_issuers],
                               single_use=state.single_use, published=published, clock=clock))}))
    registration = RegistrationEndpoint(
        issuer=settings.issuer, mode=settings.dcr_mode, configured_token=settings.dcr_auth_token,
        initial_access_tokens=registry.initial_access_tokens, clients=registry.clients, allowed_hosts=_redirect_hosts(settings),
        automatic=authorize.automatic, digests=digests, audit=audit, clock=clock)
    leases = open_leases(settings, state.model_slots, clock=clock, warn=_log_leases)
    renewing = [every(RENEW_SECONDS, leases.renew)] if leases else []
    model = model or open_model(settings, settings.state_path.parent, leases)
    embedder = embedder or open_embedder(settings, settings.state_path.parent)
    self_test = SelfTest(model, embedder, context=settings.llm_context, elected=_elected(state.single_use, clock), changed=_log_self_test)
    files = OperatorFiles.read(config, SHIPPED)
    tools = ToolRegistry((*build_tools(model, files.taxonomy, files.tools), *more.tools), settings.tool_output_limit)
    mcp_keys = [derive_key(secret, "mcp v1") for secret in (settings.jwt_secret, *settings.jwt_secret_previous)]
    sessions = Sessions(mcp_keys, state.sessions, clock, for_everybody=settings.mcp_sessions == "always")
    switchboard = Switchboard(state.journals, clock)
    write_access_line = logs.line_writer(None, settings.log_format, log_to)
    runner = TaskRunner(
        state.tasks, tools, switchboard, clock, timeout=settings.task_timeout, admitted=lambda ids: not revocations.known_to_be_revoked(ids),
        log_unexpected=_log_unexpected, log_ended=lambda facts: write_access_line({"event": "task", **facts}))
    served = Server(
        "servicenow-mcp-gateway", "ServiceNow MCP gateway", __version__, INSTRUCTIONS, tools, sessions, switchboard,
        RequestStates(mcp_keys, clock), Changes(switchboard, clock), PromptRegistry((*files.prompts, *more.prompts)),
        ResourceRegistry((taxonomy_resources(files.taxonomy), *more.resources)),
        tasks=Tasks(state.tasks, runner, switchboard, clock, settings.task_timeout))
    return Services(
        settings=settings, clock=clock, audit=audit, state=state, registry=registry,
        clients=registry.clients, users=registry.users, grants=state.grants,
        grants_in_force=GrantsInForce(state.grants, revocations, tokens_accepted_for=access_tokens.accepted_for, clock=clock),
        initial_access_tokens=registry.initial_access_tokens,
        single_use=state.single_use, digests=digests, passwords=Passwords(password_cost), signing_keys=signing_keys,
        key_records=key_records, access_tokens=access_tokens, revocations=revocations,
        relying_party=_relying_party(settings, http, published, accounts, clock),
        authorize=authorize, token=TokenEndpoint(server, registry.clients, audit, clock),
        revocation=RevocationEndpoint(
            server, access_tokens=access_tokens, refresh_tokens=state.refresh_tokens, digests=digests, revocations=revocations, audit=audit,
            clock=clock),
        introspection=IntrospectionEndpoint(
            server, issuer=settings.issuer, access_tokens=access_tokens, refresh_tokens=state.refresh_tokens, grants=state.grants,
            users=registry.users, digests=digests, revocations=revocations, audit=audit, clock=clock),
        device_authorization=DeviceAuthorizationEndpoint(
            server, state.devices, issuer=settings.issuer, digests=digests, audit=audit, clock=clock),
        device_approval=DeviceApproval(parts, clients),
        registration=registration,
        client_configuration=ClientConfigurationEndpoint(
            registration, registry.clients, digests=digests, revocations=revocations, audit=audit, clock=clock,
            tokens_last=settings.refresh_token_lifetime + settings.authorization_code_lifetime + access_tokens.accepted_for),
        metadata=authorization_server_metadata(
            settings.issuer, grant_types=server.grant_types, registration=settings.dcr_mode != "off",
            jwks=signing_keys.published, client_documents=bool(domains)),
        resource_metadata=protected_resource_metadata(settings.issuer),
        bearer=Bearer(access_tokens, settings.mcp_api_key, clock), client_address=ClientAddress(settings.trusted_proxies),
        allowed_origins=settings.allowed_origins | {settings.issuer}, local=settings.local,
        mcp_limit=Limit(settings.rate_limit_mcp_max, settings.rate_limit_mcp_window),
        dispatcher=Dispatcher(METHODS, served, _log_unexpected), mcp_server=served, journals=state.journals,
        tools=tools, model=model, embedder=embedder, self_test=self_test, write_access_line=write_access_line,
        background=(once(lambda: announce(served, state.listings, clock())), every(FOLLOW_SECONDS, revocations.follow),
                    every(KEYS_SECONDS, signing_keys.follow), every(LISTEN_SECONDS, switchboard.follow), every(TASKS_SECONDS, runner.look),
                    every(SWEEP_SECONDS, sweeping(state, registry, clock)), every(SWEEP_SECONDS, sweeping_keys(key_records, audit)),
                    every(SELF_TEST_SECONDS, self_test.follow), *renewing))


class Gateway(Flask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Flask asks of every view and hook, at every request, whether it is a coroutine. None of ours is."""
        return func


class OrjsonProvider(JSONProvider):
    """Refuses what is not JSON and never writes NaN."""

    def dumps(self, obj: Any, **_: Any) -> str:
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return orjson.loads(s)


def _register_grants(server: AuthorizationServer, parts: GrantParts, *, automatic: bool) -> None:
    """Authlib makes a grant anew for each request; the class of this app carries what it is made of."""
    for grant, extensions in GRANTS:
        if automatic and grant in NEED_A_PERSON:
            continue
        server.register_grant(type(grant.__name__, (grant,), {"parts": parts}), extensions)


def _relying_party(settings: Settings, http: ProviderHttp, published: CachedJwks, accounts: Accounts, clock: Clock) -> RelyingParty | None:
    if not settings.oidc_issuer or not settings.oidc_client_id or not settings.oidc_client_secret:
        return None
    client = ProviderClient(settings.oidc_client_id, settings.oidc_client_secret, settings.oidc_scopes, f"{settings.issuer}/login/oidc/callback")
    return RelyingParty(
        settings.oidc_name or urlsplit(settings.oidc_issuer).netloc, client, Provider(settings.oidc_issuer, http, clock), http=http,
        published=published, accounts=accounts, clock=clock)


def _redirect_hosts(settings: Settings) -> frozenset[str]:
    instances = {origin.removeprefix("https://") for origin in settings.servicenow_instances}
    return frozenset(settings.dcr_allowed_redirect_hosts) or frozenset(instances | LOOPBACK)


def _audit_writer(settings: Settings, clock: Clock, log_to: int) -> Callable[[dict[str, Any]], None]:
    """JSON whatever LOG_FORMAT says: an audit line is for machines first. A regular file is chained, and nothing else can be."""
    path, write = settings.audit_log_path, logs.line_writer(None, "json", log_to)
    if path is not None:
        keys = Keys(settings.jwt_secret, settings.jwt_secret_previous)
        write = logs.line_writer(path) if path.exists() and not path.is_file() else ChainedFile(path, keys, clock, otherwise=log_to)
    return lambda record: write({"event": "audit", **record})


def _log_leases(detail: str) -> None:
    logs.get("model").warning("each worker keeps to its own share of the model slots for now", detail=detail)


def _elected(claims: SingleUseStore, clock: Clock) -> Callable[[], bool]:
    def elected() -> bool:
        try:
            return claims.claim("the model's self-test", clock() + ELECTED_SECONDS, clock())
        except StoreUnavailable:
            return False

    return elected


def _log_self_test(steps: tuple[Step, ...]) -> None:
    for step in steps:
        if not step.ok:
            logs.get("model").warning(step.said, self_test=step.name, next_step=step.next_step)
    if len(steps) > 1 and all(step.ok for step in steps):
        logs.get("model").info("the self-test of the model passed", found=[step.said for step in steps])


def _log_unexpected(error: Exception, method: str) -> None:
    logs.get("mcp").error("unexpected failure", exc_info=error, mcp_method=method)
