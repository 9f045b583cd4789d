"""A model and an embedder that need no weights: what they answer follows from the words."""

import hashlib
import json
import math
import re

from mcp_server.llm.ports import Answer, EmbeddingModel, Embeddings, ModelStatus

SIZE = 256


class ByWords:
    """A vector of the words of a text. Texts that share words are near."""

    def embed(self, texts, _deadline):
        return Embeddings([_vector(text) for text in texts], EmbeddingModel("by-words", SIZE))


class Says:
    """Answers with `category` whatever it is asked, in the form that is wanted, or not."""

    def __init__(self, category="network", *, text=None, error=None, probabilities=None):
        self._text = text or json.dumps({"reason": "so", "category": category, "impact": 2, "urgency": 2})
        self._error = error
        self._probabilities = probabilities
        self.asked = []

    def answer(self, prompt, _deadline, _on_token=None):
        self.asked.append(prompt)
        if self._error is not None:
            raise self._error
        return Answer(self._text, prompt.model or "says", complete=True, back_end="none")

    def label_probabilities(self, *_):
        return self._probabilities

    def status(self, _deadline):
        return ModelStatus("none", available=True, model="says")


def _vector(text):
    vector = [0.0] * SIZE
    for word in re.findall(r"\w+", text.lower()):
        vector[int(hashlib.sha256(word.encode()).hexdigest(), 16) % SIZE] += 1.0
    length = math.hypot(*vector) or 1.0
    return [number / length for number in vector]
