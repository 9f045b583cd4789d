"""A gateway that lets ServiceNow's AI agents use a language model inside the network.

oauth/          the authorization server            mcp/      MCP over JSON-RPC
llm/            the model, whichever it is           tools/    what this server can do
knowledge/      articles and their search            rate_limiting/  how many requests from whom
storage/        SQLite, Redis, PostgreSQL            web/      Flask; the only code that knows HTTP
cli/            operator commands                    outbound/ fetching what a URL from outside names
audit_log/      the audit file as one chain         evaluation/  how good the answers are
app.py, building/  where every object is built and joined; background.py, what a worker does beside its requests

Imports point down: app, then building, then cli, then web, then tools, storage and outbound, then oauth, mcp, llm and knowledge, then principal,
rate_limiting, audit and validation, then errors, metrics, deadline, concurrency and clock, then config.
"""

__version__ = "0.1.0"
