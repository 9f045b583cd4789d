"""llama.cpp's own server, by its OpenAI routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from mcp_server.deadline import Deadline
from mcp_server.errors import ModelError, ModelMissing, ModelUnavailable
from mcp_server.llm.http import Http, StatusError, broken_off
from mcp_server.llm.ports import Answer, ModelStatus, OnToken, Prompt
from mcp_server.llm.refusals import error_in, refusal

HINT = "Ask the operator to check that llama.cpp's server is running and that LLAMA_CPP_URL is right."
SERVER_ERROR = 500


class LlamaCpp:
    """One server. It answers whatever model is asked for with the one it has, so names are checked here."""

    def __init__(
        self, url: str, *, default_model: str | None = None, api_key: str | None = None, connections: int = 4,
        back_end: str = "llama-cpp", hint: str = HINT,
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = Http(url, connections=connections, hint=hint, headers=headers)
        self._default = default_model
        self._back_end = back_end

    def answer(self, prompt: Prompt, deadline: Deadline, on_token: OnToken | None = None) -> Answer:
        """Raises a ModelError."""
        model = self._choose(prompt.model, deadline)
        try:
            try:
                return self._chat(prompt, model, deadline, on_token)
            except StatusError as error:
                if not _stumbled(error):
                    raise
            return self._chat(prompt, model, deadline, None)
        except StatusError as error:
            raise _refusal(error, model) from error

    def status(self, deadline: Deadline) -> ModelStatus:
        """Never raises."""
        try:
            names = self._names(deadline)
            model = self._choose(None, deadline)
        except ModelError as error:
            return ModelStatus(self._back_end, available=False, problem=error.message)
        return ModelStatus(self._back_end, available=True, model=model, models=names)

    def _choose(self, wanted: str | None, deadline: Deadline) -> str:
        names = self._names(deadline)
        name = wanted or self._default or names[0]
        if name not in names:
            has = ", ".join(names[:10])
            raise ModelMissing(f"The model '{name[:64]}' is not on the model server. It has: {has}. Leave `model` out to use its default.")
        return name

    def _names(self, deadline: Deadline) -> tuple[str, ...]:
        try:
            models = self._http.get("/v1/models", deadline).get("data")
        except StatusError as error:
            raise _refusal(error, "") from error
        listed = models if isinstance(models, list) else []
        names = tuple(model["id"] for model in listed if isinstance(model, dict) and isinstance(model.get("id"), str))
        if not names:
            raise self._http.not_a_model_server("/v1/models names no model")
        return names

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
            if name == b"error" or "error" in part:
                code = error_in(part).get("code")
                raise StatusError(code if isinstance(code, int) else SERVER_ERROR, value.decode(errors="replace"))
            yield part


def _request(prompt: Prompt, model: str) -> dict[str, Any]:
    request: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in prompt.messages],
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


def _stumbled(error: StatusError) -> bool:
    """Over its own output, such as half a UTF-8 sequence at the end: another try does better."""
    return "peg-native" in str(error_in(error.body).get("message"))


def _refusal(error: StatusError, model: str) -> ModelError:
    if error_in(error.body).get("message") == "Loading model":
        return ModelUnavailable("The model is still loading. Try again in about 10 seconds.")
    return refusal(error.status, error.body, model)
