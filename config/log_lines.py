"""How one event becomes one line: nothing in a value can end the line, move the cursor, or flood the log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, MutableMapping
from traceback import StackSummary, walk_tb
from typing import Any

import orjson

Event = MutableMapping[str, Any]

LONGEST = 2_000  # characters of one value
DEEPEST = 6  # levels of a nested value
MOST = 200  # entries of one list or mapping
CAUSES = 5  # exceptions of one chain
_LEADING = ("timestamp", "level", "logger", "event")
_ACCESS = ("method", "path", "status")
_AS_IT_IS = frozenset({type(None), bool, int, float})  # asked before `cut` is called: it saves 2 µs a request
_LINE_BREAKERS = {code: f"\\u{code:04x}" for code in (0x7F, *range(0x80, 0xA0), 0x2028, 0x2029)}  # what JSON leaves as it is


def render_json(event: Event) -> bytes:
    """Return `event` as a line of JSON."""
    shortened = {
        str(key): value if type(value) in _AS_IT_IS or (type(value) is str and len(value) <= LONGEST) else cut(value)
        for key, value in event.items()}
    try:
        line = orjson.dumps(shortened)
    except TypeError:  # lone surrogates, whole numbers above 64 bits
        line = json.dumps(shortened).encode()
    if not line.isascii() or b"\x7f" in line:
        line = line.decode().translate(_LINE_BREAKERS).encode()
    return line + b"\n"


def render_text(event: Event) -> bytes:
    """Return `event` as a line for people."""
    rest = {key: value for key, value in event.items() if key not in _LEADING and value is not None}
    head = [_clock_time(event.get("timestamp"))]
    if all(name in rest for name in _ACCESS):
        head += [_plain(rest.pop(name)) for name in _ACCESS]
    elif "event" in event:
        head += [f"{_plain(event.get('level', 'info')):7}", _plain(event["event"])]
    fields = [f"{_plain(key)}={_quoted(value)}" for key, value in rest.items()]
    return " ".join([*head, *fields]).encode("utf-8", "backslashreplace") + b"\n"


def cut(value: Any, depth: int = 0) -> Any:
    """Return `value` as JSON can hold it, with no part of it longer than LONGEST."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value if len(value) <= LONGEST else f"{value[:LONGEST]}… ({len(value)} characters)"
    if depth >= DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {str(key)[:LONGEST]: cut(part, depth + 1) for key, part in list(value.items())[:MOST]}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [cut(part, depth + 1) for part in list(value)[:MOST]]
    return cut(_said_by(value))


def exception_text(error: BaseException) -> str:
    """Return an exception, where it was raised, and what caused it, as one line. The last frames survive a cut."""
    return " <- ".join(_with_frames(one, LONGEST // 4) for one in _chain(error))[:LONGEST]


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    for _ in range(CAUSES):
        if current is None:
            return
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _with_frames(error: BaseException, longest: int) -> str:
    frames = StackSummary.extract(walk_tb(error.__traceback__), lookup_lines=False)
    where = " > ".join(f"{'/'.join(frame.filename.rsplit('/', 2)[-2:])}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__name__}: {_said_by(error)[:longest]} [{where[-2 * longest:]}]"


def _said_by(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 -- a broken __str__ must not lose the line
        return f"<{type(value).__name__}: {type(error).__name__}>"


def _clock_time(timestamp: object) -> str:
    return _plain(timestamp)[11:23] if timestamp else ""


def _plain(value: object) -> str:
    text = str(cut(value))
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _quoted(value: object) -> str:
    text = _plain(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(char in text for char in ' "=') else text
