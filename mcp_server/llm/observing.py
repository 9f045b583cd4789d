"""What is told of the models while they are asked: how long, how much, how often it failed. Never a word of a prompt or an answer."""

from __future__ import annotations

from typing import Literal, Protocol

Operation = Literal["answer", "label_probabilities", "embed"]
Looked = Literal["hits", "misses", "shared", "uncacheable"]
Breaking = Literal["gate", "first", "embedding"]
"""Whose breaker: of all model calls, of the first of two back ends, of the embedding model."""


class Observer(Protocol):
    """Whoever counts. Every method returns at once and never raises."""

    def looked_up(self, result: Looked) -> None:
        """An answer was, or was not, remembered."""

    def began_to_wait(self) -> None:
        """A call wants a place at the model."""

    def waited(self, seconds: float, *, granted: bool) -> None:
        """It has one, or gave up. Whoever has one tells `left`."""

    def left(self) -> None: ...

    def called(self, operation: Operation, back_end: str, model: str, outcome: str, seconds: float) -> None:
        """A back end was asked. `outcome`: ok, or why not. `model` is empty where the back end did not come to name one."""

    def read_and_wrote(self, back_end: str, model: str, prompt_tokens: int, answer_tokens: int) -> None: ...

    def loaded(self, back_end: str, model: str, seconds: float) -> None:
        """The model was not in memory, and now is."""

    def embedded(self, model: str, texts: int) -> None: ...

    def breaker(self, which: Breaking, *, is_open: bool) -> None:
        """Told when it changes, and closed at the beginning."""

    def failed_over(self, *, answered: bool) -> None:
        """The second back end was asked instead of the first."""


class Nobody:
    """Who does not count."""

    def looked_up(self, result: Looked) -> None: ...
    def began_to_wait(self) -> None: ...
    def waited(self, seconds: float, *, granted: bool) -> None: ...
    def left(self) -> None: ...
    def called(self, operation: Operation, back_end: str, model: str, outcome: str, seconds: float) -> None: ...
    def read_and_wrote(self, back_end: str, model: str, prompt_tokens: int, answer_tokens: int) -> None: ...
    def loaded(self, back_end: str, model: str, seconds: float) -> None: ...
    def embedded(self, model: str, texts: int) -> None: ...
    def breaker(self, which: Breaking, *, is_open: bool) -> None: ...
    def failed_over(self, *, answered: bool) -> None: ...


NOBODY = Nobody()
