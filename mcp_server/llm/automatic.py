"""LLM_BACKEND=auto: Ollama where it answers; else, in development, the embedded evaluation models."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelUnavailable
from mcp_server.llm.embedded import Embedded
from mcp_server.llm.embedders import Answered, Vectors
from mcp_server.llm.ollama import Ollama
from mcp_server.llm.ports import Answer, LanguageModel, ModelStatus, OnToken, Prompt

T = TypeVar("T")

REMEMBERED_SECONDS = 30.0
PROBE_SECONDS = 2.0
NO_MODEL = "No model server answers. Ask the operator to start Ollama, and to set OLLAMA_API_URL if it runs on another machine."


class _Choice(Generic[T]):
    """Chooses at the first use, and again after 30 seconds or when told so. `otherwise` is None in production."""

    def __init__(self, ollama: Ollama, first: T, otherwise: T | None, clock: Elapsed) -> None:
        self._ollama = ollama
        self._first = first
        self._otherwise = otherwise
        self._clock = clock
        self._chosen: tuple[float, T] | None = None

    def get(self, deadline: Deadline) -> T:
        """Raises ModelUnavailable when there is none."""
        if self._chosen is None or self._clock() - self._chosen[0] > REMEMBERED_SECONDS:
            self._chosen = (self._clock(), self._choose(deadline))
        return self._chosen[1]

    def forget(self) -> None:
        self._chosen = None

    def _choose(self, deadline: Deadline) -> T:
        if self._ollama.answers(Deadline.after(min(PROBE_SECONDS, deadline.left))):
            return self._first
        if self._otherwise is None:
            raise ModelUnavailable(NO_MODEL)
        return self._otherwise


class Automatic:
    """Ollama, or the embedded model: None in production."""

    def __init__(self, ollama: Ollama, embedded: Embedded | None, clock: Elapsed = elapsed) -> None:
        self._choice: _Choice[LanguageModel] = _Choice(ollama, ollama, embedded, clock)

    def answer(self, prompt: Prompt, deadline: Deadline, on_token: OnToken | None = None) -> Answer:
        """Raises a ModelError. One that is unavailable is replaced within the call when there is another."""
        return self._with_either(deadline, lambda model: model.answer(prompt, deadline, on_token))

    def label_probabilities(self, prompt: Prompt, labels: Sequence[str], deadline: Deadline) -> Mapping[str, float] | None:
        """As `answer`."""
        return self._with_either(deadline, lambda model: model.label_probabilities(prompt, labels, deadline))

    def status(self, deadline: Deadline) -> ModelStatus:
        """Never raises."""
        try:
            model = self._choice.get(deadline)
        except ModelUnavailable as error:
            return ModelStatus("ollama", available=False, problem=error.message)
        status = model.status(deadline)
        if not status.available:
            self._choice.forget()
        return dataclasses.replace(status, facts={**status.facts, "chosen": "automatically"})

    def _with_either(self, deadline: Deadline, ask: Callable[[LanguageModel], T]) -> T:
        model = self._choice.get(deadline)
        try:
            return ask(model)
        except ModelUnavailable:
            self._choice.forget()
            if (other := self._choice.get(deadline)) is model:
                raise
            return ask(other)


class AutomaticVectors:
    """As `Automatic`, for embeddings. Nothing is replaced within a call: vectors of two models cannot be compared."""

    def __init__(self, ollama: Ollama, first: Vectors, otherwise: Vectors | None, clock: Elapsed = elapsed) -> None:
        self._choice: _Choice[Vectors] = _Choice(ollama, first, otherwise, clock)

    def ask(self, texts: Sequence[str], deadline: Deadline) -> Answered:
        """Raises a ModelError."""
        try:
            return self._choice.get(deadline).ask(texts, deadline)
        except ModelUnavailable:
            self._choice.forget()
            raise
