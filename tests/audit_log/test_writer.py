"""One chain over processes, kills, logrotate and restarts."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mcp_server.audit_log import writer as writers
from mcp_server.audit_log.chain import START, Keys
from mcp_server.audit_log.reading import in_order, lines, with_rotated
from mcp_server.audit_log.state import snapshot, state_path
from mcp_server.audit_log.verifying import verify
from mcp_server.audit_log.writer import ChainedFile

ROOT = Path(__file__).parents[2]
SECRET = "kV9mRr2Yb7xQ4tWz8nLs3cHd6fJg1pAe"
KEYS = Keys(SECRET)
PROCESSES, EACH = 4, 200

APPEND = """
import sys, time
from pathlib import Path
from config import logs
from mcp_server.audit_log.chain import Keys
from mcp_server.audit_log.writer import ChainedFile
path, secret, number, count = sys.argv[1:]
append = ChainedFile(Path(path), Keys(secret), lambda: 1_800_000_000.0)
at_once = logs.write_all
def slowly(descriptor, line):  # so that they would meet, if they could
    time.sleep(0.0002)
    at_once(descriptor, line)
logs.write_all = slowly
print("ready", flush=True)
sys.stdin.readline()
for each in range(int(count)):
    append({"event": "audit", "timestamp": "t", "action": "tried", "number": int(number), "each": each})
"""
DIE_IN_THE_MIDDLE = """
import os, signal, sys
from pathlib import Path
from config import logs
from mcp_server.audit_log.chain import Keys
from mcp_server.audit_log.writer import ChainedFile
append = ChainedFile(Path(sys.argv[1]), Keys(sys.argv[2]), lambda: 1_800_000_000.0)
def half(descriptor, line):
    os.write(descriptor, line[:int(len(line) * float(sys.argv[3]))])
    os.kill(os.getpid(), signal.SIGKILL)
