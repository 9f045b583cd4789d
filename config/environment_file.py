"""MCP_ENVIRONMENT_FILE: the file with an installation's settings, one NAME=VALUE a line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

VARIABLE = "MCP_ENVIRONMENT_FILE"


class UnreadableError(Exception):
    """The file is not there, closed to us, or no text."""


def read(environ: Mapping[str, str]) -> dict[str, str]:
    """What it says now; nothing when none is named. Raises UnreadableError."""
    path = environ.get(VARIABLE, "").strip()
    if not path:
        return {}
    try:
        with Path(path).open(encoding="utf-8") as file:
            return {name: value for name, value in dotenv_values(stream=file, interpolate=False).items() if value is not None}
    except OSError as error:
        reason = (error.strerror or "it does not answer").lower()
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    raise UnreadableError(f"{VARIABLE} names a file that cannot be read: {reason}.")
