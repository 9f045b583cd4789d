"""The evaluation models: small models beside the gateway, so that everything can be tried before there is an Ollama.

They show that the parts fit together; the answers of the one that writes are not to be relied on.

    python -m mcp_server.llm.embedded --folder data              serve it until the starting process ends
    python -m mcp_server.llm.embedded --folder data --prepare    only fetch its weights
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mcp_server.deadline import Deadline
from mcp_server.errors import ModelError, ModelUnavailable
from mcp_server.llm.embedded_engine import ADDRESS_FILE, EMBEDDING_MODEL, MODEL, Address, serve
from mcp_server.llm.embedded_weights import CHAT, VECTORS, WeightsUnavailable, prepare
from mcp_server.llm.embedders import Answered
from mcp_server.llm.llama_cpp import LlamaCpp
from mcp_server.llm.openai_embeddings import OpenAIVectors
from mcp_server.llm.ports import Answer, ModelStatus, OnToken, Prompt

BACK_END = "embedded"
NOTE = "This is the evaluation model: it shows that everything is connected; do not rely on its answers."
HINT = "Start the server with bin/serve, or set OLLAMA_API_URL."
NOT_RUNNING = f"The embedded evaluation model is not running. {HINT}"
NO_VECTORS = "The evaluation engine runs without its model for embeddings. Stop the server and start it again with bin/serve, or set EMBEDDING_URL."


class Engine:
    """What the engine's address in `folder` leads to; read again whenever it changes."""

    def __init__(self, folder: Path, connections: int = 4) -> None:
        self._path = folder / ADDRESS_FILE
        self._connections = connections
        self._current: tuple[int, LlamaCpp, OpenAIVectors | None] | None = None

    @property
    def model(self) -> LlamaCpp:
        """Raises ModelUnavailable."""
        return self._read()[1]

    @property
    def vectors(self) -> OpenAIVectors:
        """Raises ModelUnavailable."""
        vectors = self._read()[2]
        if vectors is None:
            raise ModelUnavailable(NO_VECTORS)
        return vectors

    def _read(self) -> tuple[int, LlamaCpp, OpenAIVectors | None]:
        try:
            changed = self._path.stat().st_mtime_ns
            if self._current is None or self._current[0] != changed:
                address = Address.read(self._path)
                model = LlamaCpp(address.url, api_key=address.api_key, connections=self._connections, back_end=BACK_END, hint=HINT)
                vectors = OpenAIVectors(address.embedding_url, api_key=address.api_key, connections=self._connections, hint=HINT)
                self._current = changed, model, vectors if address.embedding_url else None
        except (OSError, ValueError) as error:
            raise ModelUnavailable(NOT_RUNNING, detail=str(error)) from error
        return self._current


class Embedded:
    """The engine's model that writes."""

    def __init__(self, folder: Path, connections: int = 4) -> None:
        self._engine = Engine(folder, connections)

    def answer(self, prompt: Prompt, deadline: Deadline, on_token: OnToken | None = None) -> Answer:
        """Raises a ModelError."""
        return self._engine.model.answer(prompt, deadline, on_token)

    def label_probabilities(self, prompt: Prompt, labels: Sequence[str], deadline: Deadline) -> Mapping[str, float] | None:
        """Raises a ModelError."""
        return self._engine.model.label_probabilities(prompt, labels, deadline)

    def status(self, deadline: Deadline) -> ModelStatus:
        """Never raises."""
        try:
            status = self._engine.model.status(deadline)
        except ModelError as error:
            status = ModelStatus(BACK_END, available=False, problem=error.message)
        return dataclasses.replace(status, facts={**status.facts, "note": NOTE})


class EmbeddedVectors:
    """The engine's model that embeds."""

    def __init__(self, folder: Path, connections: int = 4) -> None:
        self._engine = Engine(folder, connections)

    def ask(self, texts: Sequence[str], deadline: Deadline) -> Answered:
        """Raises a ModelError."""
        return self._engine.vectors.ask(texts, deadline)


def main(arguments: list[str]) -> int:
    """Serve or prepare. Returns the exit status: 1 when the weights or the engine cannot be had, and says why."""
    parser = argparse.ArgumentParser(prog="python -m mcp_server.llm.embedded", description="The embedded evaluation model.")
    parser.add_argument("--folder", type=Path, required=True, help="where the weights and the engine's address lie")
    parser.add_argument("--prepare", action="store_true", help="fetch the weights, and no more")
    parser.add_argument("--weights", type=Path, help="another GGUF file instead of the evaluation model's")
    parser.add_argument("--model", default=MODEL, help="the name under which it is served")
    parser.add_argument("--embedding-weights", type=Path, help="a GGUF file for embeddings, with --weights")
    parser.add_argument("--embedding-model", default=EMBEDDING_MODEL, help="the name under which that is served")
    options = parser.parse_args(arguments)
    try:
        weights = options.weights or prepare(options.folder, CHAT)
        vectors = options.embedding_weights if options.weights else _vectors(options.folder)
        if not options.prepare:
            serve(options.folder, weights, options.model, embedding_weights=vectors, embedding_model=options.embedding_model)
    except (WeightsUnavailable, ImportError) as error:
        logging.getLogger(__name__).error("%s", error)  # noqa: TRY400 - the text is for an operator, a trace would hide it
        return 1
    return 0


def _vectors(folder: Path) -> Path | None:
    """The weights for embeddings. Without them the other model is served all the same."""
    try:
        return prepare(folder, VECTORS)
    except WeightsUnavailable as error:
        logging.getLogger(__name__).warning("%s", error)
        return None


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    sys.exit(main(sys.argv[1:]))
