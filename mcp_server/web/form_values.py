"""What is typed into ServiceNow's forms, field by field, under the names that the forms give them."""

from __future__ import annotations

from typing import Any

from mcp_server.oauth.models import SCOPES, Client
from mcp_server.web.services import Services

SERVICENOW_PATHS = ("/oauth_redirect.do", "/mcp_redirect.do")
"""Where an instance takes codes."""
MANAGE_SERVERS = "All > AI Agent Studio > Settings > Manage MCP Servers > New"
NEWER_MENU = "Brazil and late Australia: Settings > Manage Model Contextual Protocol (MCP) Servers > View, then New beside MCP Servers"
REGISTRATION_TOKEN = "Authentication Token for Client Registration"  # noqa: S105 -- the name of a field
HIDDEN_TOKEN = "Bearer, a blank, and the value of DCR_AUTH_TOKEN (--show-token prints it)"  # noqa: S105 -- says where the token is
HIDDEN_KEY = "the value of MCP_API_KEY (--show-token prints it)"


def scopes_typed(scope: str | None = None) -> str:
    """The form wants commas."""
    return ",".join(scope.split() if scope else SCOPES)


def endpoints(built: Services) -> dict[str, str]:
    return {
        "Authorization URL": built.metadata["authorization_endpoint"],
        "Token URL": built.metadata["token_endpoint"],
        "Token Revocation URL": built.metadata["revocation_endpoint"],
    }


def manual_registration(built: Services, client: Client, secret: str | None) -> dict[str, Any]:
    """Menu C of the connection guide, for this client."""
    return {
        "Menu": MANAGE_SERVERS,
        "MCP Server URL": built.settings.resource,
        "Authentication Type": "OAuth 2.1",
        "Client registration type": "Manual Registration",
        "Grant type": "Authorization Code" if "authorization_code" in client.grant_types else "Client Credentials",
        "Client ID": client.client_id,
        "Client Secret": secret,
        "Token authentication method":
            "Private Key JWT" if client.has_keys else "Client Secret Post (Basic works too)" if secret else "none: public client",
        **endpoints(built),
        "Auth scopes": scopes_typed(client.scope),
        "Redirect URLs": list(client.redirect_uris),
        "PKCE": "on the generated OAuth record tick Public Client, code challenge method S256" if client.pkce_required else "not required",
    }


def device(built: Services, client: Client, secret: str | None) -> dict[str, Any]:
    """What a machine without a browser is configured with, whose client has the device code grant and no redirect."""
    return {
        "MCP Server URL": built.settings.resource,
        "Device Authorization URL": built.metadata["device_authorization_endpoint"],
        "Token URL": built.metadata["token_endpoint"],
        "Client ID": client.client_id,
        "Client Secret": secret,
        "Scopes": client.scope,
    }


def connect(built: Services, *, show_token: bool) -> dict[str, dict[str, Any]]:
    """The three ways to connect, each with its form."""
    settings = built.settings
    server = {"Menu": MANAGE_SERVERS, "Menu in newer releases": NEWER_MENU, "MCP Server URL": settings.resource}
    scopes = scopes_typed()
    return {
        "dynamic_registration": server | {
            "Authentication Type": "OAuth 2.1",
            "Client registration type": "Dynamic Client Registration",
            "Grant type": "Authorization Code",
            "Token authentication method": "Client Secret Post (Basic works too)",
            "Auth scopes": scopes,
            **_registration_token(built, show_token=show_token),
            **endpoints(built),
            "Then": "Add; on the MCP server record: Authenticate; on our page sign in (flask users add NAME) and Approve",
        },
        "manual_registration": server | {
            "First, here": "flask clients create --name ServiceNow --servicenow https://INSTANCE.service-now.com",
            "Authentication Type": "OAuth 2.1",
            "Client registration type": "Manual Registration",
            "Grant type": "Authorization Code",
            "Client ID, Client Secret": "as that command prints them",
            "Token authentication method": "Client Secret Post (Basic works too)",
            "Auth scopes": scopes,
            **endpoints(built),
            "PKCE": "All > System OAuth > Application Registry > the generated record: tick Public Client, code challenge method S256",
        },
        "api_key": server | {
            "Authentication Type": "API Key",
            "API key": _api_key(settings.mcp_api_key, show=show_token),
            "API Key Header": "X-API-Key, or Authorization (a prefix such as Bearer goes inside the value)",
        },
        "redirect_uris": {"allow": [origin + path for origin in settings.servicenow_instances or ("https://INSTANCE.service-now.com",)
                                    for path in SERVICENOW_PATHS]},
    }


def _registration_token(built: Services, *, show_token: bool) -> dict[str, str]:
    """The field Authentication Token for Client Registration, which has two parts."""
    settings = built.settings
    header, value = "Authorization", HIDDEN_TOKEN
    if settings.dcr_mode == "off":
        header, value = "-", "registration is switched off here (DCR_MODE=off): register manually"
    elif settings.dcr_mode == "open":
        header, value = "-", "leave it empty: anyone may register (DCR_MODE=open)"
    elif show_token:
        value = f"Bearer {settings.dcr_auth_token}"
    return {f"{REGISTRATION_TOKEN}: Header": header, f"{REGISTRATION_TOKEN}: Value": value}


def _api_key(key: str | None, *, show: bool) -> str:
    if not key:
        return "none yet: set MCP_API_KEY (flask secrets generate), and reload the server"
    return key if show else HIDDEN_KEY
