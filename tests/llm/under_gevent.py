"""Run by test_under_gevent.py with `python -m gevent.monkey`: the gate and a back end as a gunicorn worker has them."""

import json
import sys
import time

import gevent

from mcp_server.deadline import Deadline
from mcp_server.errors import ModelError
from mcp_server.llm.gate import Gate
from mcp_server.llm.ollama import Ollama
from mcp_server.llm.ports import Message, Prompt

PROMPT = Prompt([Message("user", "What is a router?")], max_tokens=40, temperature=0.0, seed=1)


def outcome(gate, seconds):
    started = time.monotonic()
    try:
        text = gate.answer(PROMPT, Deadline.after(seconds)).text
    except ModelError as error:
        text = type(error).__name__
    return text, time.monotonic() - started


def heartbeat(gaps):
    while True:
        before = time.monotonic()
        gevent.sleep(0.01)
        gaps.append(time.monotonic() - before - 0.01)


def main(url, what):
    gate = Gate(Ollama(url, context=4096, connections=2), slots=2)
    gaps = []
    heart = gevent.spawn(heartbeat, gaps)
    if what == "killed":
        calls = [gevent.spawn(outcome, gate, 30) for _ in range(6)]
        gevent.sleep(0.5)
        seen = (gate.running, gate.waiting)
        gevent.killall(calls)
    else:
        calls = [gevent.spawn(outcome, gate, float(what)) for _ in range(4)]
        gevent.joinall(calls)
        seen = (gate.running, gate.waiting)
    heart.kill()
    results = [call.value if isinstance(call.value, tuple) else None for call in calls]
    json.dump({"results": results, "seen": seen, "left": (gate.running, gate.waiting), "longest_gap": max(gaps)}, sys.stdout)


main(*sys.argv[1:])
