import os
import re

import pytest

from config.settings import ConfigurationError, Row, Settings, rows

GOOD = "kV9mRr2Yb7xQ4tWz8nLs3cHd6fJg1pAe"
ALSO_GOOD = "Zt5uXw0Qy8rKo3mNb7vGc2hLd9sFj4eI"
MINIMAL = {"JWT_SECRET": GOOD, "DCR_AUTH_TOKEN": ALSO_GOOD}
PRODUCTION = {**MINIMAL, "ENVIRONMENT": "production", "OAUTH_ISSUER": "https://mcp.example.com"}

GIVEN = {  # a value for each setting that is not its default, and how it is read
    "ENVIRONMENT": ("production", "production"),
    "HOST": ("0.0.0.0", "0.0.0.0"),
    "PORT": ("9000", 9000),
    "OAUTH_ISSUER": ("https://MCP.example.com/", "https://mcp.example.com"),
    "JWT_SECRET": ("a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6"),
    "JWT_SECRET_PREVIOUS": (f"{GOOD}, {ALSO_GOOD}", (GOOD, ALSO_GOOD)),
    "DCR_AUTH_TOKEN": ("b1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6", "b1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6"),
    "DCR_MODE": ("OFF", "off"),
    "CIMD_ALLOWED_DOMAINS": ("App.Example.com, *.example.org:8443, *", ("app.example.com", "*.example.org:8443", "*")),
    "DCR_ALLOWED_REDIRECT_HOSTS": ("dev1.Service-Now.com, localhost:3000", ("dev1.service-now.com", "localhost:3000")),
    "SERVICENOW_INSTANCE": ("https://a.service-now.com,https://b.service-now.com/", ("https://a.service-now.com", "https://b.service-now.com")),
    "ALLOWED_ORIGINS": ("http://localhost:3000", ("http://localhost:3000",)),
    "LLM_TIMEOUT": ("30000", 30.0),
    "LOG_LEVEL": ("debug", "DEBUG"),
    "LOG_FORMAT": ("json", "json"),
    "DATABASE_URL": ("postgres://gateway@db/names", "postgresql+psycopg://gateway@db/names"),
    "OLLAMA_API_URL": ("10.0.0.5:11434", "http://10.0.0.5:11434"),
    "TRUSTED_PROXIES": ("10.1.2.3", ("10.1.2.3/32",)),
}


def settings(**environ):
    return Settings.from_environ({**MINIMAL, **environ})


def problems(environ, env_file=None):
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environ(environ, env_file)
    return caught.value.problems


def field_of(row: Row):
    return next(name for name, field in Settings.__dataclass_fields__.items() if field.metadata["row"] is row)


@pytest.mark.parametrize("name", [name for row in rows() if row.name in GIVEN for name in row.names])
def test_every_name_of_a_setting_is_read(name):
    row = next(row for row in rows() if name in row.names)
    text, value = GIVEN[row.name]
    others = dict.fromkeys(row.names, "")
    environ = {"OAUTH_ISSUER": "https://mcp.example.com", **MINIMAL, **others, name: text}
    assert getattr(Settings.from_environ(environ), field_of(row)) == value


def test_every_setting_with_an_alias_is_among_the_examples():
    assert {row.name for row in rows() if row.names[1:]} - {"AUTHORIZATION_CODE_LIFETIME"} <= set(GIVEN)


def test_the_guides_name_of_the_code_lifetime_is_read():
    assert settings(AUTH_CODE_LIFETIME="300").authorization_code_lifetime == 300


def test_the_canonical_name_wins_over_an_alias():
    assert settings(PORT="9000", SERVER_PORT="9001").port == 9000


def test_the_defaults_start_a_development_server():
    found = settings()
    assert (found.environment, found.host, found.port, found.issuer, found.resource) == (
        "development", "127.0.0.1", 8080, "http://localhost:8080", "http://localhost:8080/mcp")
    assert (found.log_format, found.redis_url, found.llm_timeout, found.allowed_origins) == ("text", None, 25.0, frozenset())
    assert not found.production


