"""What one setting demands of another, and what production refuses. Each rule is a condition and a sentence."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit


def problems_with(values: dict[str, Any]) -> list[str]:
    """Every rule that `values` (field name to value) breaks, in words."""
    return [sentence for broken, sentence in _rules(values, production=values["environment"] == "production") if broken]


def _rules(v: dict[str, Any], *, production: bool) -> list[tuple[bool, str]]:
    redis = v["redis_address"] or v["redis_host"]
    weak = "Run `flask secrets generate`, or start with bin/serve, which writes one into .env."
    provider = [name for name in ("oidc_issuer", "oidc_client_id", "oidc_client_secret") if v[name]]
    others = v["id_jag_issuers"] or ()
    return [
        (not v["jwt_secret"], f"JWT_SECRET is not set. {weak}"),
        (not v["dcr_auth_token"] and v["dcr_mode"] == "token", f"DCR_AUTH_TOKEN is not set, and DCR_MODE is token. {weak}"),
        (bool(v["cimd_allowed_domains"]) and v["authorization_mode"] == "auto",
         "CIMD_ALLOWED_DOMAINS is set, and AUTHORIZATION_MODE is auto: a client that describes itself needs a person who approves it. Unset one."),
        (bool(v["jwt_secret"]) and v["jwt_secret"] == v["dcr_auth_token"],
         "JWT_SECRET and DCR_AUTH_TOKEN are the same: the one who may register could sign tokens."),
        (bool(v["backup_key"]) and v["backup_key"] in (v["jwt_secret"], v["dcr_auth_token"], v["mcp_api_key"]),
         "BACKUP_KEY is the same as another secret: whoever knows that one could read the backups."),
        (0 < v["refresh_token_idle_lifetime"] <= v["access_token_lifetime"],
         "REFRESH_TOKEN_IDLE_LIFETIME must be longer than ACCESS_TOKEN_LIFETIME, or 0: a client refreshes when its access token has run out."),
        (v["llm_backend"] == "llama-cpp" and not v["llama_cpp_url"], "LLAMA_CPP_URL is not set, and LLM_BACKEND is llama-cpp."),
        (v["llm_backend"] == "openai" and not v["llm_url"], "LLM_URL is not set, and LLM_BACKEND is openai."),
        (bool(v["llm_fallback_backend"]) != bool(v["llm_fallback_url"]),
         "LLM_FALLBACK_BACKEND and LLM_FALLBACK_URL go together: one of them is not set."),
        (bool(v["llm_fallback_backend"]) and not v["llm_fallback_model"] and not v["default_llm_model"],
         "LLM_FALLBACK_MODEL is not set, and DEFAULT_LLM_MODEL neither: say which model answers when the first back end is away."),
        (production and urlsplit(v["issuer"] or "").scheme != "https",
         "OAUTH_ISSUER must be an https URL in production: the address that ServiceNow calls."),
        (production and (v["web_concurrency"] or 1) > 1 and not redis,
         "REDIS_URL is not set, and WEB_CONCURRENCY is above 1: in production several workers need Redis."),
        (production and v["llm_backend"] == "embedded",
         "LLM_BACKEND=embedded is an evaluation model: in production set OLLAMA_API_URL, LLAMA_CPP_URL or LLM_URL."),
        (production and v["dcr_mode"] == "open" and not v["rate_limit_oauth_max"],
         "RATE_LIMIT_OAUTH_MAX is 0, and DCR_MODE is open: in production anyone could register clients without a limit."),
        (production and v["revocation_fail_mode"] == "open" and v["revocation_allow_open"] != "I-accept-revoked-tokens",
         "REVOCATION_FAIL_MODE=open revives revoked tokens when all stores are down: in production it needs REVOCATION_ALLOW_OPEN too."),
        (len(provider) in (1, 2), "OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET go together: one of them is not set."),
        (bool(v["oidc_issuer"] or others) and not v["oidc_allowed_domains"] and not v["oidc_allowed_groups"],
         "OIDC_ALLOWED_DOMAINS and OIDC_ALLOWED_GROUPS are not set: say who may come in; OIDC_ALLOWED_DOMAINS=* is everybody of the provider."),
        ("openid" not in (v["oidc_scopes"] or "").split(), "OIDC_SCOPES must have openid."),
        (v["local_sign_in"] == "off" and not v["oidc_issuer"], "LOCAL_SIGN_IN is off, and OIDC_ISSUER is not set: nobody could sign in."),
        (production and any(not issuer.startswith("https://") for issuer in (v["oidc_issuer"] or "https://", *others)),
         "OIDC_ISSUER and ID_JAG_ISSUERS must be https URLs in production."),
    ]
