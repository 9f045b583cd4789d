"""Two things a gevent worker needs: run this in a real thread, and give up after N seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import gevent
from gevent.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T")

_local = threading.local()  # a pool belongs to the hub of its thread


def in_real_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `function` where it cannot stop the other greenlets: bcrypt, numpy, a long SQLite statement.

    Two threads a worker, made at the first call: more would take the cores from the requests.
    """
    pool: ThreadPool | None = getattr(_local, "pool", None)
    if pool is None:
        pool = _local.pool = ThreadPool(2)
    result: T = pool.apply(function, args, kwargs)
    return result


class _Expired(BaseException):
    """Not an Exception, so that no library on the way swallows it or turns it into an error of its own."""


@contextmanager
def give_up_after(seconds: float, otherwise: Callable[[], Exception]) -> Iterator[None]:
    """Raise `otherwise()` if the block has not ended after `seconds`. Blocks may be nested."""
    expired = _Expired()
    timeout = gevent.Timeout.start_new(max(seconds, 0.0), expired)
    try:
        yield
    except _Expired as caught:
        if caught is not expired:
            raise
        raise otherwise() from None
    finally:
        timeout.close()


def let_others_run() -> None:
    """Yield to the other greenlets once."""
    gevent.sleep(0)


def spawn(function: Callable[[], None]) -> Callable[[], None]:
    """Run `function` beside the requests of this worker. Returns what stops it."""
    greenlet = gevent.spawn(function)

    def stop() -> None:
        greenlet.kill(block=False)

    return stop


def pause(seconds: float) -> None:
    """Wait without stopping the other greenlets."""
    gevent.sleep(seconds)
