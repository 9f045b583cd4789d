"""Every setting, one row: its names, its default, how its text is read, and what it is for.

The environment is an argument. All problems are reported at once, by variable name and in words; secrets never print.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values

from config import convert, environment_file, secret_references
from config.rules import problems_with

Derive = Any  # a function of the values read so far; mypy cannot express "of the fields above"


class ConfigurationError(Exception):
    """The configuration is refused. `problems` has one sentence for each reason."""

    EXIT_STATUS = 78  # EX_CONFIG: systemd does not restart into it

    def __init__(self, problems: list[str]) -> None:
        super().__init__("The configuration is refused:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.problems = problems


@dataclasses.dataclass(frozen=True)
class Row:
    """One setting as an operator knows it. `names[0]` is the canonical name, the others are accepted too."""

    names: tuple[str, ...]
    default: str
    convert: convert.Converter
    help: str
    secret: bool
    derive: Derive

    @property
    def name(self) -> str:
        return self.names[0]


def row(
    *names: str, default: str = "", to: convert.Converter = convert.text, help: str, secret: bool = False, derive: Derive = None
) -> Any:
    """Declare a setting. An empty default means "not set", and the field is None unless `derive` gives a value."""
    return dataclasses.field(metadata={"row": Row(names, default, to, help, secret, derive)}, repr=not secret)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one server, checked. Lifetimes, windows and timeouts are in seconds."""

    environment: str = row(
        "ENVIRONMENT", "NODE_ENV", default="development", to=convert.one_of("development", "production", test="development"),
        help="`production` refuses what is unsafe there: an http issuer, weak secrets, several workers without Redis, the embedded model.")
    host: str = row("HOST", "SERVER_HOST", default="127.0.0.1", help="Address to listen on. Leave it on loopback behind a tunnel or proxy.")
    port: int = row("PORT", "SERVER_PORT", default="8080", to=convert.integer(1, 65535), help="Port to listen on.")
    issuer: str = row(
        "OAUTH_ISSUER", "JWT_ISSUER", "SERVER_URL", to=convert.origin, derive=lambda v: f"http://localhost:{v['port']}",
        help="The public origin, without a path: https://mcp.example.com. Default: http://localhost:PORT.")
    jwt_secret: str = row(
        "JWT_SECRET", to=convert.secret(32), secret=True,
        help="Signs access tokens and keys the stored digests. At least 32 characters; `flask secrets generate` makes one.")
    jwt_secret_previous: tuple[str, ...] = row(
        "JWT_SECRET_PREVIOUS", to=convert.comma_separated(convert.secret(32)), secret=True,
        help="Comma separated former secrets: tokens they signed stay valid until they expire.")
    jwt_algorithm: str = row(
        "JWT_ALGORITHM", default="HS256", to=convert.one_of("HS256", "ES256", fold=str.upper),
        help="What signs access tokens: `HS256` (JWT_SECRET), or `ES256` (key pairs in the database; others verify by /oauth/jwks.json).")
    dcr_auth_token: str = row(
        "DCR_AUTH_TOKEN", "DCR_TOKEN", "DCR_REGISTRATION_TOKEN", to=convert.secret(32), secret=True,
        help="The initial access token that a ServiceNow admin types to register a client. At least 32 characters.")
    dcr_auth_token_previous: tuple[str, ...] = row(
        "DCR_AUTH_TOKEN_PREVIOUS", to=convert.comma_separated(convert.secret(32)), secret=True,
        help="Comma separated former ones: they register clients too, until everybody has the new one.")
    dcr_mode: str = row(
        "DCR_MODE", default="token", to=convert.one_of("token", "open", "off"),
        help="Who may register a client: `token` (bearer of the initial access token), `open` (anyone), `off` (nobody).")
    dcr_allowed_redirect_hosts: tuple[str, ...] = row(
        "DCR_ALLOWED_REDIRECT_HOSTS", to=convert.comma_separated(convert.host),
        help="Comma separated hosts that a registered redirect URI may have. Default: the ServiceNow instances and loopback.")
    cimd_allowed_domains: tuple[str, ...] = row(
        "CIMD_ALLOWED_DOMAINS", to=convert.comma_separated(convert.domain),
        help="Comma separated domains whose clients are known by a URL, without registration: `app.example.com`, `*.example.com` for all below it, "
             "`*` for any public host. Unset: none.")
    authorization_mode: str = row(
        "AUTHORIZATION_MODE", default="consent", to=convert.one_of("consent", "auto"),
        help="`consent`: a person signs in and approves. `auto`: confidential clients are approved at once, as in the guide.")
    mcp_api_key: str | None = row(
        "MCP_API_KEY", to=convert.secret(16), secret=True, help="An API key accepted at /mcp instead of an OAuth token. Optional.")
    backup_key: str | None = row(
        "BACKUP_KEY", to=convert.secret(32), secret=True,
        help="Encrypts what `flask backup` writes. At least 32 characters, kept away from the machine as well: without it no backup opens.")
    backup_path: Path | None = row(  # noqa: RUF009 -- row() returns a field
        "BACKUP_PATH", to=convert.path,
        help="Folder where `flask backup create` writes. Set: `flask doctor` says so when there was none for two days. Unset: where it is called.")
    oidc_issuer: str | None = row(
        "OIDC_ISSUER", to=convert.provider_issuer,
        help="The issuer of an OpenID provider with which people sign in too. Register OAUTH_ISSUER/login/oidc/callback there.")
    oidc_client_id: str | None = row("OIDC_CLIENT_ID", help="What the provider calls this server.")
    oidc_client_secret: str | None = row("OIDC_CLIENT_SECRET", secret=True, help="And the secret that it gave with that.")
    oidc_name: str | None = row("OIDC_NAME", help="The provider's name on the sign-in page: `Sign in with NAME`. Default: its host.")
    oidc_scopes: str = row("OIDC_SCOPES", default="openid profile email", help="What is asked of the provider, separated by blanks.")
    oidc_allowed_domains: tuple[str, ...] = row(
        "OIDC_ALLOWED_DOMAINS", to=convert.comma_separated(convert.email_domain),
        help="Comma separated domains that a verified e-mail address may have. `*`: everybody whom the provider lets in.")
    oidc_allowed_groups: tuple[str, ...] = row(
        "OIDC_ALLOWED_GROUPS", to=convert.comma_separated(convert.text),
        help="Comma separated groups, of which a person must be in one. With domains too, both must hold.")
    oidc_groups_claim: str = row("OIDC_GROUPS_CLAIM", default="groups", help="The claim in which the provider lists a person's groups.")
    local_sign_in: str = row(
        "LOCAL_SIGN_IN", default="on", to=convert.one_of("on", "off"), help="`off`: people sign in with the provider only, not with a password.")
    id_jag_issuers: tuple[str, ...] = row(
        "ID_JAG_ISSUERS", to=convert.comma_separated(convert.provider_issuer),
        help="Comma separated issuers whose identity assertions (ID-JAG) clients may exchange for tokens. Unset: the grant is not served.")
    access_token_lifetime: int = row(
        "ACCESS_TOKEN_LIFETIME", default="3600", to=convert.integer(1, 86400), help="Seconds an access token is valid.")
    refresh_token_lifetime: int = row(
        "REFRESH_TOKEN_LIFETIME", default="2592000", to=convert.integer(1, 31536000),
        help="Seconds from the approval until the grant ends and a person must approve again.")
    refresh_token_idle_lifetime: int = row(
        "REFRESH_TOKEN_IDLE_LIFETIME", default="1209600", to=convert.integer(0, 31536000),
        help="Seconds after which a grant that was not used ends; each refresh begins them anew. 0: only REFRESH_TOKEN_LIFETIME counts.")
    authorization_code_lifetime: int = row(
        "AUTHORIZATION_CODE_LIFETIME", "AUTH_CODE_LIFETIME", default="600", to=convert.integer(1, 600),
        help="Seconds an authorization code can be redeemed.")
    refresh_reuse_grace: int = row(
        "REFRESH_REUSE_GRACE", default="60", to=convert.integer(0, 300),
        help="Seconds in which a client that lost the answer may repeat a refresh. 0 is strict.")
    revocation_fail_mode: str = row(
        "REVOCATION_FAIL_MODE", default="closed", to=convert.one_of("closed", "bounded", "open"),
        help="When no copy of the revocations can be asked: refuse, trust memory for a minute, or accept.")
    revocation_max_staleness: int = row(
        "REVOCATION_MAX_STALENESS", default="60", to=convert.integer(1, 300), help="Seconds that `bounded` trusts memory.")
    revocation_allow_open: str | None = row(
        "REVOCATION_ALLOW_OPEN",
        help="Must be `I-accept-revoked-tokens` before production accepts REVOCATION_FAIL_MODE=open.")
    servicenow_instances: tuple[str, ...] = row(
        "SERVICENOW_INSTANCE", to=convert.comma_separated(convert.https_origin),
        help="Comma separated instance URLs: https://dev12345.service-now.com. Also allowed CORS origins and redirect hosts.")
    sync_username: str | None = row(
        "SERVICENOW_SYNC_USERNAME", help="Account that `flask knowledge sync` reads the first instance with,")
    sync_password: str | None = row("SERVICENOW_SYNC_PASSWORD", secret=True, help="and its password;")
    sync_client_id: str | None = row("SERVICENOW_SYNC_CLIENT_ID", help="or an OAuth client of the instance (client credentials),")
    sync_client_secret: str | None = row("SERVICENOW_SYNC_CLIENT_SECRET", secret=True, help="and its secret;")
    sync_token: str | None = row("SERVICENOW_SYNC_TOKEN", secret=True, help="or a bearer token.")
    extra_origins: tuple[str, ...] = row(
        "ALLOWED_ORIGINS", "CORS_ORIGINS", to=convert.comma_separated(convert.origin),
        help="Comma separated further origins that a browser may call from. Never `*`.")
    redis_address: str | None = row(
        "REDIS_URL", to=convert.redis_url, secret=True,
        help="redis:// or rediss:// URL. Set: codes, tokens, revocations, limits and MCP state live in Redis.")
    redis_host: str | None = row("REDIS_HOST", help="Or the parts of that URL: the host,")
    redis_port: int = row("REDIS_PORT", default="6379", to=convert.integer(1, 65535), help="the port,")
    redis_password: str | None = row("REDIS_PASSWORD", secret=True, help="the password,")
    redis_db: int = row("REDIS_DB", default="0", to=convert.integer(0, 1023), help="and the database number.")
    database_url: str = row(
        "DATABASE_URL", default="sqlite:///data/mcp-server.db", to=convert.database_url, secret=True,
        help="Clients, users, keys and the ledger of revocations: sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME.")
    state_path: Path = row(  # noqa: RUF009 -- row() returns a field
        "STATE_PATH", default="data/state.db", to=convert.path, help="The SQLite file for codes, tokens and limits when no Redis is set.")
    client_storage_path: Path | None = row(  # noqa: RUF009 -- row() returns a field
        "CLIENT_STORAGE_PATH", to=convert.path, help="A registered_clients.json of the guide's templates: imported once, its secrets hashed.")
    knowledge_path: Path = row(  # noqa: RUF009 -- row() returns a field
        "KNOWLEDGE_PATH", default="data/knowledge", to=convert.path,
        help="Folder of what `flask knowledge` imported, and of the index that is searched.")
    knowledge_url: str | None = row(
        "KNOWLEDGE_URL", to=convert.postgresql_url, secret=True,
        help="postgresql+psycopg://USER:PASSWORD@HOST/NAME with the extension `vector`: the index is there, for several machines.")
    rate_limit_oauth_window: int = row(
        "RATE_LIMIT_OAUTH_WINDOW", default="900", to=convert.integer(1, 86400), help="Seconds in which RATE_LIMIT_OAUTH_MAX is counted.")
    rate_limit_oauth_max: int = row(
        "RATE_LIMIT_OAUTH_MAX", default="100", to=convert.integer(0, 1_000_000), help="OAuth requests per client and per address. 0: no limit.")
    rate_limit_mcp_window: int = row(
        "RATE_LIMIT_MCP_WINDOW", default="60", to=convert.integer(1, 86400), help="Seconds in which RATE_LIMIT_MCP_MAX is counted.")
    rate_limit_mcp_max: int = row(
        "RATE_LIMIT_MCP_MAX", default="60", to=convert.integer(0, 1_000_000),
        help="MCP requests per client, and per address without a token. 0: no limit.")
    ollama_url: str | None = row(
        "OLLAMA_API_URL", "OLLAMA_HOST", to=convert.http_url, help="Where Ollama listens. Unset: http://127.0.0.1:11434 is tried.")
    llm_backend: str = row(
        "LLM_BACKEND", default="auto", to=convert.one_of("auto", "ollama", "llama-cpp", "openai", "embedded"),
        help="`auto`: Ollama; else, in development, the embedded evaluation model. `openai`: any server with the OpenAI API, such as vLLM.")
    llm_url: str | None = row(
        "LLM_URL", to=convert.http_url, help="Where a server with the OpenAI API listens, for LLM_BACKEND=openai: http://gpu.internal:8000/v1.")
    llm_api_key: str | None = row(
        "LLM_API_KEY", secret=True, help="The key that the model server or the proxy before it asks for, sent as a bearer token. Optional.")
    llama_cpp_url: str | None = row("LLAMA_CPP_URL", to=convert.http_url, help="Where llama.cpp's server listens, for LLM_BACKEND=llama-cpp.")
    default_llm_model: str | None = row("DEFAULT_LLM_MODEL", help="Model for the tools. Unset: the first suitable one that the back end has.")
    embedding_model: str | None = row("EMBEDDING_MODEL", help="Model for embeddings. Unset: the first suitable one.")
    embedding_url: str | None = row(
        "EMBEDDING_URL", to=convert.http_url,
        help="Another server for embeddings, with the OpenAI API (llama-server --embeddings). Unset: the model's own server.")
    llm_fallback_backend: str | None = row(
        "LLM_FALLBACK_BACKEND", to=convert.one_of("ollama", "llama-cpp", "openai"),
        help="A second back end, asked when the first one cannot be reached. Every answer names the one that gave it.")
    llm_fallback_url: str | None = row("LLM_FALLBACK_URL", to=convert.http_url, help="Where that one listens,")
    llm_fallback_api_key: str | None = row("LLM_FALLBACK_API_KEY", secret=True, help="its key, if it asks for one,")
    llm_fallback_model: str | None = row("LLM_FALLBACK_MODEL", help="and its model. Unset: DEFAULT_LLM_MODEL, which it must have then.")
    llm_timeout: float = row(
        "LLM_TIMEOUT", default="25", to=convert.seconds_or_milliseconds(1, 90),
        help="Seconds in all for one tool call, at most 90. A bare number above 1000 is read as milliseconds.")
    llm_stream_timeout: int = row(
        "LLM_STREAM_TIMEOUT", default="300", to=convert.integer(1, 3600),
        help="Seconds in all for a tool call whose caller reads a stream and asked to be told of its progress.")
    task_timeout: int = row(
        "TASK_TIMEOUT", default="600", to=convert.integer(1, 7200),
        help="Seconds for the work of a call that a client follows as a task (MCP 2026-07-28), instead of LLM_TIMEOUT.")
    llm_concurrency: int = row(
        "LLM_CONCURRENCY", default="2", to=convert.integer(1, 256),
        help="Model calls at once, over all workers together; as many as the model server has slots.")
    llm_context: int = row(
        "LLM_CONTEXT", default="4096", to=convert.integer(512, 1_048_576), help="Context size asked of Ollama, in tokens; the same for every call.")
    llm_keep_alive: int | str = row(
        "LLM_KEEP_ALIVE", default="30m", to=convert.keep_alive,
        help="How long Ollama keeps a model in memory after a call: seconds, or 30m, 24h; -1: for ever.")
    llm_cache_lifetime: int = row(
        "LLM_CACHE_LIFETIME", default="600", to=convert.integer(0, 86400),
        help="Seconds for which a worker remembers the answer to a question that always has the same one. 0: not at all.")
    trusted_proxies: tuple[str, ...] = row(
        "TRUSTED_PROXIES", default="127.0.0.0/8,::1/128", to=convert.comma_separated(convert.network),
        help="Comma separated networks; only from these are CF-Connecting-IP and X-Forwarded-For read.")
    mcp_open_initialize: str = row(
        "MCP_OPEN_INITIALIZE", default="auto", to=convert.one_of("auto", "always", "never"),
        help="Whether `initialize` and `ping` work without a token: `auto` allows it to callers that do not offer text/event-stream.")
    mcp_sessions: str = row(
        "MCP_SESSIONS", default="auto", to=convert.one_of("auto", "always"),
        help="Who gets a session in the handshake era: `auto`, clients that can be asked something; `always`, all, so that they hear of changes.")
    tool_output_limit: int = row(
        "TOOL_OUTPUT_LIMIT", default="10000", to=convert.integer(200, 5_000_000), help="Characters of a tool result; truncation is marked.")
    metrics_allow: tuple[str, ...] = row(
        "METRICS_ALLOW", default="127.0.0.0/8,::1/128", to=convert.comma_separated(convert.network),
        help="Comma separated networks that may read /metrics. What comes through a trusted proxy counts by the address that it tells.")
    metrics_token: str | None = row(
        "METRICS_TOKEN", to=convert.secret(16), secret=True, help="Or a bearer token that opens /metrics from anywhere. Optional.")
    otlp_endpoint: str | None = row(
        "OTEL_EXPORTER_OTLP_ENDPOINT", to=convert.http_url,
        help="Where an OpenTelemetry collector takes traces (OTLP over HTTP), such as http://127.0.0.1:4318. Unset: none are made.")
    otlp_headers: str | None = row(
        "OTEL_EXPORTER_OTLP_HEADERS", secret=True, help="What the collector wants to know its senders by: name=value,name=value.")
    trace_share: float = row(
        "OTEL_TRACES_SAMPLER_ARG", default="1", to=convert.share, help="The share of requests that are traced, 0 to 1.")
    trust_traceparent: str = row(
        "TRUST_TRACEPARENT", default="off", to=convert.one_of("on", "off"),
        help="Whether a caller's `traceparent` is continued, and decides whether its request is traced. Only where all callers are your own.")
    redact: Literal["off", "secrets", "all"] = row(
        "REDACT", default="off", to=convert.one_of("off", "secrets", "all"),
        help="What is taken out of a text before the model reads it: `secrets` (passwords, keys, tokens), `all` (also e-mail addresses, phone "
             "numbers, accounts and cards), or nothing.")
    echo_tool: str = row(
        "ECHO_TOOL", to=convert.one_of("on", "off"), derive=lambda v: "off" if v["environment"] == "production" else "on",
        help="Whether clients find the tool `echo`, for trying a connection. Default: on, in production off.")
    log_level: str = row(
        "LOG_LEVEL", default="INFO", to=convert.one_of("DEBUG", "INFO", "WARNING", "ERROR", fold=str.upper), help="Least severe line that is logged.")
    log_format: str = row(
        "LOG_FORMAT", to=convert.one_of("json", "text"), derive=lambda v: "text" if v["environment"] == "development" else "json",
        help="`json` or `text`. Default: json, text in development.")
    audit_log_path: Path | None = row(  # noqa: RUF009 -- row() returns a field
        "AUDIT_LOG_PATH", to=convert.path, help="File for the audit lines. Unset: stdout, among the log lines.")
    web_concurrency: int = row(
        "WEB_CONCURRENCY", to=convert.integer(1, 256), derive=lambda v: 2 * (os.cpu_count() or 1) + 1 if v["redis_address"] or v["redis_host"] else 1,
        help="Worker processes. Default: 1 without Redis, 2 x cores + 1 with it.")

    @property
    def production(self) -> bool:
        return self.environment == "production"

    @property
    def local(self) -> bool:
        """Whether the issuer says that all clients are on this machine."""
        return urlsplit(self.issuer).hostname in ("localhost", "127.0.0.1", "::1")

    @property
    def resource(self) -> str:
        """What our access tokens are for (RFC 8707): the MCP endpoint."""
        return f"{self.issuer}/mcp"

    @property
    def redis_url(self) -> str | None:
        """One URL, whether REDIS_URL or its parts were given."""
        if self.redis_address or not self.redis_host:
            return self.redis_address
        return convert.redis_url_of(self.redis_host, self.redis_port, self.redis_password, self.redis_db)

    @property
    def allowed_origins(self) -> frozenset[str]:
        return frozenset(self.servicenow_instances + self.extra_origins)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], env_file: Path | None = None, *, renew: bool = False) -> Settings:
        """Read and check the settings.

        `env_file` is read too unless `environ` says production; what `environ` has wins. Secrets that are in a manager are fetched
        when this process has not got them; with `renew` in any case.
        Raises ConfigurationError with every problem at once.
        """
        source = _Source(environ, env_file)
        source.fetch([setting for _, setting in _fields() if setting.secret], renew=renew)
        values: dict[str, Any] = {}
        for field, setting in _fields():
            values[field] = source.read(setting, values)
        problems = source.problems + [problem for problem in problems_with(values) if not source.refused.intersection(re.findall(r"\w+", problem))]
        if problems:
            raise ConfigurationError(problems)
        return cls(**values)


