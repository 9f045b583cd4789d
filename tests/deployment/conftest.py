import shutil
import subprocess
import sys

import pytest

from tests.engine import ollama, tiny_engine, tiny_engine_folder, tiny_weights
from tests.installed import Installation, Sources
from tests.running import environment, gateway

__all__ = ["gateway", "ollama", "tiny_engine", "tiny_engine_folder", "tiny_weights"]


@pytest.fixture
def prepare(gateway):
    """Run the preparation step in the gateway's folder."""

    def run(*arguments):
        command = [sys.executable, "-m", "mcp_server.prepare", *arguments]
        return subprocess.run(command, cwd=gateway.folder, env=environment(), capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def once_installed(tmp_path_factory):
    """A folder, and a copy of it as bin/install left it: the paths that it has written are true in that place only."""
    place, copy = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("copy")
    Installation(place / "root", Sources(place / "sources")).install()
    subprocess.run(["cp", "-a", f"{place}/.", copy], check=True)
    return place, copy


@pytest.fixture
def installed(once_installed):
    place, copy = once_installed
    shutil.rmtree(place)
    subprocess.run(["cp", "-a", copy, place], check=True)
    built = Installation(place / "root", Sources(place / "sources"))
    yield built
    built.stop()
