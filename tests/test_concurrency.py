"""What holds only where gevent has replaced Python's own parts, as in a worker: so each test is a process of its own."""

import subprocess
import sys

import pytest

BEGINNING = """
from gevent import monkey
monkey.patch_all()
import gevent, time
from mcp_server.concurrency import REAL_THREADS, in_real_thread
thread, rest = monkey.get_original("_thread", "get_ident"), monkey.get_original("time", "sleep")
def work():
    rest(0.01)
    return thread()
"""


def worker(program):
    return subprocess.run([sys.executable, "-c", BEGINNING + program], capture_output=True, text=True, check=True, timeout=60).stdout.split()


@pytest.mark.requirement("KNO-008")
def test_all_greenlets_share_two_real_threads():
    """More of them would take the interpreter from the hub: with 50 searches at once no other call was answered for half a second."""
    [used, most] = worker("""
calls = [gevent.spawn(in_real_thread, work) for _ in range(30)]
gevent.joinall(calls, raise_error=True)
used = {call.value for call in calls}
assert thread() not in used
print(len(used), REAL_THREADS)
""")
    assert int(used) <= int(most) == 2


def test_another_hub_has_threads_of_its_own():
    [first, second] = worker("""
found = []
def beside():
    found.append(in_real_thread(work))
here = in_real_thread(work)
started = monkey.get_original("_thread", "start_new_thread")(beside, ())
while not found:
    rest(0.01)
print(here, found[0])
""")
    assert first != second
