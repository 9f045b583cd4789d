"""The settings as an operator reads them: `python -m config.settings_table` prints the README's table, `--env` config/example.env."""

from __future__ import annotations

import sys
from itertools import takewhile

from config.settings import Row, rows

NO_DEFAULT = "\N{EN DASH}"
HEADINGS = {  # the first setting of each group
    "ENVIRONMENT": "The server",
    "JWT_SECRET": "Secrets and registration",
    "OIDC_ISSUER": "Signing in with a provider",
    "ACCESS_TOKEN_LIFETIME": "Lifetimes and revocation",
    "SERVICENOW_INSTANCE": "Who calls",
    "REDIS_URL": "Storage",
    "RATE_LIMIT_OAUTH_WINDOW": "Limits",
    "OLLAMA_API_URL": "The model",
    "TRUSTED_PROXIES": "HTTP and MCP",
    "METRICS_ALLOW": "Metrics, logs and workers",
}


def table() -> str:
    """Return the README's table; `parse_table` reads it back."""
    lines = ["| name (aliases) | default | what it is |", "|---|---|---|"]
    return "\n".join(lines + [f"| {_names(setting)} | {_default(setting)} | {_cell(setting.help)} |" for setting in rows()]) + "\n"


def parse_table(markdown: str) -> list[tuple[tuple[str, ...], str]]:
    """Return the names and the default of each row of the settings table in `markdown`."""
    lines = markdown.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("| `ENVIRONMENT`")), len(lines))
    return [_parsed(line) for line in takewhile(lambda line: line.startswith("| `"), lines[start:])]


def example_env() -> str:
    """Return config/example.env: every setting with its default, commented out."""
    opening = (
        "# Every setting with its default. Copy what you change into .env (development) or into the environment of the service.\n"
        "# Any of them may be given as NAME_FILE=/path/to/a/file instead, as a file NAME in SECRETS_DIRECTORY, or as a systemd\n"
        "# credential of that name. MCP_ENVIRONMENT_FILE names a file with such lines, which is read again at each reload.\n"
    )
    return opening + "".join(_example(setting) for setting in rows())


def _example(setting: Row) -> str:
    heading = f"\n# --- {HEADINGS[setting.name]} ---\n" if setting.name in HEADINGS else ""
    also = f" Also: {', '.join(setting.names[1:])}." if setting.names[1:] else ""
    return f"{heading}\n# {setting.help}{also}\n#{setting.name}={setting.default}\n"


def _names(setting: Row) -> str:
    name, *aliases = [f"`{name}`" for name in setting.names]
    return f"{name} ({', '.join(aliases)})" if aliases else name


def _default(setting: Row) -> str:
    return f"`{setting.default}`" if setting.default else NO_DEFAULT


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _parsed(line: str) -> tuple[tuple[str, ...], str]:
    names, default = (cell.strip() for cell in line.split("|")[1:3])
    return tuple(name.strip("`() ") for name in names.replace("(", ",").split(",") if name.strip("`() ")), default.strip("`").replace(NO_DEFAULT, "")


if __name__ == "__main__":
    sys.stdout.write(example_env() if "--env" in sys.argv[1:] else table())
