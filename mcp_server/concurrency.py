"""What a gevent worker needs: run this in a real thread, give up after N seconds, do this beside, and tell when a client is gone."""

from __future__ import annotations

from collections.abc import Callable
from socket import MSG_PEEK
from typing import Any, ParamSpec, TypeVar

import gevent
from gevent import monkey
from gevent.lock import BoundedSemaphore
from gevent.queue import Empty, SimpleQueue
from gevent.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T")

REAL_THREADS = 2
_local = monkey.get_original("threading", "local")()  # a pool belongs to the hub of its thread; the patched one would make one for each greenlet


def in_real_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `function` where it cannot stop the other greenlets: bcrypt, numpy, a long SQLite statement.

    Two threads a worker, made at the first call: more would take the cores from the requests.
    """
    pool: ThreadPool | None = getattr(_local, "pool", None)
    if pool is None:
        pool = _local.pool = ThreadPool(REAL_THREADS)
    result, error = pool.apply(_outcome, (function, args, kwargs))
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return] # it has no types


def _outcome(function: Callable[..., T], args: Any, kwargs: Any) -> tuple[T | None, Exception | None]:
    """A failure is carried back like a result: gevent would print each one that leaves a thread."""
    try:
        return function(*args, **kwargs), None
    except Exception as error:  # noqa: BLE001 the caller raises it
        return None, error


def in_free_real_thread(seconds: float, otherwise: Callable[[], Exception], function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As `in_real_thread`, once one of the threads is free for such work. Raises `otherwise()` when none was in that time.

    Who waits here can give up, and keeps at most as many threads as there are; who is in the queue of the pool cannot.
    """
    places: Places | None = getattr(_local, "places", None)
    if places is None:
        places = _local.places = Places(REAL_THREADS)
    if not places.take(seconds):
        raise otherwise()
    try:
        return in_real_thread(function, *args, **kwargs)
    finally:
        places.give_back()


class _Expired(BaseException):
    """Not an Exception, so that no library on the way swallows it or turns it into an error of its own."""


class give_up_after:  # noqa: N801 -- it is read as a statement
    """Raise `otherwise()` if the block has not ended after `seconds`. Blocks may be nested."""

    __slots__ = ("_expired", "_otherwise", "_seconds", "_timeout")

    def __init__(self, seconds: float, otherwise: Callable[[], Exception]) -> None:
        self._seconds = max(seconds, 0.0)
        self._otherwise = otherwise
        self._expired = _Expired()

    def __enter__(self) -> None:
        self._timeout = gevent.Timeout.start_new(self._seconds, self._expired)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._timeout.close()
        if error is self._expired:
            raise self._otherwise() from None


def native_lock() -> Any:
    """A lock for real threads. Under gevent it stops the whole worker, so nothing may wait while it is held; it costs a tenth."""
    return monkey.get_original("threading", "Lock")()


class Places:
    """At most so many at once. threading's semaphore, patched for gevent, costs fifteen times as much; this one is for greenlets only."""

    def __init__(self, count: int) -> None:
        self._semaphore = BoundedSemaphore(count)

    def take(self, seconds: float) -> bool:
        """Wait for a free place. False when none became free in time."""
        taken: bool = self._semaphore.acquire(timeout=seconds)
        return taken

    def give_back(self) -> None:
        self._semaphore.release()


class Inbox:
    """What one greenlet leaves for another of the same thread, whether or not the standard library is patched."""

    def __init__(self) -> None:
        self._queue = SimpleQueue()

    def put(self, item: Any) -> None:
        self._queue.put(item)

    def get(self, seconds: float | None) -> Any:
        """The next item; None when there was none in that time. `seconds` None: wait for it."""
        try:
            return self._queue.get(timeout=seconds)
        except Empty:
            return None


def let_others_run() -> None:
    """Yield to the other greenlets once."""
    gevent.sleep(0)


def spawn(function: Callable[[], None]) -> Callable[[], None]:
    """Run `function` beside the requests of this worker. Returns what stops it."""
    greenlet = gevent.spawn(function)

    def stop() -> None:
        greenlet.kill(block=False)

    return stop


def watch_for_the_end(socket: Any, ended: Callable[[], None]) -> Callable[[], None]:
    """Call `ended` as soon as the other side closes this connection. Returns what stops the watching, at once: nobody else may read meanwhile.

    WSGI tells of a lost client only when a write fails, and the first write after it left does not.
    """
    if socket is None:
        return lambda: None

    def watch() -> None:
        try:
            if socket.recv(1, MSG_PEEK) == b"":  # something to read would be the next request: then nobody can tell any more
                ended()
        except OSError:
            ended()

    return gevent.spawn(watch).kill  # type: ignore[no-any-return] # it has no types


def pause(seconds: float) -> None:
    """Wait without stopping the other greenlets."""
    gevent.sleep(seconds)
