"""Answers that are known already: to the same question, with nothing left to chance, by the same model.

Only what has temperature 0 and a seed is remembered. Callers who ask the same at the same moment share one answer.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelError
from mcp_server.llm.http import too_late
from mcp_server.llm.observing import NOBODY, Looked, Observer
from mcp_server.llm.ports import Answer, IdentifiedModel, ModelIdentity, ModelStatus, OnToken, Prompt

MOST_ANSWERS = 1000
MOST_CHARACTERS = 20_000  # of an answer that is kept
IDENTITY_SECONDS = 2.0


@dataclass(slots=True)
class CacheCounts:
    """Of one worker. `shared`: answers that somebody else was waiting for already. `uncacheable` leave something to chance."""

    hits: int = 0
    misses: int = 0
    shared: int = 0
    uncacheable: int = 0


class _Asked:
    """A question that somebody asks now. `answer` stays None when that failed."""

    __slots__ = ("answer", "ended")

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.answer: Answer | None = None


class Remembering:
    """A model and the answers it gave within `lifetime` seconds. 0: none is kept, and callers still share."""

    def __init__(
        self, model: IdentifiedModel, lifetime: float, *, most: int = MOST_ANSWERS, clock: Elapsed = elapsed, observer: Observer = NOBODY,
    ) -> None:
        self._model = model
        self._observer = observer
        self._lifetime = lifetime
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, tuple[float, Answer]] = OrderedDict()
        self._asked: dict[bytes, _Asked] = {}
        self.counts = CacheCounts()

    def answer(self, prompt: Prompt, deadline: Deadline, on_token: OnToken | None = None) -> Answer:
        """Raises a ModelError. A remembered answer is given at once, and no token of it is counted."""
        identity = self._identity(prompt, deadline)
        if identity is None:
            self._count("uncacheable")
            return self._model.answer(prompt, deadline, on_token)
        key = _key(prompt, identity)
        while True:
            answer, asking = self._look_up(key)
            if answer is not None:
                return answer
            if asking is None:
                return self._ask(key, identity, prompt, deadline, on_token)
            if not asking.ended.wait(deadline.left):
                raise too_late()
            if asking.answer is not None:
                self._count("shared")
                return asking.answer

    def label_probabilities(self, prompt: Prompt, labels: Sequence[str], deadline: Deadline) -> Mapping[str, float] | None:
        """Raises a ModelError."""
        return self._model.label_probabilities(prompt, labels, deadline)

    def identity(self, model: str | None, deadline: Deadline) -> ModelIdentity:
        """Raises a ModelError."""
        return self._model.identity(model, deadline)

    def status(self, deadline: Deadline) -> ModelStatus:
        """Never raises."""
        status = self._model.status(deadline)
        return dataclasses.replace(status, facts={**status.facts, "cache_hits": self.counts.hits, "cache_misses": self.counts.misses})

    def _count(self, result: Looked) -> None:
        setattr(self.counts, result, getattr(self.counts, result) + 1)
        self._observer.looked_up(result)

    def _identity(self, prompt: Prompt, deadline: Deadline) -> ModelIdentity | None:
        """None when the answer cannot be remembered."""
        if prompt.temperature != 0 or prompt.seed is None:
            return None
        try:
            return self._model.identity(prompt.model, dataclasses.replace(deadline, at=min(deadline.at, deadline.clock() + IDENTITY_SECONDS)))
        except ModelError:
            return None  # the call itself says what is wrong, or another back end answers

    def _look_up(self, key: bytes) -> tuple[Answer | None, _Asked | None]:
        """The answer; else the one who asks already; else neither, and the caller is the one who asks."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None and found[0] > self._clock():
                self._kept.move_to_end(key)
                self._count("hits")
                return found[1], None
            asking = self._asked.get(key)
            if asking is None:
                self._asked[key] = _Asked()
                self._count("misses")
            return None, asking

    def _ask(self, key: bytes, identity: ModelIdentity, prompt: Prompt, deadline: Deadline, on_token: OnToken | None) -> Answer:
        """A failure is nobody else's: the next one who waits asks again."""
        asked = self._asked[key]
        try:
            answer = asked.answer = self._model.answer(prompt, deadline, on_token)
            if answer.complete and (answer.back_end, answer.model) == (identity.back_end, identity.model) and len(answer.text) <= MOST_CHARACTERS:
                self._keep(key, answer)
            return answer
        finally:
            with self._lock:
                del self._asked[key]
            asked.ended.set()

    def _keep(self, key: bytes, answer: Answer) -> None:
        with self._lock:
            self._kept[key] = (self._clock() + self._lifetime, answer)
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


def _key(prompt: Prompt, identity: ModelIdentity) -> bytes:
    told = {**dataclasses.asdict(prompt), "messages": [dataclasses.asdict(message) for message in prompt.messages]}
    return hashlib.sha256(orjson.dumps([dataclasses.asdict(identity), told], default=dict, option=orjson.OPT_SORT_KEYS)).digest()
