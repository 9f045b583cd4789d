"""Extensions hook into every request of an application; these hook into the blueprints that need them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask


def only_for(app: Flask, blueprints: tuple[Blueprint, ...], extend: Callable[[Flask], Any]) -> None:
    """Have `extend` register its hooks with `app`, and let them run for these blueprints alone: the hot path has no business with them."""
    every: list[Any] = [app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs]
    known = [len(hooks[None]) for hooks in every]
    extend(app)
    for hooks, count in zip(every, known, strict=True):
        added = hooks[None][count:]
        del hooks[None][count:]
        for blueprint in blueprints:
            hooks[blueprint.name].extend(added)
