"""The models of a server that speaks the OpenAI API, and which of them a call goes to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelError, ModelMissing, ModelUnavailable
from mcp_server.llm.http import Http, StatusError
from mcp_server.llm.locality import leaves_the_network, runs_in_a_cloud
from mcp_server.llm.refusals import error_in, refusal

REMEMBERED_SECONDS = 30.0
_EMBEDS = re.compile(r"embed|minilm|\bbge\b|\be5\b|\bgte\b|mpnet|sentence", re.IGNORECASE)  # the API does not tell what a model is for


@dataclass(frozen=True, slots=True)
class OpenAIModel:
    """`context` and `digest` are there where the server tells more than the API asks of it, as llama.cpp and vLLM do."""

    name: str
    context: int | None = None
    digest: str = ""

    @property
    def embeds(self) -> bool:
        """By its name alone."""
        return _EMBEDS.search(self.name) is not None


class OpenAIModels:
    """What `/v1/models` says; asked again after 30 seconds."""

    def __init__(self, http: Http, default: str | None, clock: Elapsed = elapsed, *, setting: str = "DEFAULT_LLM_MODEL") -> None:
        self._http = http
        self._default = default
        self._clock = clock
        self._setting = setting
        self._known: tuple[float, dict[str, OpenAIModel]] | None = None

    def choose(self, wanted: str | None, deadline: Deadline, *, embeds: bool = False) -> OpenAIModel:
        """`wanted`, else the default, else the first of its kind. Servers answer whatever name they are given, so names are checked here."""
        models = self._all(deadline)
        name = wanted or self._default or next((model.name for model in models.values() if model.embeds == embeds), next(iter(models)))
        if runs_in_a_cloud(name):
            raise leaves_the_network(name[:64])
        if name not in models:
            self.forget()
            models = self._all(deadline)
        if name not in models:
            raise self.missing(name, tuple(models))
        return models[name]

    def names(self, deadline: Deadline) -> tuple[str, ...]:
        """Those that a prompt may go to. One that looks like an embedding model is kept where there is no other."""
        here = [model for model in self._all(deadline).values() if not runs_in_a_cloud(model.name)]
        return tuple(model.name for model in here if not model.embeds) or tuple(model.name for model in here)

    def forget(self) -> None:
        """Ask anew at the next call."""
        self._known = None

    def missing(self, name: str, others: tuple[str, ...] = ()) -> ModelMissing:
        if name == self._default:
            text = f"The model '{name[:64]}' is not on the model server. Ask the operator to load it there, or to change {self._setting}."
            return ModelMissing(text)
        has = f" It has: {', '.join(others[:10])}." if others else ""
        return ModelMissing(f"The model '{name[:64]}' is not on the model server.{has} Leave `model` out to use its default.")

    def _all(self, deadline: Deadline) -> dict[str, OpenAIModel]:
        if self._known is None or self._clock() - self._known[0] > REMEMBERED_SECONDS:
            self._known = (self._clock(), self._ask(deadline))
        return self._known[1]

    def _ask(self, deadline: Deadline) -> dict[str, OpenAIModel]:
        try:
            models = self._http.get("/v1/models", deadline).get("data")
        except StatusError as error:
            raise _refusal(self._http, error) from error
        listed = models if isinstance(models, list) else []
        found = (_read(model) for model in listed if isinstance(model, dict) and isinstance(model.get("id"), str))
        named = {model.name: model for model in found}
        if not named:
            raise self._http.not_a_model_server("/v1/models names no model")
        return named


def _read(listed: Mapping[str, Any]) -> OpenAIModel:
    meta = listed.get("meta")
    facts = {name: value for name, value in meta.items() if name != "n_ctx"} if isinstance(meta, dict) else {}
    context = meta.get("n_ctx") if isinstance(meta, dict) else listed.get("max_model_len")
    digest = hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest() if facts else ""
    return OpenAIModel(listed["id"], context if isinstance(context, int) and context > 0 else None, digest)


def _refusal(http: Http, error: StatusError) -> ModelError:
    if error_in(error.body).get("message") == "Loading model":
        return ModelUnavailable("The model is still loading. Try again in about 10 seconds.")
    if error.status == 404 or error.status < 400:  # noqa: PLR2004 - another program listens there
        return http.not_a_model_server(f"HTTP {error.status}")
    return refusal(error.status, error.body, "")
