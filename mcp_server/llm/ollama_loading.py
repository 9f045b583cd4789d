"""Loading a model beside the calls that wait for it.

Ollama gives up a load when the caller it began for leaves. If a call itself began the load, a model that takes longer to load
than a call may last would never be loaded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from mcp_server.clock import Elapsed, elapsed
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelError

HOT_SECONDS = 60.0  # after an answer the model is taken to be loaded still; Ollama keeps it for five minutes unless told otherwise


@dataclass(slots=True)
class _Load:
    ended: threading.Event = field(default_factory=threading.Event)
    problem: ModelError | None = None


class Loading:
    """`load` takes a model's name, returns when the model is loaded and raises a ModelError when it cannot be.

    `loaded` is told the seconds that it took.
    """

    def __init__(
        self, load: Callable[[str], None], clock: Elapsed = elapsed, loaded: Callable[[str, float], object] = lambda _model, _seconds: None,
    ) -> None:
        self._load = load
        self._loaded = loaded
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[str, _Load] = {}
        self._answered_at: dict[str, float] = {}

    def ended(self, model: str, deadline: Deadline) -> bool:
        """Whether the model is loaded by the deadline. A load that is not ended goes on. Raises what `load` raised."""
        if self._clock() - self._answered_at.get(model, -HOT_SECONDS) < HOT_SECONDS:
            return True
        load = self._running_load(model)
        if not load.ended.wait(deadline.left):
            return False
        if load.problem is not None:
            raise type(load.problem)(load.problem.message, detail=load.problem.detail)
        return True

    def answered(self, model: str) -> None:
        """The model has just answered, so it is loaded."""
        self._answered_at[model] = self._clock()

    def doubt(self, model: str) -> None:
        """The model did not answer in time: it may have been unloaded."""
        self._answered_at.pop(model, None)

    def _running_load(self, model: str) -> _Load:
        with self._lock:
            load = self._running.get(model)
            if load is None:
                load = self._running[model] = _Load()
                threading.Thread(target=self._run, args=(model, load), daemon=True).start()
            return load

    def _run(self, model: str, load: _Load) -> None:
        began = self._clock()
        try:
            self._load(model)
            self._loaded(model, self._clock() - began)
        except ModelError as error:
            load.problem = error
        finally:
            with self._lock:
                del self._running[model]
            load.ended.set()
