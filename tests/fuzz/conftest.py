import os

import pytest

from mcp_server.rate_limiting.limits import Limit
from mcp_server.storage.migrations import migrate
from mcp_server.web import limits
from tests.fuzz.world import World
from tests.gateway import ENVIRON, Gateway, NoModel, SettableClock

MOST_SIGN_INS = Limit(1_000_000, 60)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A gateway of the test's own, that logs into a file."""
    monkeypatch.setattr(limits, "SIGN_INS", MOST_SIGN_INS)
    migrate(f"sqlite:///{tmp_path}/registry.db")
    files = {"DATABASE_URL": f"sqlite:///{tmp_path}/registry.db", "STATE_PATH": f"{tmp_path}/state.db"}
    written = os.open(tmp_path / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with (tmp_path / "log").open("rb") as log:
        gateway = Gateway({**ENVIRON, **files, "JWT_ALGORITHM": "ES256", "LOG_LEVEL": "INFO"}, SettableClock(), NoModel(), log_to=written)
        gateway.services.key_records.rotate()
        yield World(gateway, log)
        gateway.services.close()
    os.close(written)
