"""The same in a patched process, where the deadline can interrupt any read and a greenlet can be killed anywhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine import wait_until


@pytest.fixture
def run(ollama):
    ollama.loaded.add("tiny:latest")

    def run(what):
        command = [sys.executable, "-m", "gevent.monkey", str(Path(__file__).with_name("under_gevent.py")), ollama.url, what]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False, cwd=Path(__file__).parents[2], env={"PYTHONPATH": "."})
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    return run


def test_answers_stream_side_by_side_without_holding_up_the_worker(run):
    told = run("20")
    assert len({text for text, _ in told["results"]}) == 1
    assert told["left"] == [0, 0]
    assert told["longest_gap"] < 0.2


@pytest.mark.parametrize("fault", ["drip", "hang", "hang midstream", "slow"])
def test_a_server_that_dawdles_is_left_at_the_deadline(run, ollama, fault):
    ollama.fault = fault
    told = run("1.0")
    assert {text for text, _ in told["results"]} <= {"ModelTimeout", "ModelBusy"}
    assert all(seconds < 1.3 for _, seconds in told["results"])
    assert told["left"] == [0, 0]


def test_a_killed_call_frees_its_slot_and_its_place_in_the_queue_and_stops_the_model(run, ollama):
    ollama.fault = "hang midstream"
    told = run("killed")
    assert told["seen"] == [2, 4]
    assert told["left"] == [0, 0]
    wait_until(lambda: ollama.answering == 0)
