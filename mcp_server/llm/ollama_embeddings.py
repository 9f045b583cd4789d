"""Embeddings by Ollama's own API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.llm.embedders import Answered
from mcp_server.llm.http import StatusError
from mcp_server.llm.ollama import HINT, NOT_FOUND, ollama_http
from mcp_server.llm.ollama_models import OllamaModels, missing
from mcp_server.llm.refusals import refusal


class OllamaVectors:
    """`model` None: the first embedding model that Ollama has on its own machine."""

    def __init__(
        self, url: str, *, model: str | None = None, api_key: str | None = None, keep_alive: int | str | None = None, connections: int = 4,
        hint: str = HINT, clock: Elapsed = elapsed,
    ) -> None:
        self._http = ollama_http(url, api_key, connections, hint)
        self._models = OllamaModels(self._http, model, clock)
        self._keep_alive = keep_alive

    def ask(self, texts: Sequence[str], deadline: Deadline) -> Answered:
        """Raises a ModelError."""
        model = self._models.choose_embedder(deadline)
        request: dict[str, Any] = {"model": model.name, "input": list(texts), "truncate": False}
        if self._keep_alive is not None:
            request["keep_alive"] = self._keep_alive
        try:
            return Answered(self._http.post("/api/embed", request, deadline).get("embeddings"), model.name, model.digest)
        except StatusError as error:
            if error.status == NOT_FOUND and "not found" in error.body and model.name in error.body:
                self._models.forget()
                raise missing(model.name) from error
            if error.status == NOT_FOUND or error.status < 400:  # noqa: PLR2004 - a redirect, a success without content
                raise self._http.not_a_model_server(f"HTTP {error.status}") from error
            raise refusal(error.status, error.body, model.name) from error
