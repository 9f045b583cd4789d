"""The evaluation model: a small model beside the gateway, so that everything can be tried before there is an Ollama.

It shows that the parts fit together; its answers are not to be relied on.

    python -m mcp_server.llm.embedded --folder data              serve it until the starting process ends
    python -m mcp_server.llm.embedded --folder data --prepare    only fetch its weights
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from pathlib import Path

from mcp_server.deadline import Deadline
from mcp_server.errors import ModelError, ModelUnavailable
from mcp_server.llm.embedded_engine import ADDRESS_FILE, MODEL, Address, serve
from mcp_server.llm.embedded_weights import WeightsUnavailable, prepare
from mcp_server.llm.llama_cpp import LlamaCpp
from mcp_server.llm.ports import Answer, ModelStatus, OnToken, Prompt

BACK_END = "embedded"
NOTE = "This is the evaluation model: it shows that everything is connected; do not rely on its answers."
HINT = "Start the server with bin/serve, or set OLLAMA_API_URL."
NOT_RUNNING = f"The embedded evaluation model is not running. {HINT}"


class Embedded:
    """The engine whose address lies in `folder`; read again whenever it changes."""

    def __init__(self, folder: Path, connections: int = 4) -> None:
        self._path = folder / ADDRESS_FILE
        self._connections = connections
        self._current: tuple[int, LlamaCpp] | None = None

    def answer(self, prompt: Prompt, deadline: Deadline, on_token: OnToken | None = None) -> Answer:
        """Raises a ModelError."""
        return self._engine().answer(prompt, deadline, on_token)

    def status(self, deadline: Deadline) -> ModelStatus:
        """Never raises."""
        try:
            status = self._engine().status(deadline)
        except ModelError as error:
            status = ModelStatus(BACK_END, available=False, problem=error.message)
        return dataclasses.replace(status, facts={**status.facts, "note": NOTE})

    def _engine(self) -> LlamaCpp:
        try:
            changed = self._path.stat().st_mtime_ns
            if self._current is None or self._current[0] != changed:
                address = Address.read(self._path)
                self._current = changed, LlamaCpp(
                    address.url, api_key=address.api_key, connections=self._connections, back_end=BACK_END, hint=HINT)
        except (OSError, ValueError) as error:
            raise ModelUnavailable(NOT_RUNNING, detail=str(error)) from error
        return self._current[1]


def main(arguments: list[str]) -> int:
    """Serve or prepare. Returns the exit status: 1 when the weights or the engine cannot be had, and says why."""
    parser = argparse.ArgumentParser(prog="python -m mcp_server.llm.embedded", description="The embedded evaluation model.")
    parser.add_argument("--folder", type=Path, required=True, help="where the weights and the engine's address lie")
    parser.add_argument("--prepare", action="store_true", help="fetch the weights, and no more")
    parser.add_argument("--weights", type=Path, help="another GGUF file instead of the evaluation model's")
    parser.add_argument("--model", default=MODEL, help="the name under which it is served")
    options = parser.parse_args(arguments)
    try:
        weights = options.weights or prepare(options.folder)
        if not options.prepare:
            serve(options.folder, weights, options.model)
    except (WeightsUnavailable, ImportError) as error:
        logging.getLogger(__name__).error("%s", error)  # noqa: TRY400 - the text is for an operator, a trace would hide it
        return 1
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    sys.exit(main(sys.argv[1:]))
