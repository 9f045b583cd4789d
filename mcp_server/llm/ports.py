"""What a tool may ask of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from mcp_server.deadline import Deadline


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question to a model.

    `schema` is a JSON Schema that the answer must satisfy. `max_tokens` bounds the answer. `temperature` None: the
    model's own. `model` None: the configured default.
    """

    messages: Sequence[Message]
    model: str | None = None
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 512
    temperature: float | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered. `complete` is False when it ran into `max_tokens`. Token counts and seconds are the back end's own."""

    text: str
    model: str
    complete: bool
    back_end: str = ""
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    load_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """`back_end` is what answers: `ollama`, `llama-cpp`, `openai`, `embedded`. `problem` says what to do when it does not."""

    back_end: str
    available: bool
    model: str | None = None
    models: tuple[str, ...] = ()
    problem: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


OnToken = Callable[[int], None]
"""Called with the number of tokens written so far."""


MOST_LABELS = 20
"""No model server tells the probabilities of more tokens than that."""


class LanguageModel(Protocol):
    """Any back end. A call ends before the deadline, whatever the model server does, and frees its slot when it does not."""

    def answer(self, prompt: Prompt, deadline: Deadline, on_token: OnToken | None = None) -> Answer:
        """Raises a ModelError."""

    def label_probabilities(self, prompt: Prompt, labels: Sequence[str], deadline: Deadline) -> Mapping[str, float] | None:
        """How likely each of `labels` is as the answer, asked for with one token. They sum to 1 at most: what is missing is on no label.

        `prompt` says what the labels mean; how to answer is added to it. None: the back end tells no probabilities, or the labels are
        more than MOST_LABELS. Raises a ModelError.
        """

    def status(self, deadline: Deadline) -> ModelStatus:
        """Never raises."""


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """What made a vector. Vectors of two different ones cannot be compared. `digest` is empty where the back end tells none."""

    name: str
    dimensions: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector of length 1 for each text, in their order."""

    vectors: Sequence[Sequence[float]]
    model: EmbeddingModel


class Embedder(Protocol):
    """Any back end. Ends before the deadline, and never cuts a text silently."""

    def embed(self, texts: Sequence[str], deadline: Deadline) -> Embeddings:
        """Raises a ModelError."""
