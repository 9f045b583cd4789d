"""LLM_BACKEND=auto: Ollama where it answers; else, in development, the embedded evaluation model."""

from __future__ import annotations

import dataclasses

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelUnavailable
from mcp_server.llm.embedded import Embedded
from mcp_server.llm.ollama import Ollama
from mcp_server.llm.ports import Answer, LanguageModel, ModelStatus, OnToken, Prompt

REMEMBERED_SECONDS = 30.0
PROBE_SECONDS = 2.0
NO_MODEL = "No model server answers. Ask the operator to start Ollama, and to set OLLAMA_API_URL if it runs on another machine."


class Automatic:
    """Chooses at the first use, and again after 30 seconds or when the chosen one is gone. `embedded` is None in production."""

    def __init__(self, ollama: Ollama, embedded: Embedded | None, clock: Elapsed = elapsed) -> None:
        self._ollama = ollama
        self._embedded = embedded
        self._clock = clock
        self._chosen: tuple[float, LanguageModel] | None = None

    def answer(self, prompt: Prompt, deadline: Deadline, on_token: OnToken | None = None) -> Answer:
        """Raises a ModelError. One that is unavailable is replaced within the call when there is another."""
        model = self._choose(deadline)
        try:
            return model.answer(prompt, deadline, on_token)
        except ModelUnavailable:
            self._chosen = None
            if (other := self._choose(deadline)) is model:
                raise
            return other.answer(prompt, deadline, on_token)

    def status(self, deadline: Deadline) -> ModelStatus:
        """Never raises."""
        try:
            model = self._choose(deadline)
        except ModelUnavailable as error:
            return ModelStatus("ollama", available=False, problem=error.message)
        status = model.status(deadline)
        if not status.available:
            self._chosen = None
        return dataclasses.replace(status, facts={**status.facts, "chosen": "automatically"})

    def _choose(self, deadline: Deadline) -> LanguageModel:
        if self._chosen is None or self._clock() - self._chosen[0] > REMEMBERED_SECONDS:
            self._chosen = (self._clock(), self._first_that_answers(deadline))
        return self._chosen[1]

    def _first_that_answers(self, deadline: Deadline) -> LanguageModel:
        if self._ollama.answers(Deadline.after(min(PROBE_SECONDS, deadline.left))):
            return self._ollama
        if self._embedded is None:
            raise ModelUnavailable(NO_MODEL)
        return self._embedded
