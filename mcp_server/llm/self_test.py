"""Whether the model server can do what the tools need of it: asked beside the requests, after a start and whenever it comes back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import orjson

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelError
from mcp_server.llm.ports import Embedder, LanguageModel, Message, ModelStatus, Prompt

FOLLOW_SECONDS = 10.0
RUN_SECONDS = 30.0
STATUS_SECONDS = 5.0
AGAIN_SECONDS = 60.0
"""Between two runs while the model is there and something else is wrong."""
ELECTED_SECONDS = 600.0
"""For which a worker that was elected is the only one."""

ANSWERS = ("yes", "no")
SCHEMA = {
    "type": "object", "properties": {"working": {"type": "string", "enum": list(ANSWERS)}}, "required": ["working"], "additionalProperties": False,
}
QUESTION = Prompt(
    [Message("user", 'Are you working? Answer with a JSON object: {"working": "yes"} or {"working": "no"}.')],
    schema=SCHEMA, max_tokens=32, temperature=0.0)  # without a seed, so that no remembered answer is given


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried. `said` is what was found; `next_step` is for an operator, where it is not ok."""

    name: Literal["model", "context", "schema", "embeddings"]
    ok: bool
    said: str
    next_step: str = ""


class SelfTest:
    """`steps` are of the last run; empty before the first one.

    Its calls are patient ones: those of clients go before. The first also loads the model, so that no client has to wait for that.
    `elected` says whether it is for this worker to try: one of all is enough. The others know of the model what its status says.
    """

    def __init__(
        self, model: LanguageModel, embedder: Embedder, *, context: int, clock: Elapsed = elapsed,
        elected: Callable[[], bool] = lambda: True, changed: Callable[[tuple[Step, ...]], object] = lambda _: None,
    ) -> None:
        self._model = model
        self._embedder = embedder
        self._context = context
        self._clock = clock
        self._elected = elected
        self._changed = changed
        self._tried_at = float("-inf")
        self.steps: tuple[Step, ...] = ()

    @property
    def model_works(self) -> bool | None:
        """Whether tools that need the model can work. None: not known yet."""
        return all(step.ok for step in self.steps if step.name in {"model", "schema"}) if self.steps else None

    def follow(self) -> None:
        """Look whether the model is there, and try everything when it was not before. To be called every FOLLOW_SECONDS."""
        tried_before = math.isfinite(self._tried_at)
        status = self._model.status(Deadline.after(STATUS_SECONDS))
        if not status.available:
            self._tell((_away(status),))
        elif self._is_due and (tried_before or self._elected()):
            self.run(Deadline.after(RUN_SECONDS))
        elif self._is_due:
            self._tell((_there(status),))

    @property
    def _is_due(self) -> bool:
        was_away = len(self.steps) <= 1
        return was_away or (not all(step.ok for step in self.steps) and self._clock() - self._tried_at >= AGAIN_SECONDS)

    def run(self, deadline: Deadline) -> tuple[Step, ...]:
        """Try everything. Never raises, and ends before the deadline."""
        self._tried_at = self._clock()
        deadline = dataclasses.replace(deadline, patient=True)
        status = self._model.status(deadline)
        if not status.available:
            steps: tuple[Step, ...] = (_away(status),)
        else:
            held = self._holds_to_a_schema(status, deadline)
            steps = (_there(status), held, self._has_the_context(self._model.status(deadline)), self._embeds(deadline))
        self._tell(steps)
        return steps

    def _holds_to_a_schema(self, status: ModelStatus, deadline: Deadline) -> Step:
        try:
            answer = self._model.answer(QUESTION, deadline)
        except ModelError as error:
            return Step("schema", ok=False, said=f"{status.model} did not answer a test question.", next_step=error.message)
        try:
            read = orjson.loads(answer.text)
        except orjson.JSONDecodeError:
            read = None
        if answer.complete and isinstance(read, dict) and read.get("working") in ANSWERS:
            return Step("schema", ok=True, said=f"{answer.model} keeps to a schema")
        return Step(
            "schema", ok=False, said=f"{answer.model} does not keep to the form it is asked for: tools that need one fail.",
            next_step="Set DEFAULT_LLM_MODEL to another model, or update the model server.")

    def _has_the_context(self, status: ModelStatus) -> Step:
        context = status.facts.get("context")
        if not isinstance(context, int):
            return Step("context", ok=True, said="the model server does not tell how much a prompt may have")
        if context < self._context:
            return Step(
                "context", ok=False, said=f"A prompt and its answer have {context} tokens at the model server; LLM_CONTEXT says {self._context}.",
                next_step=f"Start the model server with {self._context} tokens a slot (llama-server: -c is for all slots together), or set "
                          f"LLM_CONTEXT={context}.")
        return Step("context", ok=True, said=f"{context} tokens for a prompt and its answer")

    def _embeds(self, deadline: Deadline) -> Step:
        try:
            model = self._embedder.embed(["Is this working?"], deadline).model
        except ModelError as error:
            said = "There is no model for embeddings: knowledge is searched by words alone."
            return Step("embeddings", ok=False, said=said, next_step=error.message)
        return Step("embeddings", ok=True, said=f"{model.name} makes vectors of {model.dimensions} numbers")

    def _tell(self, steps: tuple[Step, ...]) -> None:
        before, self.steps = self.steps, steps
        if steps != before:
            self._changed(steps)


def _there(status: ModelStatus) -> Step:
    return Step("model", ok=True, said=f"{status.back_end} answers with {status.model or 'a model'}")


def _away(status: ModelStatus) -> Step:
    return Step("model", ok=False, said=f"{status.back_end} cannot answer: the tools that need a model fail.",
                next_step=status.problem or "Start Ollama, or set OLLAMA_API_URL.")
