"""What a model server says when it refuses, as our errors. The texts tell an agent what to do next and name nothing internal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from mcp_server.errors import ContextTooLong, ModelBusy, ModelError, ModelRefused, ModelUnavailable

_Row = tuple[type[ModelError], str]

_BUSY: _Row = (ModelBusy, "The model server is busy. Try again in a few seconds.")
_BEHIND_PROXY: _Row = (ModelUnavailable, "The model server does not answer behind its proxy. Ask the operator to check that it is running.")
_NOT_LET_IN: _Row = (ModelRefused, "The model server does not let this gateway in. Ask the operator to check its key and its allowed hosts.")
_BY_STATUS: dict[int, _Row] = {401: _NOT_LET_IN, 403: _NOT_LET_IN, 429: _BUSY, 502: _BEHIND_PROXY, 503: _BUSY, 504: _BEHIND_PROXY}
_SERVER_ERRORS = 500
_FAILED: _Row = (ModelUnavailable, "The model server failed. Try again in a few seconds; if it fails again, ask the operator to read its log.")
_NOT_ACCEPTED: _Row = (ModelRefused, "The model server did not accept the request. Try it without optional arguments, or ask the operator.")

_TOO_LONG = (
    "the input length exceeds the context length", "exceeds the available context size", "exceed_context_size_error",
    "is too large to process", "maximum context length",  # llama.cpp of a text to embed; vLLM
)
_NESTED_AT_MOST = 3  # Ollama hands on its engine's error as a string of JSON, inside its own


def error_in(body: str | bytes | Mapping[str, Any]) -> dict[str, Any]:
    """The innermost error object of an answer: `message`, and what else it tells. Text that is no JSON is the message."""
    error: Any = body
    for _ in range(2 * _NESTED_AT_MOST):
        if isinstance(error, Mapping) and "error" in error:
            error = error["error"]
        elif isinstance(error, str | bytes):
            try:
                error = orjson.loads(error)
            except orjson.JSONDecodeError:
                break
        else:
            break
    if isinstance(error, Mapping):
        return dict(error)
    return {"message": error.decode(errors="replace") if isinstance(error, bytes) else str(error)}


def refusal(status: int, body: str | bytes | Mapping[str, Any], model: str) -> ModelError:
    """What `status` and `body` mean for the caller, for what all model servers have in common."""
    error = error_in(body)
    detail = f"HTTP {status}: {error}"[:500]
    if overflow := _context_too_long(error, detail):
        return overflow
    if "does not support" in str(error.get("message")):
        return ModelRefused(f"The model '{model}' cannot do this: it is not a chat model. Choose another one.", detail=detail)
    kind, text = _BY_STATUS.get(status, _FAILED if status >= _SERVER_ERRORS else _NOT_ACCEPTED)
    return kind(text, detail=detail)


def _context_too_long(error: Mapping[str, Any], detail: str) -> ContextTooLong | None:
    if error.get("type") != "exceed_context_size_error" and not any(sign in str(error.get("message")) for sign in _TOO_LONG):
        return None
    tokens, most = error.get("n_prompt_tokens"), error.get("n_ctx")
    numbers = f": it has {tokens} tokens, and {most} fit" if isinstance(tokens, int) and isinstance(most, int) else ""
    return ContextTooLong(f"The text is too long for the model{numbers}. Shorten it and try again.", detail=detail)