@pytest.mark.requirement("SEC-000")
def test_a_good_production_configuration_starts():
    found = Settings.from_environ(PRODUCTION)
    assert (found.production, found.log_format, found.web_concurrency) == (True, "json", 1)


# --- where a value comes from ---


def test_a_setting_may_be_given_as_a_file(tmp_path):
    (tmp_path / "jwt").write_text(GOOD + "\n")
    assert Settings.from_environ({"JWT_SECRET_FILE": str(tmp_path / "jwt"), "DCR_AUTH_TOKEN": ALSO_GOOD}).jwt_secret == GOOD


def test_a_file_that_cannot_be_read_is_named_once_and_the_setting_is_not_called_missing_too(tmp_path):
    assert problems({"JWT_SECRET_FILE": str(tmp_path / "none"), "DCR_AUTH_TOKEN": ALSO_GOOD}) == [
        "JWT_SECRET_FILE names a file that cannot be read: no such file or directory."]


def test_a_file_that_is_not_text_is_refused_in_words(tmp_path):
    (tmp_path / "jwt").write_bytes(b"\xff\xfe\x00")
    assert problems({"JWT_SECRET_FILE": str(tmp_path / "jwt"), "DCR_AUTH_TOKEN": ALSO_GOOD}) == [
        "JWT_SECRET_FILE names a file that cannot be read: it is not UTF-8 text."]


