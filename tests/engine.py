"""A real llama.cpp engine for the tests, started as production starts the embedded one, and Ollama's wire in front of it.

It has two tiny models: one that writes, one that embeds.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mcp_server.llm.embedded_engine import ADDRESS_FILE, Address
from tests.llm.ollama_wire import OllamaWire
from tests.llm.tiny_gguf import make_tiny_gguf
from tests.llm.tiny_vectors import make_tiny_vectors

TINY = "tiny:latest"
TINY_VECTORS = "vectors:latest"
START_SECONDS = 60


@contextmanager
def running_engine(folder: Path, weights: Path, model: str, embedding_weights: Path | None = None, embedding_model: str = TINY_VECTORS):
    """llama.cpp's server with `weights`, its address in `folder`."""
    command = [sys.executable, "-m", "mcp_server.llm.embedded", "--folder", str(folder), "--weights", str(weights), "--model", model]
    if embedding_weights:
        command += ["--embedding-weights", str(embedding_weights), "--embedding-model", embedding_model]
    with (folder / "engine.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield _wait_for(folder / ADDRESS_FILE, process)
        finally:
            process.terminate()


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> Address:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            return Address.read(path)
        except (OSError, ValueError):
            time.sleep(0.02)
    raise RuntimeError(f"The engine did not start: {path.with_name('engine.log').read_text(errors='replace')[-2000:]}")


def wait_until(condition) -> None:
    """Fails the test when `condition` does not come true within some seconds."""
    tick = threading.Event()
    for _ in range(2000):
        if condition():
            return
        tick.wait(0.005)
    pytest.fail("it did not come to that")


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory) -> Path:
    return make_tiny_gguf(tmp_path_factory.mktemp("weights") / "tiny.gguf")


@pytest.fixture(scope="session")
def tiny_engine_folder(tiny_weights, tmp_path_factory) -> Iterator[Path]:
    """The folder in which a running engine's address lies: what `Embedded` takes, or `data` of `open_model`."""
    folder = tmp_path_factory.mktemp("engine")
    with running_engine(folder, tiny_weights, TINY, make_tiny_vectors(folder / "vectors.gguf")):
        yield folder


@pytest.fixture(scope="session")
def tiny_engine(tiny_engine_folder) -> Address:
    """Where a real llama.cpp engine with a tiny model listens, and its API key."""
    return Address.read(tiny_engine_folder / ADDRESS_FILE)


@pytest.fixture
def ollama(tiny_engine) -> Iterator[OllamaWire]:
    """Ollama's API in front of that engine. `ollama.url` is for OLLAMA_API_URL, `ollama.fault` spoils the next answers."""
    with OllamaWire(tiny_engine, TINY) as wire:
        yield wire
