"""The two discovery documents, computed from what is served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcp_server.oauth.client_authentication import METHODS, PROVING_METHODS
from mcp_server.oauth.client_keys import ALGORITHMS
from mcp_server.oauth.grants import identity_assertion
from mcp_server.oauth.models import DEVICE_CODE, SCOPES


def authorization_server_metadata(
    issuer: str, *, grant_types: Sequence[str], registration: bool, jwks: bool = False, client_documents: bool = False,
) -> dict[str, Any]:
    """RFC 8414. `registration`: whether clients may register. `jwks`: whether others can verify our tokens.

    `client_documents`: whether a client id may be a URL.
    """
    document: dict[str, Any] = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(grant_types),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": list(METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": list(PROVING_METHODS),
        "introspection_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": list(SCOPES),
        "authorization_response_iss_parameter_supported": True,
    }
    if DEVICE_CODE in grant_types:
        document["device_authorization_endpoint"] = f"{issuer}/oauth/device_authorization"
    if registration:
        document["registration_endpoint"] = f"{issuer}/oauth/register"
    if identity_assertion.GRANT_TYPE in grant_types:
        document["authorization_grant_profiles_supported"] = [identity_assertion.PROFILE]
    if jwks:
        document["jwks_uri"] = f"{issuer}/oauth/jwks.json"
    if client_documents:
        document["client_id_metadata_document_supported"] = True
    return document


def protected_resource_metadata(issuer: str) -> dict[str, Any]:
    """RFC 9728."""
    return {
        "resource": f"{issuer}/mcp",
        "authorization_servers": [issuer],
        "scopes_supported": list(SCOPES),
        "bearer_methods_supported": ["header"],
        "resource_name": "ServiceNow MCP gateway",
    }
