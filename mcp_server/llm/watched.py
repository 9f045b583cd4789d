"""A back end whose calls are told: how long each took, how it ended, how many tokens it read and wrote. Nothing of what was said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelError
from mcp_server.llm.embedders import Answered, Vectors
from mcp_server.llm.observing import Observer, Operation
from mcp_server.llm.ports import Answer, IdentifiedModel, ModelIdentity, ModelStatus, OnToken, Prompt
from mcp_server.tracing import Span, Tracer

LOADED_SECONDS = 0.5
"""A load that a back end tells with its answer and that took less was only the look at a model in memory."""


@dataclass(slots=True)
class _Call:
    back_end: str
    span: Span
    model: str = ""


class Watching:
    """Tells of one call at a time, whichever it is."""

    def __init__(self, back_end: str, observer: Observer, tracer: Tracer, clock: Elapsed = elapsed) -> None:
        self._back_end = back_end
        self._observer = observer
        self._tracer = tracer
        self._clock = clock

    @contextmanager
    def call(self, operation: Operation, deadline: Deadline) -> Iterator[_Call]:
        began, outcome = self._clock(), "ok"
        with self._tracer.call(f"model {operation}") as span:
            call = _Call(self._back_end, span)
            try:
                yield call
            except ModelError as error:
                outcome = kind_of(error)
                raise
            except BaseException:  # its time is up, or nobody waits for it any more
                outcome = "gave_up" if deadline.left else "timeout"
                raise
            finally:
                if outcome != "ok":
                    span.failed(outcome)
                span.tell(gen_ai__operation__name=operation, gen_ai__provider__name=call.back_end, gen_ai__response__model=call.model or None)
                self._observer.called(operation, call.back_end, call.model, outcome, self._clock() - began)


class WatchedModel:
    """An IdentifiedModel, watched. `back_end` names it where an answer does not."""

    def __init__(self, model: IdentifiedModel, back_end: str, observer: Observer, tracer: Tracer, clock: Elapsed = elapsed) -> None:
        self._model = model
        self._observer = observer
        self._watching = Watching(back_end, observer, tracer, clock)

    def answer(self, prompt: Prompt, deadline: Deadline, on_token: OnToken | None = None) -> Answer:
        """Raises a ModelError."""
        with self._watching.call("answer", deadline) as call:
            answer = self._model.answer(prompt, deadline, on_token)
            call.back_end, call.model = answer.back_end or call.back_end, answer.model
            call.span.tell(gen_ai__usage__input_tokens=answer.prompt_tokens, gen_ai__usage__output_tokens=answer.answer_tokens)
        self._observer.read_and_wrote(call.back_end, call.model, answer.prompt_tokens or 0, answer.answer_tokens or 0)
        if answer.load_seconds is not None and answer.load_seconds >= LOADED_SECONDS:
            self._observer.loaded(call.back_end, call.model, answer.load_seconds)
        return answer

    def label_probabilities(self, prompt: Prompt, labels: Sequence[str], deadline: Deadline) -> Mapping[str, float] | None:
        """Raises a ModelError."""
        with self._watching.call("label_probabilities", deadline):
            return self._model.label_probabilities(prompt, labels, deadline)

    def identity(self, model: str | None, deadline: Deadline) -> ModelIdentity:
        """Raises a ModelError."""
        return self._model.identity(model, deadline)

    def status(self, deadline: Deadline) -> ModelStatus:
        """Never raises."""
        return self._model.status(deadline)


class WatchedVectors:
    """Vectors, watched."""

    def __init__(self, vectors: Vectors, back_end: str, observer: Observer, tracer: Tracer, clock: Elapsed = elapsed) -> None:
        self._vectors = vectors
        self._observer = observer
        self._watching = Watching(back_end, observer, tracer, clock)

    def ask(self, texts: Sequence[str], deadline: Deadline) -> Answered:
        """Raises a ModelError."""
        with self._watching.call("embed", deadline) as call:
            answered = self._vectors.ask(texts, deadline)
            call.model = answered.name
        self._observer.embedded(call.model, len(texts))
        return answered


def kind_of(error: ModelError) -> str:
    """timeout, unavailable, busy, missing, refused, context_too_long, bad_model_output."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower().removeprefix("model_")
