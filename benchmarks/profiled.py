"""An application under a sampling profiler: gunicorn loads `benchmarks.profiled:app` in place of the one in BENCH_PROFILED.

Every few milliseconds of CPU the stack is written down. When the worker ends, the samples go to BENCH_SAMPLES: one line
for each stack, innermost first, with how often it was seen.
"""

from gevent import monkey; monkey.patch_all()
# ruff: noqa: E402, E702, I001 -- patched before anything that opens a socket is imported

import atexit
import importlib
import os
import signal
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY = 0.001  # seconds of CPU; the kernel may make it its own tick

_module, _, _name = os.environ["BENCH_PROFILED"].partition(":")
app = getattr(importlib.import_module(_module), _name)
_samples: Counter[str] = Counter()


def _take(_signal: int, frame: FrameType | None) -> None:
    stack = []
    while frame is not None:
        stack.append(f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}")
        frame = frame.f_back
    _samples[";".join(stack)] += 1


def _write() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    Path(os.environ["BENCH_SAMPLES"]).write_text("".join(f"{count}\t{stack}\n" for stack, count in _samples.most_common()))


signal.signal(signal.SIGPROF, _take)
signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)
atexit.register(_write)
