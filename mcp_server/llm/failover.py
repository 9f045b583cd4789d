"""A second back end for when the first one cannot be reached.

It is asked only where the caller left the choice of the model open, or the second one has the very model; never once the first one has
begun to write. The answer names the back end and the model that gave it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelBusy, ModelError, ModelMissing, ModelRefused, ModelUnavailable
from mcp_server.llm.breaker import Breaker
from mcp_server.llm.observing import NOBODY, Observer
from mcp_server.llm.ports import Answer, IdentifiedModel, ModelIdentity, ModelStatus, OnToken, Prompt

T = TypeVar("T")

FIRST_MAY_TAKE = 0.5  # of what is left, for a status: the second one needs the rest


class Failover:
    """`first`, else `second`."""

    def __init__(self, first: IdentifiedModel, second: IdentifiedModel, clock: Elapsed = elapsed, observer: Observer = NOBODY) -> None:
        self._first = first
        self._second = second
        self._observer = observer
        self._breaker = Breaker(clock, lambda is_open: observer.breaker("first", is_open=is_open))

    def answer(self, prompt: Prompt, deadline: Deadline, on_token: OnToken | None = None) -> Answer:
        """Raises a ModelError: that of the first back end when both fail."""
        written = 0

        def count(tokens: int) -> None:
            nonlocal written
            written = tokens
            if on_token is not None:
                on_token(tokens)

        return self._with_either(
            lambda: self._first.answer(prompt, deadline, count), lambda: self._second.answer(prompt, deadline, on_token), lambda: not written)

    def label_probabilities(self, prompt: Prompt, labels: Sequence[str], deadline: Deadline) -> Mapping[str, float] | None:
        """As `answer`."""
        return self._with_either(
            lambda: self._first.label_probabilities(prompt, labels, deadline), lambda: self._second.label_probabilities(prompt, labels, deadline))

    def status(self, deadline: Deadline) -> ModelStatus:
        """Never raises. Of the second one when the first is away, with what is wrong there as a note."""
        first = self._first.status(dataclasses.replace(deadline, at=deadline.clock() + deadline.left * FIRST_MAY_TAKE))
        if first.available:
            return first
        second = self._second.status(deadline)
        if not second.available:
            return first
        note = f"The first back end ({first.back_end}) cannot be used, so {second.back_end} answers. {first.problem}"
        return dataclasses.replace(second, facts={**second.facts, "note": note})

    def identity(self, model: str | None, deadline: Deadline) -> ModelIdentity:
        """Of the first one. Raises a ModelError."""
        self._breaker.check()
        return self._first.identity(model, deadline)

    def _with_either(self, first: Callable[[], T], second: Callable[[], T], may_go_on: Callable[[], bool] = lambda: True) -> T:
        try:
            return self._breaker.call(first)
        except (ModelUnavailable, ModelBusy) as error:
            if not may_go_on():
                raise
            reason: ModelError = error
        try:
            answer = second()
        except (ModelUnavailable, ModelBusy, ModelMissing, ModelRefused) as error:
            self._observer.failed_over(answered=False)
            raise type(reason)(reason.message, detail=f"{reason.detail}; the second back end: {error.message} {error.detail}") from error
        self._observer.failed_over(answered=True)
        return answer
