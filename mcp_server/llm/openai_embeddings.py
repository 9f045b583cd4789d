"""Embeddings by the OpenAI API: llama.cpp, vLLM, LM Studio, LocalAI, text-embeddings-inference."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelRefused
from mcp_server.llm.embedders import Answered
from mcp_server.llm.http import Http, StatusError
from mcp_server.llm.openai import HINT, http_of, refused
from mcp_server.llm.openai_models import OpenAIModels

NOT_SUPPORTED = 501


class OpenAIVectors:
    """`model` None: the first that looks like an embedding model, else the first."""

    def __init__(
        self, url: str, *, model: str | None = None, api_key: str | None = None, connections: int = 4, hint: str = HINT, clock: Elapsed = elapsed,
    ) -> None:
        self._http: Http = http_of(url, api_key, connections, hint)
        self._models = OpenAIModels(self._http, model, clock, setting="EMBEDDING_MODEL")

    def ask(self, texts: Sequence[str], deadline: Deadline) -> Answered:
        """Raises a ModelError."""
        model = self._models.choose(None, deadline, embeds=True)
        try:
            told = self._http.post("/v1/embeddings", {"model": model.name, "input": list(texts), "encoding_format": "float"}, deadline).get("data")
        except StatusError as error:
            if error.status == NOT_SUPPORTED:
                raise _makes_none(model.name, error) from error
            raise refused(self._http, error, model.name) from error
        entries = [entry for entry in told if isinstance(entry, dict)] if isinstance(told, list) else []
        if all(isinstance(entry.get("index"), int) for entry in entries):
            entries.sort(key=lambda entry: int(entry["index"]))
        return Answered([entry.get("embedding") for entry in entries], model.name, model.digest)


def _makes_none(model: str, error: StatusError) -> ModelRefused:
    text = f"The model '{model}' makes no embeddings. Ask the operator to set EMBEDDING_URL to a server that does, such as llama-server --embeddings."
    return ModelRefused(text, detail=error.body[:300])
