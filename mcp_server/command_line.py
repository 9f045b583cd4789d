"""The application that `flask` finds: the real one, with the operator's commands.

A configuration that is refused does not take the commands away: `flask secrets generate` and `flask doctor` help to mend it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from dotenv import dotenv_values, find_dotenv
from flask import Flask

from config import logs
from config.settings import ConfigurationError, Settings
from mcp_server import app as application
from mcp_server.cli import command
from mcp_server.cli.groups import COMMANDS
from mcp_server.llm.ports import LanguageModel
from mcp_server.storage.integrity import sqlite_path
from mcp_server.web.services import Services

STDERR = 2
PASSWORD_COST = 12
FLASK_OWN = frozenset({"run", "shell", "routes"})
"""Flask's own commands: they would go on with an application that is none."""


def create_app() -> Flask:
    """What `flask` calls."""
    try:
        settings = Settings.from_environ(_as_given(os.environ), env_file=Path(".env"))  # noqa: TID251 -- the command line reads the environment
        app = build(settings)
    except ConfigurationError as error:
        app = refused(error)
    return app


def build(
    settings: Settings, *, model: LanguageModel | None = None, password_cost: int = PASSWORD_COST, **replaced: Any,
) -> Flask:
    """The real application with the commands. Logs and audit lines go to stderr: stdout is for what was asked.

    `replaced`: what else `create_app` takes. Raises ConfigurationError.
    """
    try:
        sqlite_path(settings.database_url)
    except ValueError as error:
        raise ConfigurationError(["DATABASE_URL must look like sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME."]) from error
    try:
        app = application.create_app(settings, model=model, password_cost=password_cost, log_to=STDERR, **replaced)
    except OSError as error:
        raise ConfigurationError([f"{error.filename or 'A file'} cannot be used: {(error.strerror or str(error)).lower()}."]) from error
    logs.configure("WARNING", settings.log_format, descriptor=STDERR)
    built: Services = app.extensions["services"]
    if (context := click.get_current_context(silent=True)) is not None:
        context.find_root().call_on_close(built.close)
    return _with_commands(app)


def refused(error: ConfigurationError) -> Flask:
    """An application that has only the commands, and says why."""
    context = click.get_current_context(silent=True)
    if context is not None and context.info_name in FLASK_OWN:
        click.echo(str(error), err=True)
        sys.exit(error.EXIT_STATUS)
    app = Flask("mcp_server")
    command.refuse(app, error)
    return _with_commands(app)


def _with_commands(app: Flask) -> Flask:
    for each in COMMANDS:
        app.cli.add_command(each)
    return app


def _as_given(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what Flask has added to it from .env: in production that file is not read, and a real variable wins over it."""
    added = dotenv_values(find_dotenv(".env", usecwd=True))
    return {name: value for name, value in environ.items() if added.get(name) != value}
