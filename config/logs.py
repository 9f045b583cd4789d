"""Structured logging: one event, one line, one write; ours and the libraries' through the same renderer.

`configure()` once per process, `get()` for a logger, `line_writer()` for access and audit records.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from config.log_lines import Event, exception_text, render_json, render_text

STDOUT = 1
LIBRARIES = {  # the least severe line that each may log, whatever LOG_LEVEL says
    "authlib": logging.INFO,  # its DEBUG prints tokens
    "sqlalchemy": logging.WARNING,  # its INFO prints the parameters of statements
    "urllib3": logging.INFO,
    "alembic": logging.INFO,
}
RENDERERS = {"json": render_json, "text": render_text}

Write = Callable[[dict[str, Any]], None]


def configure(level: str = "INFO", format: str = "json", descriptor: int = STDOUT) -> None:
    """Send every log line of this process to `descriptor`. May be called again: the last call counts."""
    render = RENDERERS[format]
    least = logging.getLevelNamesMapping()[level]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _name_of_logger,
            _exception_in_one_field,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
            lambda _logger, _method, event: render(event),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda name="": _Output(descriptor, name),
        cache_logger_on_first_use=False,  # a module's logger obeys a later configure()
    )
    _route_libraries(_Handler(), least)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a module."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


def line_writer(path: Path | None, format: str = "json", descriptor: int = STDOUT) -> Write:
    """Return what writes a record as one line: JSON into the file at `path`; to `descriptor`, in `format`, when it is None.

    A record without a timestamp gets one.
    """
    return _ToDescriptor(RENDERERS[format], descriptor) if path is None else _ToFile(path)


def write_all(descriptor: int, line: bytes) -> None:
    """One write; more only where the system took part of it."""
    while line:
        line = line[os.write(descriptor, line):]


class _Output:
    """Where structlog's bound loggers end."""

    def __init__(self, descriptor: int, name: str = "") -> None:
        self._descriptor = descriptor
        self.name = name

    def msg(self, line: bytes) -> None:
        with suppress(OSError):  # whoever read our output is gone: no reason to fail a request
            write_all(self._descriptor, line)

    debug = info = warning = error = critical = exception = log = msg


def _with_timestamp(record: dict[str, Any]) -> dict[str, Any]:
    if "timestamp" in record:
        return record
    return {"timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"), **record}


class _ToDescriptor:
    def __init__(self, render: Callable[[Event], bytes], descriptor: int) -> None:
        self._render = render
        self._output = _Output(descriptor)

    def __call__(self, record: dict[str, Any]) -> None:
        self._output.msg(self._render(_with_timestamp(record)))


class _ToFile:
    """Appends to a file that only its owner may read, and follows it when logrotate has moved it.

    The inode is compared at each write, so neither a signal nor `copytruncate` is needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._open()

    def __call__(self, record: dict[str, Any]) -> None:
        line = render_json(_with_timestamp(record))
        try:
            self._follow()
            write_all(self._descriptor, line)
        except OSError as error:
            get("logs").error("a record could not be written, it follows here", file=str(self._path), reason=error.strerror)
            _Output(STDOUT).msg(line)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _follow(self) -> None:
        ours = os.fstat(self._descriptor)
        with suppress(FileNotFoundError):
            there = self._path.stat()
            if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
                return
        fresh = self._open()
        os.close(self._descriptor)
        self._descriptor = fresh


class _Handler(logging.Handler):
    """Hands the lines of the standard library's loggers to ours."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields = {"exc_info": record.exc_info} if record.exc_info else {}
            getattr(get(record.name), _method_of(record.levelno))(record.getMessage(), **fields)
        except Exception:  # noqa: BLE001 -- a library's broken log call must not break its caller
            self.handleError(record)


def _method_of(level: int) -> str:
    for name in ("critical", "error", "warning", "info"):
        if level >= logging.getLevelNamesMapping()[name.upper()]:
            return name
    return "debug"


def _route_libraries(handler: logging.Handler, least: int) -> None:
    root, gunicorn = logging.getLogger(), logging.getLogger("gunicorn.error")
    gunicorn.propagate = False  # gunicorn sets this too, when it starts
    for logger in (root, gunicorn):
        logger.handlers = [kept for kept in logger.handlers if not isinstance(kept, _Handler)] + [handler]
        logger.setLevel(least)
    for name, floor in LIBRARIES.items():
        logging.getLogger(name).setLevel(max(floor, least))


def _name_of_logger(logger: _Output, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["logger"] = logger.name
    return event


def _exception_in_one_field(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()[1]
    if isinstance(given, tuple):
        given = given[1]
    if isinstance(given, BaseException):
        event["exception"] = exception_text(given)
    return event
