"""What every command does alike: it reaches the built objects, and a failure that was foreseen ends in words and an exit status."""

from __future__ import annotations

import getpass
import os
import re
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from config.settings import ConfigurationError
from mcp_server.cli.output import error_line
from mcp_server.errors import GatewayError, StoreUnavailable
from mcp_server.storage import migrations
from mcp_server.web import services as web

FAILED = 1
TRY_LATER = 75  # EX_TEMPFAIL
LIKE_AN_OPTION = re.compile(r"-[A-Za-z0-9_-]{31,}")
MIGRATE = "Its tables are not there or not up to date. Run: python -m mcp_server.prepare"


class Command(click.Command):
    """No traceback for what an operator can mend."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            error_line(str(error))
            ctx.exit(error.EXIT_STATUS)
        except StoreUnavailable as error:
            error_line(f"{error.message}{f' ({error.detail})' if error.detail else ''}")
            if tables_are_missing():
                error_line(MIGRATE)
            ctx.exit(TRY_LATER)
        except GatewayError as error:
            error_line(error.message)
            ctx.exit(FAILED)


class TakesTokens(Command):
    """What is in base64url begins with a dash in one case of 64, and is no option then."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = [] if "--" in args else [each for each in args if LIKE_AN_OPTION.fullmatch(each)]
        return super().parse_args(ctx, [*(each for each in args if each not in given), "--", *given] if given else args)


class Group(AppGroup):
    """A group whose commands run in the application's context."""

    command_class = Command


def refuse(app: Flask, error: ConfigurationError) -> None:
    """Remember why this application has no services."""
    app.extensions["refused"] = error


def refusal() -> ConfigurationError | None:
    """Why there are no services, if there are none."""
    refused: ConfigurationError | None = current_app.extensions.get("refused")
    return refused


def services() -> web.Services:
    """The built objects. Raises ConfigurationError when the configuration was refused."""
    if (refused := refusal()) is not None:
        raise refused
    return web.services()


def record(action: str, **details: Any) -> None:
    """One line in the audit log: an operator did this, from this account of the machine."""
    services().audit.record("operator", action, "success", **by(), **details)


def record_failure(action: str, **details: Any) -> None:
    """The same, of what came to nothing."""
    services().audit.record("operator", action, "failure", **by(), **details)


def by() -> dict[str, str]:
    """Who gives the command: an account of this machine."""
    try:
        return {"account": getpass.getuser()}
    except (KeyError, OSError):  # a container may run as a number that has no name
        return {"account": f"uid {os.getuid()}"}


def tables_are_missing() -> bool:
    """Whether that is why the registry does not answer."""
    try:
        return migrations.pending(services().settings.database_url)
    except StoreUnavailable:
        return False
