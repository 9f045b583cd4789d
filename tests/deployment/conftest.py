import subprocess
import sys

import pytest

from tests.engine import ollama, tiny_engine, tiny_engine_folder, tiny_weights
from tests.running import environment, gateway

__all__ = ["gateway", "ollama", "tiny_engine", "tiny_engine_folder", "tiny_weights"]


@pytest.fixture
def prepare(gateway):
    """Run the preparation step in the gateway's folder."""

    def run(*arguments):
        command = [sys.executable, "-m", "mcp_server.prepare", *arguments]
        return subprocess.run(command, cwd=gateway.folder, env=environment(), capture_output=True, text=True, check=False)

    return run
