"""Which HTTP methods a view has. Asked inside the view, so that the refusal takes the form of its blueprint."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from flask import request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import MethodNotAllowed

P = ParamSpec("P")
EVERY = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def only(*methods: str) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """Refuse any other method with 405 and `Allow`. HEAD goes with GET, and the view decides what it may do."""
    allowed = [*methods, "OPTIONS"]

    def decorate(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            if request.method not in methods and not (request.method == "HEAD" and "GET" in methods):
                raise MethodNotAllowed(valid_methods=allowed)
            return view(*args, **kwargs)

        return checked

    return decorate