logs.write_all = half
append({"event": "audit", "timestamp": "t", "action": "never finished"})
"""


@pytest.fixture
def log(tmp_path):
    return tmp_path / "audit.log"


@pytest.fixture
def write(log):
    return Writer(log)


class Writer:
    def __init__(self, log, keys=KEYS):
        self.log = log
        self._append = ChainedFile(log, keys, lambda: 1_800_000_000.0)

    def __call__(self, count=1, **more):
        for number in range(count):
            self._append({"event": "audit", "timestamp": "t", "action": "tried", "number": number, **more})

    def again(self, keys=KEYS):
        return Writer(self.log, keys)


def looked_at(log, keys=KEYS):
    now = snapshot(log)
    return verify(lines(in_order(with_rotated(log), now), now), keys, expected=[now.state.hash] if now.state else [])


def records(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


def actions(log):
    return [record["action"] for record in records(log)]


def started(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def killed(log, part):
    """The exit status of a process that was killed after it had written that part of a line."""
    return subprocess.run([sys.executable, "-c", DIE_IN_THE_MIDDLE, log, SECRET, str(part)], cwd=ROOT, check=False, timeout=30).returncode


# --- the chain ---


def test_each_line_names_the_hash_of_the_one_before(write, log):
    write(3)
    first, second, third = records(log)
    assert [first["sequence"], second["sequence"], third["sequence"]] == [1, 2, 3]
    assert [first["previous"], second["previous"], third["previous"]] == [START.hash, first["hash"], second["hash"]]


def test_four_processes_write_one_unbroken_chain(log):
    writing = [started(APPEND, log, SECRET, number, EACH) for number in range(PROCESSES)]
    assert [each.stdout.readline() for each in writing] == [b"ready\n"] * PROCESSES
    for each in writing:
        each.stdin.write(b"go\n")
        each.stdin.flush()
    assert [each.communicate(timeout=60) and each.returncode for each in writing] == [0] * PROCESSES
    report = looked_at(log)
    assert report.broken is None
    assert report.records == PROCESSES * EACH
    assert {(record["number"], record["each"]) for record in records(log)} == {(a, b) for a in range(PROCESSES) for b in range(EACH)}


def test_threads_write_one_unbroken_chain(log, write):
    threads = [threading.Thread(target=write, args=(50,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert looked_at(log).records == 400


def test_a_forked_child_does_not_share_the_lock_of_its_parent(log, write):
    children, (begin, hold) = [], os.pipe()
    for _ in range(3):
        if (child := os.fork()) == 0:
            os.close(hold)
            os.read(begin, 1)  # until the parent lets go
            write(400)
            os._exit(0)
        children.append(child)
    os.close(hold)
    write(400)
    os.close(begin)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    report = looked_at(log)
    assert (report.broken, report.records) == (None, 1600)


def test_a_restart_goes_on_with_the_chain(write, log):
    write(2)
    write.again()(2)
    assert [record["sequence"] for record in records(log)] == [1, 2, 3, 4]
    assert looked_at(log).broken is None


def test_a_changed_secret_goes_on_with_the_chain_and_verifies_while_the_former_one_is_named(write, log):
    write(2)
    both = Keys("a-new-secret-of-thirty-two-letters", [SECRET])
    write.again(both)(2)
    report = looked_at(log, both)
    assert (report.broken, report.records, len(report.keys)) == (None, 4, 2)
    assert looked_at(log, Keys("a-new-secret-of-thirty-two-letters")).broken.kind == "unknown key"


def test_both_files_are_their_owners_alone_and_hold_no_secret(write, log):
    write()
    for path in (log, state_path(log)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert SECRET not in path.read_text()


def test_a_value_that_looks_like_the_end_of_a_line_changes_nothing(write, log):
    write(2, details={"x": '","sequence":7,"previous":"' + "0" * 64, "hash": "1" * 64, "y": 2**80, "z": "\ud800\n\u2028"})
    assert (looked_at(log).broken, looked_at(log).records) == (None, 2)


# --- killed in the middle ---


@pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
def test_a_line_that_a_killed_process_left_half_is_told_and_the_chain_goes_on(write, log, part):
    write(2)
    assert killed(log, part) == -9
    torn = looked_at(log).broken
    assert (torn.kind, torn.line) == ("torn line", 3)
    write()
    report = looked_at(log)
    assert (report.broken, report.records) == (None, 4)
    assert [notice["action"] for notice in report.notices] == ["line_torn"]


def test_a_whole_line_of_a_killed_process_stays_in_the_chain(write, log):
    write(2)
    assert killed(log, 1) == -9
    write()
    report = looked_at(log)
    assert (report.broken, report.records, report.notices) == (None, 4, [])


def test_a_torn_line_cannot_be_changed_afterwards(write, log):
    write(2)
    with log.open("ab") as file:
        file.write(b'{"half')
    write()
    assert looked_at(log).broken is None
    log.write_bytes(log.read_bytes().replace(b'{"half', b'{"fake'))
    assert looked_at(log).broken.line == 3


# --- logrotate, copies, lost files ---


@pytest.mark.parametrize("recreated", [True, False])
def test_a_rotated_file_is_continued_by_a_record_that_names_its_last_hash(write, log, recreated):
    write(2)
    log.rename(log.with_name("audit.log.1"))
    if recreated:
        log.touch(0o600)
    write.again()(1)
    write(1)
    before, [first, *_] = records(log.with_name("audit.log.1")), records(log)
    assert first["action"] == "chain_continued"
    assert first["previous"] == first["details"]["former_last_hash"] == before[-1]["hash"]
    report = looked_at(log)
    assert (report.broken, report.records) == (None, 5)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_copytruncate_is_told_with_what_to_do_instead_and_verifies_only_with_the_copy(write, log):
    write(3)
    log.with_name("audit.log.1").write_bytes(log.read_bytes())
    os.truncate(log, 0)
    write()
    notice, _ = records(log)
    assert notice["action"] == "file_truncated"
    assert "renames" in notice["details"]["next_step"]
    assert looked_at(log).broken is None
    log.with_name("audit.log.1").unlink()
    assert looked_at(log).broken.kind == "removed"


def test_lines_that_are_cut_off_before_the_next_record_are_missed(write, log):
    write(5)
    kept = log.read_bytes().splitlines(keepends=True)[:3]
    os.truncate(log, len(b"".join(kept)))
    assert looked_at(log).broken.kind == "truncated"
    write()
    assert actions(log)[-2:] == ["file_truncated", "tried"]
    broken = looked_at(log).broken
    assert (broken.kind, broken.line) == ("removed", 4)


def test_a_foreign_line_is_told_and_stays_the_first_broken_place(write, log):
    write(2)
    with log.open("ab") as file:
        file.write(b'{"event":"audit","action":"made up"}\n')
    write()
    assert actions(log)[-2:] == ["lines_foreign", "tried"]
    broken = looked_at(log).broken
    assert (broken.kind, broken.line) == ("inserted", 3)


@pytest.mark.parametrize("open_meanwhile", [True, False])
def test_without_its_state_the_chain_goes_on_from_the_last_line_and_says_so(write, log, open_meanwhile):
    write(2)
    state_path(log).unlink()
    (write if open_meanwhile else write.again())(1)
    assert actions(log) == ["tried", "tried", "state_lost", "tried"]
    assert looked_at(log).broken is None


def test_lines_from_before_the_chain_are_counted_and_left(log):
    log.write_text('{"event":"audit","action":"old"}\n' * 3)
    Writer(log)(2)
    report = looked_at(log)
    assert (report.broken, report.records, report.unchained) == (None, 3, 3)
    assert report.notices[0]["action"] == "chain_started"


def test_a_line_put_among_those_from_before_the_chain_is_found(log):
    log.write_text('{"event":"audit","action":"old"}\n' * 3)
    Writer(log)(2)
    log.write_bytes(b'{"event":"audit","action":"older"}\n' + log.read_bytes())
    assert looked_at(log).broken.kind == "inserted"


# --- the lock ---


def test_a_lock_that_is_never_free_costs_a_bounded_time_and_no_record(write, log, monkeypatch, capfd):
    write()
    monkeypatch.setattr(writers, "PATIENCE", 0.05)
    with state_path(log).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        write(1, said="meanwhile")
    assert '"said":"meanwhile"' in capfd.readouterr().out
    write()
    assert actions(log) == ["tried", "records_elsewhere", "tried"]
    assert records(log)[1]["details"]["records"] == 1
    assert looked_at(log).broken is None


def test_other_requests_go_on_while_another_process_holds_the_lock(log):
    ran = subprocess.run([sys.executable, "-c", f"""
