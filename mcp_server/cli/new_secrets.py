"""`flask secrets`: values for the settings that must be random."""

from __future__ import annotations

from secrets import token_urlsafe

import click

from config import convert
from mcp_server.cli.command import Group
from mcp_server.cli.output import as_json, print_json, remark

MEANINGS = {
    "JWT_SECRET": "signs access tokens",
    "DCR_AUTH_TOKEN": "what a ServiceNow admin types to register a client",
    "BACKUP_KEY": "encrypts what flask backup writes; keep a copy of it, and of JWT_SECRET, away from this machine",
    "MCP_API_KEY": "opens /mcp without OAuth; leave it out if nobody needs that",
}

secrets = Group("secrets", help="Make random values for the settings.")


@secrets.command("generate")
@click.option("--env", "bare", is_flag=True, help="Print the lines alone, to be added to an environment file.")
@as_json
def generate(*, bare: bool, as_json: bool) -> None:
    """Print new values for JWT_SECRET, DCR_AUTH_TOKEN, BACKUP_KEY and MCP_API_KEY.

    Nothing is stored or changed. Works without any configuration.
    """
    values = {name: _new() for name in MEANINGS}
    if as_json:
        print_json(values)
        return
    for name, value in values.items():
        if not bare:
            click.echo(f"# {MEANINGS[name]}")
        click.echo(f"{name}={value}")
    if not bare:
        remark("\nPut them into .env (chmod 600), or one file each into SECRETS_DIRECTORY. They are not stored anywhere.")


def _new() -> str:
    """Once in a million a random text contains what an example value contains, and would be refused."""
    accepted = convert.secret(32)
    while True:
        value = token_urlsafe(48)
        try:
            accepted(value)
        except ValueError:
            continue
        return value
