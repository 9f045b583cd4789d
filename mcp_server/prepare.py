"""What is done once before the workers start: `python -m mcp_server.prepare [--check]`.

Exit status 0; 78 when the configuration is refused or a file is unusable; 75 when the database does not answer.
`--check` changes nothing: it reads the configuration and sees whether the application loads.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from config import logs
from config.settings import ConfigurationError, Settings
from mcp_server.clock import wall_clock
from mcp_server.errors import StoreUnavailable
from mcp_server.oauth.credentials import Digests
from mcp_server.oauth.imported_clients import UnreadableClientFile, import_clients
from mcp_server.oauth.key_records import ALGORITHM, KeyRecords, KeyWrapping
from mcp_server.storage.integrity import is_damaged, sqlite_path
from mcp_server.storage.migrations import migrate
from mcp_server.storage.registry import Registry
from mcp_server.tools import SHIPPED
from mcp_server.tools.operator_files import OperatorFiles

CONFIGURATION_REFUSED = ConfigurationError.EXIT_STATUS
TRY_LATER = 75  # EX_TEMPFAIL
ENV_FILE = Path(".env")
OTHERS_MAY_READ = 0o077
STDERR = 2
CONFIG = Path(__file__).parent.parent / "config"

Step = Callable[[Settings], None]


class Refused(Exception):
    """The server cannot start. The text says why, and what to do."""

    def __init__(self, text: str, status: int = CONFIGURATION_REFUSED) -> None:
        super().__init__(text)
        self.status = status


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Return the exit status, having said on stderr what is wrong."""
    try:
        settings = Settings.from_environ(environ, env_file=ENV_FILE)
        logs.configure("WARNING", settings.log_format, descriptor=STDERR)
        for step in CHECKS if "--check" in arguments else STEPS:
            step(settings)
    except ConfigurationError as error:
        return _say(str(error), error.EXIT_STATUS)
    except Refused as refused:
        return _say(str(refused), refused.status)
    except StoreUnavailable as error:
        return _say(f"The database cannot be used now: {error.detail or error.message}", TRY_LATER)
    return 0


def warn_of_readable_env_file(settings: Settings) -> None:
    """Secrets in .env are for this user alone."""
    if not settings.production and ENV_FILE.is_file() and ENV_FILE.stat().st_mode & OTHERS_MAY_READ:
        _say("Warning: .env holds secrets, and other users of this machine can read it. Run: chmod 600 .env", 0)


def check_folders(settings: Settings) -> None:
    """Make the folders that are written to, and see that they can be."""
    for name, path in _written(settings).items():
        folder = path.absolute().parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Refused(f"{name}: the folder {folder} cannot be made ({_reason(error)}).") from None
        if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
            raise Refused(f"{name}: {path} cannot be written. Its folder must belong to the user that the server runs as.")


def check_operator_files(_settings: Settings) -> None:
    """Raises ConfigurationError for what a worker would not load: a tool, a prompt or the taxonomy."""
    OperatorFiles.read(CONFIG, SHIPPED)


def check_parts(settings: Settings) -> None:
    """What only some settings need is installed."""
    if settings.otlp_endpoint is not None and find_spec("opentelemetry.sdk") is None:
        raise Refused("OTEL_EXPORTER_OTLP_ENDPOINT is set, and the packages that send traces are missing: pip install -r requirements-tracing.txt")


def check_files(settings: Settings) -> None:
    """Refuse to start on a damaged file: to begin an empty one would lose every client."""
    for name, path in _databases(settings).items():
        if is_damaged(path):
            raise Refused(f"{name}: {path} is damaged, or not a database of ours. It was left as it is. Restore a backup, or move it away.")


def migrate_database(settings: Settings) -> None:
    """Bring the tables up to date."""
    migrate(settings.database_url)


def import_clients_once(settings: Settings) -> None:
    """Take over CLIENT_STORAGE_PATH, the clients of the guide's templates."""
    if settings.client_storage_path is None:
        return
    registry = Registry(settings.database_url)
    try:
        digests = Digests(settings.jwt_secret, settings.jwt_secret_previous)
        added = import_clients(settings.client_storage_path, registry.imports, digests, wall_clock)
    except UnreadableClientFile as error:
        raise Refused(str(error)) from None
    except OSError as error:
        raise Refused(f"CLIENT_STORAGE_PATH: {settings.client_storage_path} cannot be read ({_reason(error)}).") from None
    finally:
        registry.close()
    if added:
        _say(f"{added} clients were imported from {settings.client_storage_path}. Its secrets are readable: delete it.", 0)


def create_signing_key_once(settings: Settings) -> None:
    """The first key pair, for JWT_ALGORITHM=ES256: one for all workers and machines, however many of them start at once."""
    if settings.jwt_algorithm != ALGORITHM:
        return
    registry = Registry(settings.database_url)
    try:
        records = KeyRecords(registry.signing_keys, KeyWrapping(settings.jwt_secret, settings.jwt_secret_previous), wall_clock)
        made = records.create_first()
        readable = records.readable()
    finally:
        registry.close()
    if made:
        _say(f"The first signing key was made: {made.kid}", 0)
    elif not readable:
        raise Refused("The signing keys in the database were encrypted under another JWT_SECRET. Name that one in JWT_SECRET_PREVIOUS, or run: "
                      "flask keys rotate")


def load_application(_settings: Settings) -> None:
    """See whether a worker could start. In a process of its own, which gevent patches before anything else is imported."""
    loaded = subprocess.run([sys.executable, "-c", "import wsgi"], check=False, capture_output=True, text=True)
    if loaded.returncode:
        last_line = (loaded.stderr.strip().splitlines() or [f"exit status {loaded.returncode}"])[-1]
        raise Refused(f"The application does not load: {last_line}")


CHECKS: tuple[Step, ...] = (check_operator_files, check_parts, check_folders, load_application)
STEPS: tuple[Step, ...] = (warn_of_readable_env_file, check_operator_files, check_parts, check_folders, check_files, migrate_database,
                           import_clients_once, create_signing_key_once)


def _databases(settings: Settings) -> dict[str, Path]:
    try:
        registry = sqlite_path(settings.database_url)
    except ValueError:
        raise Refused("DATABASE_URL must look like sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME.") from None
    return ({"DATABASE_URL": registry} if registry else {}) | ({} if settings.redis_url else {"STATE_PATH": settings.state_path})


def _written(settings: Settings) -> dict[str, Path]:
    return _databases(settings) | ({"AUDIT_LOG_PATH": settings.audit_log_path} if settings.audit_log_path else {})


def _reason(error: OSError) -> str:
    return (error.strerror or "no answer").lower()


def _say(text: str, status: int) -> int:
    sys.stderr.write(f"{text}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))  # noqa: TID251 -- the command line reads the environment