from gevent import monkey; monkey.patch_all()
import fcntl, gevent, time
from pathlib import Path
from mcp_server.audit_log.chain import Keys
from mcp_server.audit_log.writer import ChainedFile
append = ChainedFile(Path({str(log)!r}), Keys({SECRET!r}), time.time)
held = open({str(state_path(log))!r}, "rb")
fcntl.flock(held, fcntl.LOCK_EX)
ticks = []
def tick():
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.005)
def free():
    gevent.sleep(0.3)
    ticks.append(None)
    fcntl.flock(held, fcntl.LOCK_UN)
gevent.spawn(tick); gevent.spawn(free)
writing = [gevent.spawn(append, {{"event": "audit", "timestamp": "t", "action": "tried"}}) for _ in range(20)]
gevent.joinall(writing, timeout=5)
print(ticks.index(None), sum(each.successful() for each in writing))
"""], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    ticks, finished = map(int, ran.stdout.split())
    assert ticks > 15  # of 60: the hub was not stopped
    assert finished == 20
    assert looked_at(log).records == 20


def test_a_record_that_cannot_be_written_goes_to_stdout(tmp_path, capfd):
    folder = tmp_path / "logs"
    folder.mkdir()
    write = Writer(folder / "audit.log")
    for each in (folder / "audit.log", state_path(folder / "audit.log")):
        each.unlink()
    folder.rmdir()
    write()
    assert '"action":"tried"' in capfd.readouterr().out


def test_a_record_costs_less_than_a_millisecond(write):
    write(50)
    began = time.perf_counter()
    write(500)
    assert (time.perf_counter() - began) / 500 < 0.001
