"""How likely a model finds each of several answers: the first token that it would write is read.

What a model says of its own confidence is not measured; this is. A conversation that shows how such questions were answered goes on with a name.
Without one the names become letters, since a model that has seen none writes anything. Small models tell letters apart badly: with letters
SmolLM2-135M always writes the same one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from mcp_server.llm.ports import MOST_LABELS, Message, Prompt

_AROUND_AN_ANSWER = ' \t\n"*(▁Ġ'  # what tokenizers and models put before it
TOLD_APART = 3
"""Characters in which names must differ: the first token of `cat_01` and `cat_02` is the same."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The question as the model gets it. `written`: what stands for each label in an answer."""

    prompt: Prompt
    written: Mapping[str, str]
    whole: bool

    def shares(self, tokens: Any) -> Mapping[str, float] | None:
        """The probability of each label, from the list of `{token, logprob, top_logprobs}` that Ollama and the OpenAI routes give alike."""
        first = tokens[0] if isinstance(tokens, list) and tokens else None
        top = first.get("top_logprobs") if isinstance(first, dict) else None
        if not isinstance(top, list) or not top:
            return None
        found = dict.fromkeys(self.written, 0.0)
        for token, probability in _probabilities(top):
            meant = self._meant(token.lstrip(_AROUND_AN_ANSWER))
            for label in meant:  # of a token with which several names begin, each gets its part
                found[label] = min(1.0, found[label] + probability / len(meant))
        return found

    def _meant(self, begun: str) -> list[str]:
        if self.whole:
            return [label for label, written in self.written.items() if written == begun]
        begun = begun.casefold()
        return [label for label, written in self.written.items() if begun and written.startswith(begun)]


def ask_for(prompt: Prompt, labels: Sequence[str]) -> Asked | None:
    """None where a model server cannot tell the probabilities of so many."""
    if not 0 < len(labels) <= MOST_LABELS:
        return None
    shown = any(message.role == "assistant" for message in prompt.messages)
    if shown and len({label.casefold()[:TOLD_APART] for label in labels}) == len(labels):
        return Asked(_for_one_token(prompt, prompt.messages), {label: label.casefold() for label in labels}, whole=False)
    return _by_letter(prompt, labels)


def _by_letter(prompt: Prompt, labels: Sequence[str]) -> Asked:
    """Added to the last message: not every chat template takes two of one role in a row. What was answered with names is left out."""
    *before, last = prompt.messages
    listed = "\n".join(f"{letter}: {' '.join(label.split())}" for letter, label in zip(ascii_uppercase, labels, strict=False))
    asked = Message(last.role, f"{last.content}\n\nAnswer with the letter of one of these, and nothing else:\n{listed}")
    messages = [*(message for message in before if message.role == "system"), asked]
    return Asked(_for_one_token(prompt, messages), dict(zip(labels, ascii_uppercase, strict=False)), whole=True)


def _for_one_token(prompt: Prompt, messages: Sequence[Message]) -> Prompt:
    return dataclasses.replace(prompt, messages=messages, schema=None, max_tokens=1, temperature=0.0)


def _probabilities(top: Iterable[Any]) -> Iterable[tuple[str, float]]:
    for entry in top:
        if isinstance(entry, dict) and isinstance(entry.get("token"), str) and isinstance(entry.get("logprob"), int | float):
            probability = math.exp(min(entry["logprob"], 0.0))  # in this order a NaN stays one
            if math.isfinite(probability):
                yield entry["token"], probability
