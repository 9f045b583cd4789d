"""Any server that speaks the OpenAI API: vLLM, LM Studio, LocalAI, text-generation-webui, Ollama's own /v1, llama.cpp.

The API says nothing of contexts, of models that are loading or of what a server cannot do; so nothing more is relied on than it says.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelError
from mcp_server.llm.context_size import fitting
from mcp_server.llm.http import Http, StatusError, broken_off
from mcp_server.llm.labels import ask_for
from mcp_server.llm.openai_models import OpenAIModel, OpenAIModels
from mcp_server.llm.ports import MOST_LABELS, Answer, ModelIdentity, ModelStatus, OnToken, Prompt
from mcp_server.llm.refusals import error_in

BACK_END = "openai"
HINT = "Ask the operator to check that the model server is running and that LLM_URL is right."
SERVER_ERROR = 500


class OpenAI:
    """One server. `url` may end in /v1, as other programs want it, or not.

    `context` is the operator's word for how many tokens fit, where the server does not tell.
    """

    def __init__(
        self, url: str, *, default_model: str | None = None, api_key: str | None = None, connections: int = 4, context: int | None = None,
        back_end: str = BACK_END, hint: str = HINT, clock: Elapsed = elapsed,
    ) -> None:
        self._http = http_of(url, api_key, connections, hint)
        self._models = OpenAIModels(self._http, default_model, clock)
        self._context = context
        self._back_end = back_end

    def answer(self, prompt: Prompt, deadline: Deadline, on_token: OnToken | None = None) -> Answer:
        """Raises a ModelError."""
        model = self._models.choose(prompt.model, deadline)
        try:
            return self._chat(self._fitting(prompt, model, deadline), model.name, deadline, on_token)
        except StatusError as error:
            raise self._models.refusal(error, model.name) from error

    def label_probabilities(self, prompt: Prompt, labels: Sequence[str], deadline: Deadline) -> Mapping[str, float] | None:
        """Raises a ModelError. None where the server does not tell them, or the labels are too many."""
        question = ask_for(prompt, labels)
        if question is None:
            return None
        model = self._models.choose(prompt.model, deadline)
        asked = self._fitting(question.prompt, model, deadline)
        request = {**_request(asked, model.name), "stream": False, "logprobs": True, "top_logprobs": MOST_LABELS}
        del request["stream_options"]
        try:
            choices = self._http.post("/v1/chat/completions", request, deadline).get("choices")
        except StatusError as error:
            if "logprobs" in error.body:
                return None
            raise self._models.refusal(error, model.name) from error
        told = choices[0].get("logprobs") if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
        return question.shares(told.get("content")) if isinstance(told, dict) else None

    def status(self, deadline: Deadline) -> ModelStatus:
        """Never raises."""
        try:
            names = self._models.names(deadline)
            model = self._models.choose(None, deadline)
        except ModelError as error:
            return ModelStatus(self._back_end, available=False, problem=error.message)
        return ModelStatus(self._back_end, available=True, model=model.name, models=names, facts={"context": model.context or self._context})

    def identity(self, model: str | None, deadline: Deadline) -> ModelIdentity:
        """Raises a ModelError."""
        chosen = self._models.choose(model, deadline)
        return ModelIdentity(self._back_end, chosen.name, chosen.digest)

    def tokens_in(self, prompt: Prompt, model: str, deadline: Deadline) -> int | None:  # noqa: ARG002 -- the API has no way to ask
        """How many tokens the prompt has for this model; None where the server cannot say."""
        return None

    def _fitting(self, prompt: Prompt, model: OpenAIModel, deadline: Deadline) -> Prompt:
        return fitting(prompt, model.context or self._context, lambda: self.tokens_in(prompt, model.name, deadline))

    def _chat(self, prompt: Prompt, model: str, deadline: Deadline, on_token: OnToken | None) -> Answer:
        text: list[str] = []
        reason: str | None = None
        usage: Mapping[str, Any] = {}
        with self._http.lines("/v1/chat/completions", _request(prompt, model), deadline) as lines:
            for count, part in enumerate(self._parts(lines), start=1):
                content, ended = _of_first_choice(part)
                text.append(content)
                reason = ended or reason
                usage = part["usage"] if isinstance(part.get("usage"), dict) else usage
                if on_token is not None and content:
                    on_token(count)
        if reason is None:
            raise broken_off("the stream ended without a finish_reason")
        return Answer(
            "".join(text), model, complete=reason != "length", back_end=self._back_end,
            prompt_tokens=_count(usage.get("prompt_tokens")), answer_tokens=_count(usage.get("completion_tokens")),
        )

    def _parts(self, lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
        """The events' JSON. Lines that begin with a colon are pings."""
        for line in lines:
            name, _, value = line.strip().partition(b":")
            if not name or value.strip() == b"[DONE]":
                continue
            try:
                part = orjson.loads(value)
            except orjson.JSONDecodeError as error:
                raise self._http.not_a_model_server(str(error)) from None
            if not isinstance(part, dict):
                raise self._http.not_a_model_server("an event that is no object")
            if name == b"error" or part.get("error"):
                code = error_in(part).get("code")
                raise StatusError(code if isinstance(code, int) else SERVER_ERROR, value.decode(errors="replace"))
            yield part


def http_of(url: str, api_key: str | None, connections: int, hint: str) -> Http:
    """The server at `url`, whose last part may be the /v1 that all paths here begin with."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return Http(url.rstrip("/").removesuffix("/v1"), connections=connections, hint=hint, headers=headers)


def _request(prompt: Prompt, model: str) -> dict[str, Any]:
    request: dict[str, Any] = {
        "model": model,
        "messages": [dataclasses.asdict(message) for message in prompt.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": prompt.max_tokens,
    }
    if prompt.temperature is not None:
        request["temperature"] = prompt.temperature
    if prompt.seed is not None:
        request["seed"] = prompt.seed
    if prompt.schema is not None:
        request["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": prompt.schema}}
    return request


def _of_first_choice(part: Mapping[str, Any]) -> tuple[str, str | None]:
    """Its text and its finish_reason. The last part, which counts tokens, has no choice."""
    choices = part.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return "", None
    delta, reason = choices[0].get("delta"), choices[0].get("finish_reason")
    return str(delta.get("content") or "") if isinstance(delta, dict) else "", reason if isinstance(reason, str) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None
