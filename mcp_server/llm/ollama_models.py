"""The models that an Ollama has, and which of them a prompt goes to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelMissing, ModelRefused
from mcp_server.llm.http import Http, StatusError
from mcp_server.llm.locality import leaves_the_network, runs_in_a_cloud
from mcp_server.llm.refusals import refusal

REMEMBERED_SECONDS = 30.0
_NAME = re.compile(r"[A-Za-z0-9][\w./:-]{0,127}", re.ASCII)


@dataclass(frozen=True, slots=True)
class OllamaModel:
    """`remote`: its prompts leave for another machine. `chats`: it writes text. `embeds`: it makes vectors. `size` is in bytes."""

    name: str
    size: int = 0
    digest: str = ""
    remote: bool = False
    chats: bool = True
    embeds: bool = False
    thinks: bool = False


class OllamaModels:
    """What `/api/tags` and, for older versions of Ollama, `/api/show` say; asked again after 30 seconds."""

    def __init__(self, http: Http, default: str | None, clock: Elapsed = elapsed) -> None:
        self._http = http
        self._default = default
        self._clock = clock
        self._known: tuple[float, dict[str, OllamaModel]] | None = None

    def choose(self, wanted: str | None, deadline: Deadline) -> OllamaModel:
        """`wanted`, else the default, else the first that chats. Raises ModelMissing, ModelRefused, or what `Http` raises."""
        name = wanted or self._default
        model = self._find(name, deadline) if name else self._first(deadline)
        if not model.chats:
            raise ModelRefused(f"The model '{model.name}' is for embeddings: it writes no text. Choose another one.")
        return model

    def choose_embedder(self, deadline: Deadline) -> OllamaModel:
        """The default, else the first that embeds. Raises as `choose` does."""
        if self._default:
            model = self._find(self._default, deadline)
            if not model.embeds:
                raise ModelRefused(f"The model '{model.name}' makes no embeddings. Ask the operator to set EMBEDDING_MODEL to one that does.")
            return model
        for model in self._all(deadline).values():
            if model.embeds and not model.remote:
                return model
        raise ModelMissing("The model server has no model for embeddings yet. Ask the operator to pull one, such as: ollama pull all-minilm")

    def names(self, deadline: Deadline) -> tuple[str, ...]:
        """Those that a prompt may go to."""
        return tuple(model.name for model in self._all(deadline).values() if model.chats and not model.remote)

    def forget(self) -> None:
        """Ask anew at the next call: what was listed turned out not to be there, or the other way round."""
        self._known = None

    def _find(self, name: str, deadline: Deadline) -> OllamaModel:
        if not _NAME.fullmatch(name) or "//" in name or ".." in name:
            raise ModelRefused("`model` must be the name of a model on the model server, such as llama3.1:8b.")
        if runs_in_a_cloud(name):
            raise leaves_the_network(name)
        full = name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"
        if full not in self._all(deadline):
            self.forget()  # it may have been pulled a moment ago
        try:
            model = self._all(deadline)[full]
        except KeyError:
            raise missing(name, self.names(deadline)) from None
        if model.remote:
            raise leaves_the_network(model.name)
        return model

    def _first(self, deadline: Deadline) -> OllamaModel:
        for model in self._all(deadline).values():
            if model.chats and not model.remote:
                return model
        raise ModelMissing("The model server has no model for text yet. Ask the operator to pull one, such as: ollama pull llama3.1:8b")

    def _all(self, deadline: Deadline) -> dict[str, OllamaModel]:
        if self._known is None or self._clock() - self._known[0] > REMEMBERED_SECONDS:
            self._known = (self._clock(), self._ask(deadline))
        return self._known[1]

    def _ask(self, deadline: Deadline) -> dict[str, OllamaModel]:
        try:
            tags = self._http.get("/api/tags", deadline).get("models")
            if not isinstance(tags, list):
                raise self._http.not_a_model_server("/api/tags has no models")
            models = (self._read(tag, deadline) for tag in tags if isinstance(tag, dict) and isinstance(tag.get("name"), str))
            return {model.name: model for model in models}
        except StatusError as error:
            raise refusal(error.status, error.body, "") from error

    def _read(self, tag: Mapping[str, Any], deadline: Deadline) -> OllamaModel:
        facts = tag if "capabilities" in tag else {**tag, **self._http.post("/api/show", {"model": tag["name"]}, deadline)}
        capabilities = facts.get("capabilities")
        size = tag.get("size")
        chats = "completion" in capabilities if isinstance(capabilities, list) else _looks_like_chat(facts)
        return OllamaModel(
            name=tag["name"],
            size=size if isinstance(size, int) else 0,
            digest=str(tag.get("digest") or ""),
            remote=bool(facts.get("remote_host") or facts.get("remote_model") or runs_in_a_cloud(tag["name"])),
            chats=chats,
            embeds="embedding" in capabilities if isinstance(capabilities, list) else not chats,
            thinks=isinstance(capabilities, list) and "thinking" in capabilities,
        )


def missing(name: str, others: tuple[str, ...] = ()) -> ModelMissing:
    has = f" It has: {', '.join(others[:10])}." if others else ""
    return ModelMissing(f"The model '{name}' is not on the model server.{has} Ask the operator to run: ollama pull {name}")


def _looks_like_chat(facts: Mapping[str, Any]) -> bool:
    """For an Ollama that does not tell capabilities."""
    details = facts.get("details")
    family = details.get("family") if isinstance(details, dict) else ""
    return "bert" not in str(family) and "embed" not in str(facts.get("name"))
