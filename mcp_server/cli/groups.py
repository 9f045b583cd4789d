"""Every command, in a tuple that can be read."""

from __future__ import annotations

import click

from mcp_server.cli.audit import audit
from mcp_server.cli.backup import backup
from mcp_server.cli.clients import clients
from mcp_server.cli.doctor import doctor
from mcp_server.cli.eval import evaluate
from mcp_server.cli.keys import keys
from mcp_server.cli.knowledge import knowledge
from mcp_server.cli.new_secrets import secrets
from mcp_server.cli.registration_tokens import registration_tokens
from mcp_server.cli.servicenow import servicenow
from mcp_server.cli.tokens import tokens
from mcp_server.cli.tools import tools
from mcp_server.cli.users import users

COMMANDS: tuple[click.Command, ...] = (
    audit, backup, clients, doctor, evaluate, keys, knowledge, registration_tokens, secrets, servicenow, tokens, tools, users)
