"""How likely a model finds each of several answers: they become letters, and the first token's probabilities are read.

What a model says of its own confidence is not measured; this is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from mcp_server.llm.ports import MOST_LABELS, Message, Prompt

_AROUND_A_LETTER = ' \t\n"*(▁Ġ'  # what tokenizers and models put before it


def by_letter(prompt: Prompt, labels: Sequence[str]) -> Prompt:
    """The question with its answers as letters. Added to the last message: not every chat template takes two of one role in a row."""
    listed = "\n".join(f"{letter}: {' '.join(label.split())}" for letter, label in zip(ascii_uppercase, labels, strict=False))
    *before, last = prompt.messages
    asked = Message(last.role, f"{last.content}\n\nAnswer with the letter of one of these, and nothing else:\n{listed}")
    return dataclasses.replace(prompt, messages=[*before, asked], schema=None, max_tokens=1, temperature=0.0)


def countable(labels: Sequence[str]) -> bool:
    """Whether a model server can tell the probabilities of so many."""
    return 0 < len(labels) <= MOST_LABELS


def shares(tokens: Any, labels: Sequence[str]) -> Mapping[str, float] | None:
    """The probability of each label, from the list of `{token, logprob, top_logprobs}` that Ollama and the OpenAI routes give alike."""
    first = tokens[0] if isinstance(tokens, list) and tokens else None
    top = first.get("top_logprobs") if isinstance(first, dict) else None
    if not isinstance(top, list) or not top:
        return None
    found = dict.fromkeys(labels, 0.0)
    label_of = dict(zip(ascii_uppercase, labels, strict=False))
    for token, probability in _probabilities(top):
        label = label_of.get(token.lstrip(_AROUND_A_LETTER))
        if label is not None:
            found[label] = min(1.0, found[label] + probability)
    return found


def _probabilities(top: Iterable[Any]) -> Iterable[tuple[str, float]]:
    for entry in top:
        if isinstance(entry, dict) and isinstance(entry.get("token"), str) and isinstance(entry.get("logprob"), int | float):
            probability = math.exp(min(entry["logprob"], 0.0))  # in this order a NaN stays one
            if math.isfinite(probability):
                yield entry["token"], probability
