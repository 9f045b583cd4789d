"""What is set, and what that lets in or out."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from config.convert import EXAMPLE_SECRETS
from config.settings import ConfigurationError, Settings
from mcp_server.cli.checks.finding import Finding
from mcp_server.oauth.redirect_uris import LOOPBACK
from mcp_server.web.services import Services

ENV_FILE = Path(".env")
OTHERS_MAY_READ = 0o077
LEAST_CHARACTERS = 12


def refused(error: ConfigurationError) -> Iterator[Finding]:
    """All that can be told when the configuration is refused."""
    for problem in error.problems:
        yield Finding("configuration", "fail", problem,
                      "Mend it in .env or in the environment of the service; config/example.env explains every setting.")


def env_file(settings: Settings | None = None) -> Iterator[Finding]:
    if (settings is None or not settings.production) and ENV_FILE.is_file() and ENV_FILE.stat().st_mode & OTHERS_MAY_READ:
        yield Finding(".env", "warn", "It holds secrets, and other users of this machine can read it.", "Run: chmod 600 .env")


def configuration(built: Services) -> Iterator[Finding]:
    settings = built.settings
    yield Finding("configuration", "ok", f"accepted; environment {settings.environment}, issuer {settings.issuer}")
    yield from env_file(settings)
    if urlsplit(settings.issuer).hostname in LOOPBACK:
        yield Finding("issuer", "warn", f"{settings.issuer} is this machine: ServiceNow cannot reach it.",
                      "Set OAUTH_ISSUER to the public https address, once there is a tunnel or proxy.")
    elif not settings.issuer.startswith("https://"):
        yield Finding("issuer", "warn", f"{settings.issuer} is not https: tokens travel readable.", "Set OAUTH_ISSUER to an https address.")
    if not settings.servicenow_instances:
        yield Finding("instance", "warn", "SERVICENOW_INSTANCE is not set: only loopback redirect URIs may be registered.",
                      "Set SERVICENOW_INSTANCE=https://INSTANCE.service-now.com.")


def weak_secrets(built: Services) -> Iterator[Finding]:
    """Those that others gave us. Our own are refused at the start when they are weak."""
    settings = built.settings
    given = {
        "OIDC_CLIENT_SECRET": settings.oidc_client_secret, "SERVICENOW_SYNC_PASSWORD": settings.sync_password,
        "SERVICENOW_SYNC_CLIENT_SECRET": settings.sync_client_secret, "SERVICENOW_SYNC_TOKEN": settings.sync_token,
        "LLM_API_KEY": settings.llm_api_key, "LLM_FALLBACK_API_KEY": settings.llm_fallback_api_key,
    }
    for name, value in given.items():
        if value and any(example in value.lower() for example in EXAMPLE_SECRETS):
            yield Finding("secrets", "fail", f"{name} is an example value.", "Set it to what the other side gave you.")
    for name, url in (("REDIS_URL", settings.redis_url), ("DATABASE_URL", settings.database_url), ("KNOWLEDGE_URL", settings.knowledge_url)):
        yield from _weak_password(name, url)


def _weak_password(name: str, url: str | None) -> Iterator[Finding]:
    parts = urlsplit(url or "")
    away = bool(parts.hostname) and parts.hostname not in LOOPBACK
    password = parts.password or ""
    if password and any(example in password.lower() for example in EXAMPLE_SECRETS):
        yield Finding("secrets", "fail", f"The password in {name} is an example value.", "Give that server a new password, and set it here too.")
    elif away and len(password) < LEAST_CHARACTERS:
        what = f"has fewer than {LEAST_CHARACTERS} characters" if password else "is missing"
        yield Finding("secrets", "warn", f"The password in {name} {what}, and that server is on another machine.",
                      "Give that server a password of its own, unless certificates or the network keep everybody else away from it.")


def exposed(built: Services) -> Iterator[Finding]:
    """Lists of networks that let everybody in."""
    settings = built.settings
    if any(ip_network(network).prefixlen == 0 for network in settings.metrics_allow):
        yield Finding("metrics", "fail", "METRICS_ALLOW lets the whole world read /metrics.",
                      "Name the network of your Prometheus in METRICS_ALLOW, or let it send METRICS_TOKEN.")
    if any(ip_network(network).prefixlen == 0 for network in settings.trusted_proxies):
        yield Finding("proxies", "fail", "TRUSTED_PROXIES trusts everybody: each caller can say which address it comes from, and has no limit.",
                      "Name the networks of your own tunnel or proxy only.")
