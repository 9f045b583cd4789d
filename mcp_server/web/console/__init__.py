"""The operators' console: server-rendered, without a script. What it does, `oauth/administration.py` does, and the audit has the operator's id."""

from mcp_server.web.console import clients, events, grants, overview, people, tokens  # each adds its pages to the blueprint
from mcp_server.web.console.pages import bp

__all__ = ["bp", "clients", "events", "grants", "overview", "people", "tokens"]
