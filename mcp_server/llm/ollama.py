"""Ollama by its own API: its OpenAI routes cannot set the context size, and drop what does not fit without a word."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelError, ModelTimeout
from mcp_server.llm.context_size import fitting
from mcp_server.llm.http import Http, StatusError, broken_off
from mcp_server.llm.labels import ask_for
from mcp_server.llm.observing import NOBODY, Observer
from mcp_server.llm.ollama_loading import Loading
from mcp_server.llm.ollama_models import OllamaModel, OllamaModels, missing
from mcp_server.llm.ports import MOST_LABELS, Answer, ModelIdentity, ModelStatus, OnToken, Prompt
from mcp_server.llm.refusals import refusal

BACK_END = "ollama"
HINT = "Ask the operator to check that Ollama is running and that OLLAMA_API_URL is right."
NOT_FOUND = 404
LOADING_SECONDS = 300.0  # Ollama's own limit for a load
LOADED_BYTES_A_SECOND = 150_000_000  # of a slow disk; it only makes the "about N seconds"
NANOSECONDS = 1e9


class Ollama:
    """One Ollama. `context` is asked of every call alike: another value would make Ollama load the model anew."""

    def __init__(
        self, url: str, *, context: int, default_model: str | None = None, api_key: str | None = None, keep_alive: int | str | None = None,
        connections: int = 4, hint: str = HINT, clock: Elapsed = elapsed, observer: Observer = NOBODY,
    ) -> None:
        """`keep_alive`: how long Ollama keeps the model after a call, in seconds or as Ollama writes it (30m); None: as Ollama does."""
        self._http = ollama_http(url, api_key, connections, hint)
        self._models = OllamaModels(self._http, default_model, clock)
        self._context = context
        self._keep_alive = keep_alive
        self._loading = Loading(self._load, clock, lambda model, seconds: observer.loaded(BACK_END, model, seconds))

    def answer(self, prompt: Prompt, deadline: Deadline, on_token: OnToken | None = None) -> Answer:
        """Raises a ModelError."""
        with self._loaded(prompt.model, deadline) as model:
            return self._chat(fitting(prompt, self._context, lambda: None), model, deadline, on_token)

    def label_probabilities(self, prompt: Prompt, labels: Sequence[str], deadline: Deadline) -> Mapping[str, float] | None:
        """Raises a ModelError. None where Ollama does not tell them (older than 0.12.11), or the labels are too many."""
        question = ask_for(prompt, labels)
        if question is None:
            return None
        with self._loaded(prompt.model, deadline) as model:
            asked = fitting(question.prompt, self._context, lambda: None)
            request = {**self._request(asked, model), "stream": False, "logprobs": True, "top_logprobs": MOST_LABELS}
            return question.shares(self._http.post("/api/chat", request, deadline).get("logprobs"))

    @contextmanager
    def _loaded(self, wanted: str | None, deadline: Deadline) -> Iterator[OllamaModel]:
        """The model, in memory. What the block learns of it is remembered, and a refusal told in our words."""
        model = self._models.choose(wanted, deadline)
        if not self._loading.ended(model.name, deadline):
            raise _still_loading(model)
        try:
            yield model
        except StatusError as error:
            raise self._refusal(error, model.name) from error
        except ModelTimeout:
            self._loading.doubt(model.name)
            raise
        self._loading.answered(model.name)

    def status(self, deadline: Deadline) -> ModelStatus:
        """Never raises."""
        try:
            version = self._version(deadline)
            names = self._models.names(deadline)
            model = self._models.choose(None, deadline)
        except ModelError as error:
            return ModelStatus(BACK_END, available=False, problem=error.message)
        return ModelStatus(BACK_END, available=True, model=model.name, models=names, facts={
            "version": version, "context": self._loaded_context(model.name, deadline)})

    def identity(self, model: str | None, deadline: Deadline) -> ModelIdentity:
        """Raises a ModelError."""
        chosen = self._models.choose(model, deadline)
        return ModelIdentity(BACK_END, chosen.name, f"{chosen.digest} {self._context}")

    def answers(self, deadline: Deadline) -> bool:
        """Whether an Ollama listens there."""
        try:
            return bool(self._version(deadline))
        except ModelError:
            return False

    def _version(self, deadline: Deadline) -> str:
        try:
            return str(self._http.get("/api/version", deadline).get("version") or "")
        except StatusError as error:
            raise refusal(error.status, error.body, "") from error

    def _loaded_context(self, model: str, deadline: Deadline) -> int:
        """What the model was loaded with: a small model has less than was asked for, and Ollama says so only here."""
        try:
            loaded = self._http.get("/api/ps", deadline).get("models")
        except (StatusError, ModelError):
            return self._context
        for entry in loaded if isinstance(loaded, list) else []:
            if isinstance(entry, dict) and entry.get("name") == model and isinstance(entry.get("context_length"), int):
                return min(self._context, int(entry["context_length"])) or self._context
        return self._context

    def _chat(self, prompt: Prompt, model: OllamaModel, deadline: Deadline, on_token: OnToken | None) -> Answer:
        text: list[str] = []
        last: Mapping[str, Any] | None = None
        with self._http.lines("/api/chat", self._request(prompt, model), deadline) as lines:
            for count, part in enumerate(self._parts(lines, model.name), start=1):
                message = part.get("message")
                text.append(str(message.get("content") or "") if isinstance(message, dict) else "")
                if part.get("done") is True:
                    last = part
                elif on_token is not None:
                    on_token(count)
        if last is None:
            raise broken_off("the stream ended without done")
        return _answer("".join(text), model.name, last)

    def _parts(self, lines: Iterator[bytes], model: str) -> Iterator[dict[str, Any]]:
        for line in lines:
            if not line.strip():
                continue
            try:
                part = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise self._http.not_a_model_server(str(error)) from None
            if not isinstance(part, dict):
                raise self._http.not_a_model_server("a line that is no object")
            if "error" in part:
                raise refusal(500, part, model)
            yield part

    def _request(self, prompt: Prompt, model: OllamaModel) -> dict[str, Any]:
        options = {"num_predict": prompt.max_tokens, "temperature": prompt.temperature, "seed": prompt.seed}
        request = self._request_to_load(model.name)
        request["messages"] = [{"role": message.role, "content": message.content} for message in prompt.messages]
        request["options"] |= {name: value for name, value in options.items() if value is not None}
        if prompt.schema is not None:
            request["format"] = prompt.schema
        if model.thinks:
            request["think"] = False  # unset means true, and thoughts use up num_predict
        return request

    def _request_to_load(self, model: str) -> dict[str, Any]:
        """What every call has in common. Sent by itself it loads the model.

        `truncate` and `shift` off: a prompt that does not fit is refused instead of losing its beginning.
        """
        request = {"model": model, "messages": [], "stream": True, "truncate": False, "shift": False, "options": {"num_ctx": self._context}}
        return request if self._keep_alive is None else {**request, "keep_alive": self._keep_alive}

    def _refusal(self, error: StatusError, model: str) -> ModelError:
        if error.status == NOT_FOUND and "not found" in error.body and model in error.body:
            self._models.forget()
            return missing(model)
        if error.status == NOT_FOUND or error.status < 400:  # noqa: PLR2004 - a redirect, a success without content
            return self._http.not_a_model_server(f"HTTP {error.status}")
        return refusal(error.status, error.body, model)

    def _load(self, model: str) -> None:
        try:
            self._http.post("/api/chat", {**self._request_to_load(model), "stream": False}, Deadline.after(LOADING_SECONDS))
        except StatusError as error:
            raise self._refusal(error, model) from error


def ollama_http(url: str, api_key: str | None, connections: int, hint: str) -> Http:
    return Http(url, connections=connections, hint=hint, headers={"Authorization": f"Bearer {api_key}"} if api_key else {})


def _still_loading(model: OllamaModel) -> ModelTimeout:
    seconds = max(10, 10 * math.ceil(model.size / LOADED_BYTES_A_SECOND / 10))
    return ModelTimeout(f"The model is still loading. Try again in about {seconds} seconds.")


def _answer(text: str, model: str, done: Mapping[str, Any]) -> Answer:
    load = done.get("load_duration")
    return Answer(
        text, model, complete=done.get("done_reason") != "length", back_end=BACK_END,
        prompt_tokens=_count(done.get("prompt_eval_count")), answer_tokens=_count(done.get("eval_count")),
        load_seconds=load / NANOSECONDS if isinstance(load, int) else None,
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None
