"""The process that runs the evaluation models: llama.cpp's own server on loopback, for one machine's gateway workers."""

from __future__ import annotations

import importlib
import json
import os
import secrets
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ADDRESS_FILE = "embedded-model.json"
MODEL = "smollm2-135m-evaluation"
EMBEDDING_MODEL = "all-minilm-l6-v2-evaluation"
SLOTS = 2
KEPT_PROMPTS = 256  # MiB of prompts that were read; llama.cpp itself would take 8 GiB
CONTEXT = 4096  # tokens a slot
EMBEDDING_CONTEXT = 512  # all that the model reads of a text; it must fit one batch
MOST_THREADS = 2  # llama.cpp's threads spin: on a busy machine more of them are slower
CHECK_PARENT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where the engine listens. `api_key` keeps the machine's other users out. `embedding_url` is empty without a model for embeddings."""

    url: str
    api_key: str
    pid: int
    embedding_url: str = ""

    def write(self, path: Path) -> None:
        """Whole, and readable by this user alone."""
        descriptor, scratch = tempfile.mkstemp(dir=path.parent)  # mode 600
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
        Path(scratch).replace(path)

    @classmethod
    def read(cls, path: Path) -> Address:
        """Raises OSError or ValueError when there is none."""
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, dict) or set(told) != {"url", "api_key", "pid", "embedding_url"}:
            raise ValueError(f"{path} is not the address of an engine")
        return cls(str(told["url"]), str(told["api_key"]), int(told["pid"]), str(told["embedding_url"]))


def serve(folder: Path, weights: Path, model: str = MODEL, *, embedding_weights: Path | None = None, embedding_model: str = EMBEDDING_MODEL) -> None:
    """Serve until SIGTERM or SIGINT, or until the process that started this one is gone. Does not return.

    Raises ImportError without the package xllamacpp.
    """
    parent = os.getppid()
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before the engine's threads, which inherit it
    api_key = secrets.token_urlsafe(32)
    engine = _start(weights, model, api_key)
    vectors = _start(embedding_weights, embedding_model, api_key, embeds=True) if embedding_weights else None
    address = Address(engine.listening_address, api_key, os.getpid(), vectors.listening_address if vectors else "")
    with _published(address, folder / ADDRESS_FILE):
        while os.getppid() == parent and signal.sigtimedwait(ends, CHECK_PARENT_SECONDS) is None:
            pass
    os._exit(0)  # the engine's destructor would wait for open streams


def _start(weights: Path, model: str, api_key: str, *, embeds: bool = False) -> Any:
    xllamacpp = importlib.import_module("xllamacpp")  # only development has it
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.model_alias = {model}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [api_key]
    parameters.n_parallel = SLOTS
    parameters.n_ctx = SLOTS * (EMBEDDING_CONTEXT if embeds else CONTEXT)
    if embeds:
        parameters.embedding = True
        parameters.n_batch = parameters.n_ubatch = EMBEDDING_CONTEXT
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = max(1, min((os.cpu_count() or 1) - 1, MOST_THREADS))
    parameters.ui = False
    parameters.cache_ram_mib = KEPT_PROMPTS
    parameters.verbosity = 0
    return xllamacpp.Server(parameters)


@contextmanager
def _published(address: Address, path: Path) -> Iterator[None]:
    """The address lies there as long as the block runs, unless a later engine has put its own."""
    address.write(path)
    try:
        yield
    finally:
        try:
            if Address.read(path) == address:
                path.unlink()
        except (OSError, ValueError):
            pass  # gone already
