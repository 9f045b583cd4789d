"""The application: the two halves, each built in `building/`, behind one web server. Opens no connection: the command line works offline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from flask import Flask
from flask.json.provider import JSONProvider
from flask_cors import CORS

from config import logs
from config.settings import Settings
from mcp_server.background import every, sweeping, watching
from mcp_server.backup.backups import Backups
from mcp_server.building.authorization import build_authorization
from mcp_server.building.foundations import lay_foundations
from mcp_server.building.mcp import NOTHING_MORE, More, build_mcp
from mcp_server.clock import Clock, wall_clock
from mcp_server.llm.ports import Embedder, LanguageModel
from mcp_server.oauth.credentials import Passwords
from mcp_server.outbound.safe_fetch import Fetch, SafeFetch
from mcp_server.rate_limiting.limits import Limit
from mcp_server.storage.limits import limiter_options
from mcp_server.web import (
    console,
    device,
    error_handlers,
    grants,
    health,
    home,
    hooks,
    limits,
    login,
    mcp,
    metrics,
    oauth,
    oidc,
    request_log,
    sessions,
    sign_in_attempts,
    well_known,
)
from mcp_server.web.bearer import Bearer
from mcp_server.web.client_address import ClientAddress
from mcp_server.web.running_calls import RunningCalls
from mcp_server.web.services import Services

CONFIG = Path(__file__).parent.parent / "config"
SWEEP_SECONDS, WATCH_SECONDS = 60, 5


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
    for blueprint in (well_known.bp, oauth.bp, login.bp, oidc.bp, grants.bp, device.bp, home.bp, console.bp, mcp.bp, health.bp,
                      metrics.bp):
        app.register_blueprint(blueprint)
    built = build_services(
        settings, clock=clock, model=model, password_cost=password_cost, log_to=log_to, fetch=fetch, config=config, more=more,
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
    settings: Settings, *, clock: Clock, model: LanguageModel | None, password_cost: int, log_to: int, fetch: Fetch | None, config: Path, more: More,
    embedder: Embedder | None,
) -> Services:
    base = lay_foundations(settings, clock, log_to)
    authorization, beside_authorization = build_authorization(base, fetch or SafeFetch())
    served, beside_mcp = build_mcp(base, config, authorization, model=model, embedder=embedder, more=more)
    calls = RunningCalls()
    stores = {"state": base.state, "registry": base.registry}
    return Services(
        **vars(authorization), **vars(served), settings=settings, clock=clock, audit=base.audit, state=base.state, registry=base.registry,
        digests=base.digests, passwords=Passwords(password_cost),
        bearer=Bearer(authorization.access_tokens, settings.mcp_api_key, clock), client_address=ClientAddress(settings.trusted_proxies),
        allowed_origins=settings.allowed_origins | {settings.issuer}, local=settings.local,
        mcp_limit=Limit(settings.rate_limit_mcp_max, settings.rate_limit_mcp_window), metrics=base.metrics, calls=calls,
        write_access_line=base.write_access_line,
        backups=Backups(base.registry, base.state, issuer=settings.issuer, secrets=(settings.jwt_secret, *settings.jwt_secret_previous), clock=clock),
        background=(*beside_authorization, *beside_mcp, every(SWEEP_SECONDS, sweeping(base.state, base.registry, clock)),
                    every(WATCH_SECONDS, watching(stores, lambda: calls.count, base.metrics))))


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