def rows() -> list[Row]:
    """Every setting, in the order in which operators read them."""
    return [setting for _, setting in _fields()]


def _fields() -> list[tuple[str, Row]]:
    return [(field.name, field.metadata["row"]) for field in dataclasses.fields(Settings)]


class _Source:
    """Where the text of a setting comes from: the environment, NAME_FILE, SECRETS_DIRECTORY, systemd's credentials, then the .env file.

    MCP_ENVIRONMENT_FILE names a file whose lines are part of the environment, and win there. It is read here and not by whoever starts the
    process, so that a reload takes what was changed in it.

    For a secret that text may be a reference, or several with commas between them: then a manager has the value.
    """

    def __init__(self, environ: Mapping[str, str], env_file: Path | None) -> None:
        self.problems: list[str] = []
        self.refused: set[str] = set()  # what was complained of once is not complained of again as missing
        self._given = {**environ, **self._environment_file(environ)}
        self._folders = [(name, Path(folder)) for name in ("SECRETS_DIRECTORY", "CREDENTIALS_DIRECTORY") if (folder := self._given.get(name))]
        self._env_file: Mapping[str, str | None] = {}
        self._fetched: dict[str, secret_references.Fetched] = {}
        in_production = (self._given.get("ENVIRONMENT") or self._given.get("NODE_ENV") or "").strip().lower() == "production"
        if env_file is not None and env_file.is_file() and not in_production:
            self._env_file = self._parsed(env_file)

    def fetch(self, secrets: list[Row], *, renew: bool) -> None:
        """Ask the managers for all that is referred to, at once."""
        wanted: dict[str, list[str]] = {}
        for setting in secrets:
            name, value = self._find(setting)
            for part in _parts(value):
                if secret_references.is_reference(part):
                    wanted.setdefault(part, []).append(name)
        environ = {name: value for name, value in {**self._env_file, **self._given}.items() if value is not None}
        self._fetched = secret_references.KEPT.get(wanted, environ, renew=renew)

    def _resolved(self, setting: Row, name: str, value: str) -> str:
        parts = _parts(value)
        if not setting.secret or not any(part in self._fetched for part in parts):
            return value
        for part in parts:
            if part in self._fetched and (problem := self._fetched[part].problem):
                self._refuse(setting, f"{name} is {part}, which could not be fetched: {problem}")
                return ""
        return ",".join(self._fetched[part].value if part in self._fetched else part for part in parts)

    def read(self, setting: Row, earlier: dict[str, Any]) -> Any:
        name, value = self._find(setting)
        value = self._resolved(setting, name, value)
        try:
            if value:
                return setting.convert(value)
        except ValueError as error:
            self._refuse(setting, f"{name} {error}")
        if setting.default:
            return setting.convert(setting.default)
        if setting.derive:
            return setting.derive(earlier)
        return () if isinstance(setting.convert, convert.CommaSeparated) else None

    def _refuse(self, setting: Row, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)
        self.refused.update(setting.names)

    def _find(self, setting: Row) -> tuple[str, str]:
        for lookup in (self._from_environ, self._from_folders, self._from_env_file):
            for name in setting.names:
                try:
                    value = lookup(name).strip()
                except _UnreadableError as error:
                    self._refuse(setting, str(error))
                    return name, ""
                if value:
                    return name, value
        return setting.name, ""

    def _from_environ(self, name: str) -> str:
        return (self._given.get(name) or "").strip() or _content(f"{name}_FILE", self._given.get(f"{name}_FILE"))

    def _from_folders(self, name: str) -> str:
        for variable, folder in self._folders:
            if os.path.lexists(path := folder / name) and (value := _content(f"${variable}/{name}", str(path)).strip()):
                return value
        return ""

    def _from_env_file(self, name: str) -> str:
        return (self._env_file.get(name) or "").strip() or _content(f"{name}_FILE", self._env_file.get(f"{name}_FILE"))

    def _environment_file(self, environ: Mapping[str, str]) -> dict[str, str]:
        try:
            return environment_file.read(environ)
        except environment_file.UnreadableError as error:
            self.problems.append(str(error))
            return {}

    def _parsed(self, env_file: Path) -> Mapping[str, str | None]:
        try:
            return dotenv_values(env_file, interpolate=False)
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"{env_file.name} cannot be read: {_reason(error)}.")
            return {}


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",")]


class _UnreadableError(Exception):
    """A setting names a file that cannot be read."""


def _content(name: str, path: str | None) -> str:
    if not path or not path.strip():
        return ""
    try:
        return Path(path.strip()).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _UnreadableError(f"{name} names a file that cannot be read: {_reason(error)}.") from None


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or "it does not answer").lower() if isinstance(error, OSError) else "it is not UTF-8 text"