def test_systemds_credentials_are_read(tmp_path):
    (tmp_path / "JWT_SECRET").write_text(GOOD)
    (tmp_path / "DCR_AUTH_TOKEN").write_text(ALSO_GOOD + "\n")
    found = Settings.from_environ({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert (found.jwt_secret, found.dcr_auth_token) == (GOOD, ALSO_GOOD)


def test_the_nearer_source_wins(tmp_path):
    sources = {"named file": "7000", "environment": "7001", "file": "7002", "secret": "7005", "credential": "7003", "env file": "7004"}
    (tmp_path / "environment").write_text(f"# ours\nPORT={sources['named file']}\n")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/PORT").write_text(sources["secret"])
    (tmp_path / "port").write_text(sources["file"])
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/PORT").write_text(sources["credential"])
    (tmp_path / ".env").write_text(f"PORT={sources['env file']}\n")
    environ = {
        **MINIMAL, "MCP_ENVIRONMENT_FILE": str(tmp_path / "environment"), "PORT": sources["environment"], "PORT_FILE": str(tmp_path / "port"),
        "SECRETS_DIRECTORY": str(tmp_path / "secrets"), "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    found = []
    for nearest in ("MCP_ENVIRONMENT_FILE", "PORT", "PORT_FILE", "SECRETS_DIRECTORY", "CREDENTIALS_DIRECTORY"):
        found.append(Settings.from_environ(environ, tmp_path / ".env").port)
        del environ[nearest]
    found.append(Settings.from_environ(environ, tmp_path / ".env").port)
    assert found == [7000, 7001, 7002, 7005, 7003, 7004]


def test_the_named_environment_file_counts_in_production_and_decides_about_it(tmp_path):
    named, env_file = tmp_path / "environment", tmp_path / ".env"
    named.write_text("ENVIRONMENT=production\nHOST='::1'\n")
    env_file.write_text("PORT=7004\n")
    found = Settings.from_environ({**PRODUCTION, "ENVIRONMENT": "development", "MCP_ENVIRONMENT_FILE": str(named)}, env_file)
    assert (found.production, found.host, found.port) == (True, "::1", 8080)


def test_a_named_environment_file_that_is_not_there_is_refused_in_words(tmp_path):
    assert problems({**MINIMAL, "MCP_ENVIRONMENT_FILE": str(tmp_path / "none")}) == [
        "MCP_ENVIRONMENT_FILE names a file that cannot be read: no such file or directory."]


def test_a_secret_whose_file_is_closed_to_us_is_refused_in_words(tmp_path):
    (tmp_path / "JWT_SECRET").mkdir()
    assert problems({"DCR_AUTH_TOKEN": ALSO_GOOD, "SECRETS_DIRECTORY": str(tmp_path)}) == [
        "$SECRETS_DIRECTORY/JWT_SECRET names a file that cannot be read: is a directory."]


def test_the_env_file_is_read_in_development_only(tmp_path):
    env_file = tmp_path / ".env"
    env_file.write_text("PORT=7004\nHOST_FILE=\n")
    assert Settings.from_environ(MINIMAL, env_file).port == 7004
    assert Settings.from_environ(PRODUCTION, env_file).port == 8080
    assert Settings.from_environ({**PRODUCTION, "ENVIRONMENT": "", "NODE_ENV": " Production "}, env_file).port == 8080


def test_a_missing_env_file_is_no_problem_and_a_broken_one_is(tmp_path):
    assert Settings.from_environ(MINIMAL, tmp_path / "none").port == 8080
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe")
    assert problems(MINIMAL, tmp_path / ".env") == [".env cannot be read: it is not UTF-8 text."]


def test_a_dollar_in_the_env_file_is_a_dollar(tmp_path):
    (tmp_path / ".env").write_text("REDIS_HOST=redis\nREDIS_PASSWORD='p$HOME${X}'\n")
    assert Settings.from_environ(MINIMAL, tmp_path / ".env").redis_password == "p$HOME${X}"


# --- what is refused ---


def test_all_problems_are_reported_at_once_by_name():
    found = problems({
        "ENVIRONMENT": "production", "PORT": "http", "ALLOWED_ORIGINS": "*", "LLM_TIMEOUT": "95", "LLM_BACKEND": "embedded", "DCR_TOKEN": "short"})
    starts = {line.split()[0] for line in found}
    assert starts == {"PORT", "ALLOWED_ORIGINS", "LLM_TIMEOUT", "DCR_TOKEN", "JWT_SECRET", "OAUTH_ISSUER", "LLM_BACKEND=embedded"}
    assert len(found) == len(starts)
    assert all(re.search(r"\w \w.*\.$", line) for line in found)


def test_the_error_lists_every_problem_in_its_text():
    with pytest.raises(ConfigurationError, match=r"(?s)refused:\n  - .*JWT_SECRET.*\n  - .*DCR_AUTH_TOKEN") as caught:
        Settings.from_environ({})
    assert caught.value.EXIT_STATUS == 78


BAD_SECRETS = [
    "your-32-character-secret-here-replace-me", "your-32-character-secret-here", "your-super-secret-jwt-key-change-this-in-production",
    "REPLACE-WITH-32-PLUS-CHARACTER-SECRET-HERE", "your-generated-jwt-secret-minimum-32-chars", "<production-secret>", "<production-dcr-token>",
    "<your-generated-jwt-secret>", "dev-test-key-12345", "your-api-key-here", "your-32-character-dcr-token", "your-generated-dcr-token",
    "short", GOOD[:31], GOOD[:31] + " ", "a" * 40, "abababab" * 8,
    "correct horse battery staple is long", "passwordpasswordpasswordpassword1", GOOD + "\n" + GOOD,
]


@pytest.mark.parametrize("name", ["JWT_SECRET", "DCR_AUTH_TOKEN", "DCR_TOKEN", "MCP_API_KEY", "JWT_SECRET_PREVIOUS"])
@pytest.mark.parametrize("value", BAD_SECRETS)
@pytest.mark.requirement("SEC-002")
@pytest.mark.requirement("SEC-005")
def test_a_weak_or_example_secret_is_refused_and_never_shown(name, value):
    if name == "MCP_API_KEY" and value.strip() == GOOD[:31]:
        value = GOOD[:15]
    environ = {**MINIMAL, name: value}
    if name == "DCR_TOKEN":
        del environ["DCR_AUTH_TOKEN"]
    [problem] = problems(environ)
    assert problem.startswith(f"{name} ")
    assert value.strip() not in problem
    assert str(len(value.strip())) not in problem.replace("at least 32", "").replace("at least 16", "")


@pytest.mark.parametrize("value", ["", "   ", "\n"])
def test_a_blank_secret_is_a_missing_one(value):
    [problem] = problems({**MINIMAL, "JWT_SECRET": value})
    assert problem.startswith("JWT_SECRET is not set.")


def test_no_secret_is_in_the_repr():
    secrets = {"JWT_SECRET": GOOD, "DCR_AUTH_TOKEN": ALSO_GOOD, "MCP_API_KEY": "Zq1Wx2Ec3Rv4Tb5Yn6", "JWT_SECRET_PREVIOUS": ALSO_GOOD[::-1],
               "REDIS_PASSWORD": "hunter2-redis", "DATABASE_URL": "postgresql+psycopg://u:hunter2-db@h/n", "REDIS_URL": "redis://:hunter2-url@h:1"}
    shown = repr(Settings.from_environ(secrets)) + str(Settings.from_environ(secrets))
    assert not [value for value in (*secrets.values(), "hunter2") if value in shown]


def test_the_two_secrets_must_differ():
    assert problems({"JWT_SECRET": GOOD, "DCR_AUTH_TOKEN": GOOD})[0].startswith("JWT_SECRET and DCR_AUTH_TOKEN are the same")


def test_a_grant_must_stay_alive_between_two_refreshes():
    [problem] = problems({**MINIMAL, "REFRESH_TOKEN_IDLE_LIFETIME": "3600", "ACCESS_TOKEN_LIFETIME": "3600"})
    assert problem.startswith("REFRESH_TOKEN_IDLE_LIFETIME must be longer than ACCESS_TOKEN_LIFETIME, or 0")
    assert settings(REFRESH_TOKEN_IDLE_LIFETIME="3601").refresh_token_idle_lifetime == 3601
    assert settings(REFRESH_TOKEN_IDLE_LIFETIME="0").refresh_token_idle_lifetime == 0


@pytest.mark.parametrize(("value", "seconds"), [("25", 25), ("30000", 30), ("30000ms", 30), ("2500ms", 2.5), ("30s", 30), ("90", 90), ("1.5", 1.5)])
def test_a_timeout_is_read_in_seconds_or_in_the_guides_milliseconds(value, seconds):
    assert settings(LLM_TIMEOUT=value).llm_timeout == seconds


@pytest.mark.parametrize("value", ["95", "95000", "0", "-1", "fast", "1000", "500ms", "1e3", "nan", "999999999999"])
def test_a_timeout_out_of_range_is_refused(value):
    [problem] = problems({**MINIMAL, "LLM_TIMEOUT": value})
    assert problem.startswith("LLM_TIMEOUT must be 1 to 90 seconds")


@pytest.mark.parametrize("name", ["OAUTH_ISSUER", "JWT_ISSUER", "SERVER_URL"])
@pytest.mark.parametrize("value", [
    "https://mcp.example.com/tenant", "https://mcp.example.com/mcp", "https://mcp.example.com?x=1", "https://mcp.example.com?", "https://mcp.example.com#top",
    "https://mcp.example.com#", "https://user@mcp.example.com", "https://user:pw@mcp.example.com", "mcp.example.com", "//mcp.example.com",
    "ftp://mcp.example.com", "https://", "https://mcp.example.com:port", "https://mcp exämple.com", "https://[::1", "*",
])
@pytest.mark.requirement("SEC-007")
def test_an_issuer_that_is_not_a_bare_origin_is_refused(name, value):
    [problem] = problems({**MINIMAL, name: value})
    assert problem.startswith((f"{name} must be", f"{name} must name"))


@pytest.mark.parametrize(("name", "value"), [
    ("ALLOWED_ORIGINS", "*"), ("CORS_ORIGINS", "https://a.example.com, *"), ("ALLOWED_ORIGINS", "https://*.example.com/x"),
    ("SERVICENOW_INSTANCE", "dev12345"),
    ("SERVICENOW_INSTANCE", "http://dev12345.service-now.com"), ("DCR_ALLOWED_REDIRECT_HOSTS", "https://dev1.service-now.com/cb"), ("PORT", "0"),
    ("PORT", "65536"), ("ENVIRONMENT", "prod"), ("LOG_LEVEL", "LOUD"), ("REDIS_URL", "http://redis"), ("DATABASE_URL", "mysql://x"),
    ("TRUSTED_PROXIES", "everyone"), ("OLLAMA_API_URL", "ftp://x"), ("ACCESS_TOKEN_LIFETIME", "0"),
    ("CIMD_ALLOWED_DOMAINS", "https://app.example.com"), ("CIMD_ALLOWED_DOMAINS", "app.example.com/client.json"),
    ("CIMD_ALLOWED_DOMAINS", "localhost"), ("CIMD_ALLOWED_DOMAINS", "127.0.0.1"), ("CIMD_ALLOWED_DOMAINS", "a.*.example.com"),
    ("CIMD_ALLOWED_DOMAINS", ".example.com"),
    ("REVOCATION_FAIL_MODE", "ajar"), ("WEB_CONCURRENCY", "many"),
])
def test_bad_values_are_refused_by_the_name_that_was_used(name, value):
    [problem] = problems({**MINIMAL, name: value})
    assert problem.startswith(f"{name} must ")


def test_blanks_around_a_value_do_not_count():
    assert settings(PORT=" 9000 ").port == 9000


@pytest.mark.parametrize(("changes", "start"), [
    ({"OAUTH_ISSUER": "http://mcp.example.com"}, "OAUTH_ISSUER must be an https URL in production"),
    ({"OAUTH_ISSUER": ""}, "OAUTH_ISSUER must be an https URL in production"),
    ({"WEB_CONCURRENCY": "2"}, "REDIS_URL is not set, and WEB_CONCURRENCY is above 1"),
    ({"LLM_BACKEND": "embedded"}, "LLM_BACKEND=embedded is an evaluation model"),
    ({"DCR_MODE": "open", "RATE_LIMIT_OAUTH_MAX": "0"}, "RATE_LIMIT_OAUTH_MAX is 0, and DCR_MODE is open"),
    ({"REVOCATION_FAIL_MODE": "open"}, "REVOCATION_FAIL_MODE=open revives revoked tokens"),
    ({"JWT_SECRET": ""}, "JWT_SECRET is not set"),
    ({"CIMD_ALLOWED_DOMAINS": "*", "AUTHORIZATION_MODE": "auto"}, "CIMD_ALLOWED_DOMAINS is set, and AUTHORIZATION_MODE is auto"),
    ({"DCR_AUTH_TOKEN": ""}, "DCR_AUTH_TOKEN is not set, and DCR_MODE is token"),
    ({"ALLOWED_ORIGINS": "*"}, "ALLOWED_ORIGINS must name each origin"),
])
@pytest.mark.requirement("SEC-007")
@pytest.mark.requirement("SEC-008")
@pytest.mark.requirement("SEC-009")
def test_production_refuses_what_is_unsafe(changes, start):
    [problem] = problems({**PRODUCTION, **changes})
    assert problem.startswith(start)


@pytest.mark.parametrize("changes", [
    {"OAUTH_ISSUER": "http://mcp.example.com"}, {"WEB_CONCURRENCY": "2"}, {"LLM_BACKEND": "embedded"},
    {"DCR_MODE": "open", "RATE_LIMIT_OAUTH_MAX": "0"}, {"REVOCATION_FAIL_MODE": "open"},
])
def test_development_accepts_what_production_refuses(changes):
    assert Settings.from_environ({**MINIMAL, **changes})


@pytest.mark.parametrize("changes", [
    {"WEB_CONCURRENCY": "2", "REDIS_URL": "redis://redis"}, {"WEB_CONCURRENCY": "2", "REDIS_HOST": "redis"},
    {"REVOCATION_FAIL_MODE": "open", "REVOCATION_ALLOW_OPEN": "I-accept-revoked-tokens"}, {"DCR_MODE": "off", "DCR_AUTH_TOKEN": ""},
])
def test_production_accepts_what_was_made_safe(changes):
    assert Settings.from_environ({**PRODUCTION, **changes}).production


def test_a_llama_cpp_back_end_needs_its_address():
    assert problems({**MINIMAL, "LLM_BACKEND": "llama-cpp"}) == ["LLAMA_CPP_URL is not set, and LLM_BACKEND is llama-cpp."]


@pytest.mark.parametrize(("changes", "start"), [
    ({"LLM_BACKEND": "openai"}, "LLM_URL is not set, and LLM_BACKEND is openai."),
    ({"LLM_FALLBACK_BACKEND": "openai", "DEFAULT_LLM_MODEL": "m"}, "LLM_FALLBACK_BACKEND and LLM_FALLBACK_URL go together"),
    ({"LLM_FALLBACK_URL": "http://gpu.internal:8000"}, "LLM_FALLBACK_BACKEND and LLM_FALLBACK_URL go together"),
    ({"LLM_FALLBACK_BACKEND": "openai", "LLM_FALLBACK_URL": "http://gpu.internal:8000"},
     "LLM_FALLBACK_MODEL is not set, and DEFAULT_LLM_MODEL neither"),
])
def test_a_back_end_that_could_never_answer_is_refused(changes, start):
    [problem] = problems({**MINIMAL, **changes})
    assert problem.startswith(start)


@pytest.mark.parametrize(("text", "value"), [("-1", -1), ("0", 0), ("600", 600), ("30m", "30m"), ("1.5h", "1.5h"), ("1h30m", "1h30m")])
def test_how_long_ollama_keeps_a_model_is_read_as_ollama_reads_it(text, value):
    assert settings(LLM_KEEP_ALIVE=text).llm_keep_alive == value


@pytest.mark.parametrize("text", ["long", "30 m", "m", "1d", "1_000", "٣"])
def test_what_ollama_could_not_read_is_refused_here(text):
    [problem] = problems({**MINIMAL, "LLM_KEEP_ALIVE": text})
    assert problem.startswith("LLM_KEEP_ALIVE must be seconds, or a duration such as 30m")


# --- derived values ---


def test_the_parts_of_a_redis_address_make_one_url_with_a_quoted_password():
    found = settings(REDIS_HOST="redis.internal", REDIS_PORT="6380", REDIS_PASSWORD="p@ss/w:rd#?", REDIS_DB="2")
    assert found.redis_url == "redis://:p%40ss%2Fw%3Ard%23%3F@redis.internal:6380/2"
    assert settings(REDIS_HOST="redis.internal").redis_url == "redis://redis.internal:6379/0"
    assert settings(REDIS_URL="rediss://r:1", REDIS_HOST="other").redis_url == "rediss://r:1"


def test_one_worker_without_redis_and_two_a_core_and_one_with_it():
    assert settings().web_concurrency == 1
    assert settings(REDIS_URL="redis://r").web_concurrency == 2 * os.cpu_count() + 1
    assert settings(REDIS_HOST="r", WEB_CONCURRENCY="4").web_concurrency == 4


def test_the_issuer_follows_the_port():
    assert settings(PORT="9000").issuer == "http://localhost:9000"


def test_instances_are_allowed_origins():
    found = settings(SERVICENOW_INSTANCE="https://dev1.service-now.com", ALLOWED_ORIGINS="https://tools.example.com")
    assert found.allowed_origins == {"https://dev1.service-now.com", "https://tools.example.com"}


OIDC = {
    "OIDC_ISSUER": "https://login.acme.test/realms/a", "OIDC_CLIENT_ID": "gateway", "OIDC_CLIENT_SECRET": "of-the-provider",
    "OIDC_ALLOWED_DOMAINS": "acme.test"}


def test_a_provider_is_read_letter_by_letter_and_its_secret_is_not_shown():
    read = settings(**OIDC | {"OIDC_ISSUER": "https://Login.acme.test/", "OIDC_ALLOWED_DOMAINS": "Acme.test, b.test", "OIDC_ALLOWED_GROUPS": "A b,c"})
    assert (read.oidc_issuer, read.oidc_allowed_domains, read.oidc_allowed_groups) == (
        "https://Login.acme.test/", ("acme.test", "b.test"), ("A b", "c"))
    assert "of-the-provider" not in repr(read)


@pytest.mark.parametrize(("changes", "named"), [
    ({"OIDC_CLIENT_ID": ""}, "go together"), ({"OIDC_CLIENT_SECRET": ""}, "go together"), ({"OIDC_ISSUER": ""}, "go together"),
    ({"OIDC_ALLOWED_DOMAINS": ""}, "OIDC_ALLOWED_DOMAINS"), ({"OIDC_SCOPES": "profile"}, "OIDC_SCOPES"),
    ({"OIDC_ISSUER": "http://login.acme.test"}, "OIDC_ISSUER must"), ({"OIDC_ISSUER": "https://login.acme.test?a=b"}, "OIDC_ISSUER must"),
    ({"OIDC_ISSUER": "https://a:b@login.acme.test"}, "OIDC_ISSUER must"), ({"OIDC_ISSUER": "login.acme.test"}, "OIDC_ISSUER must"),
    ({"OIDC_ALLOWED_DOMAINS": "@acme.test"}, "OIDC_ALLOWED_DOMAINS must"), ({"OIDC_ALLOWED_DOMAINS": "test"}, "OIDC_ALLOWED_DOMAINS must"),
    ({"ENVIRONMENT": "production", "OAUTH_ISSUER": "https://mcp.acme.test", "OIDC_ISSUER": "http://localhost:9000"}, "https URLs in production"),
    ({"ENVIRONMENT": "production", "OAUTH_ISSUER": "https://mcp.acme.test", "ID_JAG_ISSUERS": "http://127.0.0.1:9000"}, "https URLs in production"),
    ({"ID_JAG_ISSUERS": "http://login.acme.test"}, "ID_JAG_ISSUERS must"),
])
def test_what_a_provider_needs_is_asked_for_at_once(changes, named):
    (problem,) = problems(MINIMAL | OIDC | changes)
    assert named in problem


def test_identity_assertions_alone_need_to_know_who_may_come_in_too():
    (problem,) = problems({**MINIMAL, "ID_JAG_ISSUERS": "https://login.acme.test"})
    assert "say who may come in" in problem
    assert settings(ID_JAG_ISSUERS="https://login.acme.test", OIDC_ALLOWED_DOMAINS="*").id_jag_issuers == ("https://login.acme.test",)


def test_without_passwords_and_without_a_provider_nobody_could_sign_in():
    (problem,) = problems({**MINIMAL, "LOCAL_SIGN_IN": "off"})
    assert "nobody could sign in" in problem
    assert settings(**OIDC, LOCAL_SIGN_IN="off").local_sign_in == "off"


def test_a_provider_on_loopback_may_be_http_in_development():
    assert settings(**OIDC | {"OIDC_ISSUER": "http://localhost:9000"}).oidc_issuer == "http://localhost:9000"


@pytest.mark.parametrize(("environ", "offered"), [
    ({}, "on"), (PRODUCTION, "off"), ({**PRODUCTION, "ECHO_TOOL": "on"}, "on"), ({"ECHO_TOOL": "off"}, "off")])
def test_the_tool_for_trying_a_connection_is_not_offered_in_production_unless_it_is_wanted(environ, offered):
    assert settings(**{"REDIS_URL": "redis://localhost", "LLM_BACKEND": "ollama", **environ}).echo_tool == offered
