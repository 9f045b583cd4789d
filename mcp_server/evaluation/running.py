"""Ask many things, a few at a time, and tell how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from mcp_server.concurrency import Inbox, spawn

Asked = TypeVar("Asked")
Got = TypeVar("Got")


def each(
    items: Sequence[Asked], make_asking: Callable[[], Callable[[Asked], Got]], *, at_once: int = 1, tell: Callable[[], None] = lambda: None,
) -> list[Got]:
    """What asking gives for each item, in their order. `make_asking` is called for every worker.

    What one raises is raised here, and the others stop.
    """
    waiting = list(enumerate(items))[::-1]
    inbox = Inbox()

    def work() -> None:
        asking = make_asking()
        while waiting:
            index, item = waiting.pop()
            try:
                inbox.put((index, asking(item), None))
            except Exception as error:  # noqa: BLE001 - it is raised where somebody waits for it
                inbox.put((index, None, error))
                return

    stops = [spawn(work) for _ in range(min(at_once, len(items)))]
    found: dict[int, Got] = {}
    try:
        while len(found) < len(items):
            index, got, error = inbox.get(None)
            if error is not None:
                raise error
            found[index] = got
            tell()
    finally:
        for stop in stops:
            stop()
    return [found[index] for index in range(len(items))]
