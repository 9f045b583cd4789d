"""What the store promises of tasks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mcp_server.mcp.ports import Task

OWNER, OTHER = "a" * 32, "b" * 32
LIFETIME = 4200.0


@pytest.fixture
def tasks(state):
    return state.tasks


@pytest.fixture
def add(tasks, now):
    """add(id, …) → a task that waits, or that runs under `lease`."""

    def add(task_id="task", *, lease="", until=0.0, most=100, **changes):
        task = replace(Task(task_id, OWNER, "tool", b'{"a":1}', now, now + LIFETIME, now), **changes)
        assert tasks.create(task, most=most, lease=lease, until=until)
        return task

    return add


def test_a_task_is_found_as_it_was_put_in(tasks, add, now):
    task = add(work='{"text":"é\u2028\0"}'.encode(), message="Waits", tries=1)
    assert tasks.find("task", OWNER, now) == task


def test_a_task_is_found_by_its_owner_alone_and_until_it_expires(tasks, add, now):
    add()
    assert tasks.find("task", OTHER, now) is None
    assert tasks.find("other", OWNER, now) is None
    assert tasks.find("task", OWNER, now + LIFETIME - 0.001) is not None
    assert tasks.find("task", OWNER, now + LIFETIME) is None


def test_an_owner_has_so_many_unfinished_tasks_and_no_more(tasks, add, now):
    for number in range(3):
        add(f"task{number}", lease=f"lease{number}", until=now + 15, most=3)
    fourth = Task("fourth", OWNER, "tool", b"{}", now, now + LIFETIME, now)
    assert tasks.create(fourth, most=3) is False
    assert tasks.find("fourth", OWNER, now) is None
    assert tasks.create(replace(fourth, task_id="another's", owner=OTHER), most=3) is True
    assert tasks.finish("task0", "lease0", "completed", b"{}", message="", now=now)
    assert tasks.create(fourth, most=3) is True
    assert tasks.create(replace(fourth, task_id="fifth"), most=3) is False
    assert tasks.cancel("task1", OWNER, now)
    assert tasks.create(replace(fourth, task_id="fifth"), most=3) is True
    later = now + LIFETIME
    assert tasks.create(replace(fourth, task_id="sixth", created_at=later, expires_at=later + 60), most=3) is True  # the others have expired


# --- leases ---


def test_what_waits_longest_is_claimed_first(tasks, add, now):
    add("second", created_at=now - 1)
    add("first", created_at=now - 2)
    assert [tasks.claim(f"lease{number}", now + 15, now).task_id for number in range(2)] == ["first", "second"]
    assert tasks.claim("lease", now + 15, now) is None


def test_a_claim_gives_all_that_is_known_of_a_task_and_counts_it(tasks, add, now):
    task = add()
    assert tasks.claim("lease", now + 15, now) == replace(task, tries=1)


def test_nothing_is_claimed_before_its_lease_has_run_out(tasks, add, now):
    add(lease="mine", until=now + 15, tries=1)
    assert tasks.claim("lease", now + 30, now + 14.999) is None
    assert tasks.claim("lease", now + 30, now + 15).tries == 2
    assert tasks.claim("another", now + 30, now + 15) is None


def test_a_lease_that_is_held_does_not_run_out(tasks, add, now):
    add(lease="mine", until=now + 15)
    assert tasks.hold("task", "mine", now + 25, now + 10) is True
    assert tasks.claim("lease", now + 40, now + 20) is None
    assert tasks.find("task", OWNER, now).updated_at == now


def test_who_holds_a_lease_says_how_far_the_work_is(tasks, add, now):
    add(lease="mine", until=now + 15)
    assert tasks.hold("task", "mine", now + 25, now + 10, "12 tokens written") is True
    found = tasks.find("task", OWNER, now + 10)
    assert (found.message, found.updated_at) == ("12 tokens written", now + 10)


def test_a_task_that_was_given_back_waits_and_was_not_tried(tasks, add, now):
    add(lease="mine", until=now + 15, tries=1)
    assert tasks.release("task", "mine", now) is True
    assert tasks.claim("lease", now + 15, now).tries == 1


def test_what_has_expired_is_not_claimed(tasks, add, now):
    add("expired", created_at=now - 10, expires_at=now)
    add("good")
    assert tasks.claim("lease", now + 15, now).task_id == "good"
    assert tasks.claim("another", now + 15, now) is None


CHANGES = {
    "hold": lambda tasks, lease, now: tasks.hold("task", lease, now + 60, now, "stolen"),
    "release": lambda tasks, lease, now: tasks.release("task", lease, now),
    "ask": lambda tasks, lease, now: tasks.ask("task", lease, {"key": b"{}"}, now),
    "finish": lambda tasks, lease, now: tasks.finish("task", lease, "completed", b'"stolen"', message="stolen", now=now),
}


@pytest.fixture(params=CHANGES)
def change(request, tasks):
    """change(lease, now): one of the things that only who has the lease may do."""
    return lambda lease, now: CHANGES[request.param](tasks, lease, now)


def test_who_lost_the_lease_changes_nothing(tasks, add, change, now):
    add(lease="mine", until=now + 15)
    taken_over = tasks.claim("theirs", now + 30, now + 15)
    assert change("mine", now + 16) is False
    assert tasks.find("task", OWNER, now + 16) == taken_over
    assert tasks.claim("third", now + 60, now + 29) is None
    assert change("theirs", now + 17) is True


def test_after_a_cancellation_nobody_has_the_lease(tasks, add, change, now):
    add(lease="mine", until=now + 15)
    assert tasks.cancel("task", OWNER, now + 1) is True
    cancelled = tasks.find("task", OWNER, now + 1)
    assert (cancelled.status, cancelled.work, cancelled.outcome, cancelled.updated_at) == ("cancelled", b"", b"", now + 1)
    assert change("mine", now + 2) is False
    assert tasks.find("task", OWNER, now + 2) == cancelled
    assert tasks.claim("lease", now + 60, now + 30) is None


def test_after_it_has_expired_nobody_has_the_lease(add, change, now):
    add(lease="mine", until=now + 15)
    assert change("mine", now + LIFETIME) is False


def test_a_task_that_never_was_is_nobodys(change, now):
    assert change("mine", now) is False


# --- the end ---


def test_a_task_ends_once_and_forgets_what_it_worked_on(tasks, add, now):
    add(lease="mine", until=now + 15)
    assert tasks.finish("task", "mine", "failed", b'{"code":-32603}', message="It broke.", now=now + 5) is True
    ended = tasks.find("task", OWNER, now + 5)
    assert (ended.status, ended.outcome, ended.message, ended.updated_at, ended.work) == ("failed", b'{"code":-32603}', "It broke.", now + 5, b"")
    assert tasks.finish("task", "mine", "completed", b"{}", message="", now=now + 6) is False
    assert tasks.cancel("task", OWNER, now + 6) is False
    assert tasks.find("task", OWNER, now + LIFETIME - 1) == ended
    assert tasks.claim("lease", now + 60, now + 30) is None


def test_a_task_is_cancelled_by_its_owner_alone_and_once(tasks, add, now):
    add()
    assert tasks.cancel("task", OTHER, now) is False
    assert tasks.find("task", OWNER, now).status == "working"
    assert tasks.cancel("task", OWNER, now) is True
    assert tasks.cancel("task", OWNER, now) is False


# --- questions ---


@pytest.fixture
def asked(tasks, add, now):
    """A task that asks two things."""
    add(lease="mine", until=now + 15, tries=3)
    assert tasks.ask("task", "mine", {"first": b'{"n":1}', "second": b'{"n":2}'}, now)
    return tasks.find("task", OWNER, now)


def test_a_task_that_asks_waits_for_its_owner_and_for_no_worker(tasks, asked, now):
    assert list(asked.questions) == ["first", "second"]
    assert (asked.status, asked.questions, asked.answers) == ("input_required", {"first": b'{"n":1}', "second": b'{"n":2}'}, {})
    assert tasks.claim("lease", now + 60, now + 30) is None
    assert tasks.hold("task", "mine", now + 60, now) is False


def test_an_answer_closes_its_question_and_the_last_one_lets_the_task_run(tasks, asked, now):
    assert tasks.answer("task", OWNER, {"second": b'"2"'}, now + 1) is True
    partly = tasks.find("task", OWNER, now + 1)
    assert (partly.status, partly.questions, partly.answers) == ("input_required", {"first": b'{"n":1}'}, {"second": b'"2"'})
    assert tasks.claim("lease", now + 60, now + 1) is None
    assert tasks.answer("task", OWNER, {"first": b'"1"'}, now + 2) is True
    claimed = tasks.claim("lease", now + 60, now + 2)
    assert (claimed.status, claimed.questions, claimed.answers, claimed.tries) == ("working", {}, {"first": b'"1"', "second": b'"2"'}, 1)


def test_answers_to_what_is_not_open_are_ignored(tasks, asked, now):
    assert tasks.answer("task", OWNER, {"first": b'"1"'}, now) is True
    assert tasks.answer("task", OWNER, {"first": b'"again"', "stray": b"0"}, now) is False
    assert tasks.answer("task", OTHER, {"second": b'"theirs"'}, now) is False
    assert tasks.answer("task", OWNER, {}, now) is False
    found = tasks.find("task", OWNER, now)
    assert (found.questions, found.answers) == ({"second": b'{"n":2}'}, {"first": b'"1"'})


def test_a_key_never_stands_for_another_question(tasks, asked, now):
    tasks.answer("task", OWNER, {"first": b'"1"', "second": b'"2"'}, now)
    tasks.claim("lease", now + 60, now)
    assert tasks.ask("task", "lease", {"first": b'{"n":"again"}', "third": b'{"n":3}'}, now) is True
    found = tasks.find("task", OWNER, now)
    assert (found.questions, found.answers) == ({"third": b'{"n":3}'}, {"first": b'"1"', "second": b'"2"'})


def test_a_cancelled_task_asks_nothing_any_more(tasks, asked, now):
    assert tasks.cancel("task", OWNER, now) is True
    assert tasks.find("task", OWNER, now).questions == {}
    assert tasks.answer("task", OWNER, {"first": b'"1"'}, now) is False


def test_what_has_expired_is_swept(state, tasks, asked, add, now):
    add("lives")
    tasks.ask("lives", "none", {"key": b"{}"}, now)
    state.sweep(now + LIFETIME - 1)
    assert tasks.find("task", OWNER, now).questions
    state.sweep(now + LIFETIME)
    assert tasks.find("task", OWNER, now + LIFETIME) is None


# --- races ---


def test_exactly_one_of_those_who_claim_at_once_gets_the_task(tasks, race, now):
    def claim(number, caller):
        task = tasks.claim(f"lease{caller}", now + 1000, now + number)
        return task and task.task_id

    for number in range(25):
        tasks.create(Task(f"task{number}", OWNER, "tool", b"{}", now + number, now + LIFETIME, now), most=100)
    for number, answers in enumerate(race(claim)):
        assert sorted(answers, key=str) == [None] * (len(answers) - 1) + [f"task{number}"]


def test_exactly_one_of_those_who_end_a_task_at_once_does(tasks, race, now):
    def end(number, caller):
        if caller % 2:
            return tasks.cancel(f"task{number}", OWNER, now)
        return tasks.finish(f"task{number}", "mine", "completed", f'"{caller}"'.encode(), message="", now=now)

    for number in range(25):
        tasks.create(Task(f"task{number}", OWNER, "tool", b"{}", now, now + LIFETIME, now), most=100, lease="mine", until=now + 15)
    for number, answers in enumerate(race(end)):
        assert sorted(answers) == [False] * (len(answers) - 1) + [True]
        won = answers.index(True)
        found = tasks.find(f"task{number}", OWNER, now)
        assert (found.status, found.outcome) == (("cancelled", b"") if won % 2 else ("completed", f'"{won}"'.encode()))


def test_answers_that_come_at_once_are_all_taken_and_one_of_them_is_the_last(tasks, race, now):
    def answer(number, caller):
        return tasks.answer(f"task{number}", OWNER, {str(caller): b"1"}, now)

    for number in range(25):
        tasks.create(Task(f"task{number}", OWNER, "tool", b"{}", now, now + LIFETIME, now), most=100, lease="mine", until=now + 15)
        tasks.ask(f"task{number}", "mine", {str(key): b"{}" for key in range(4)}, now)
    for number, answers in enumerate(race(answer)):
        assert answers[:4] == [True] * 4
        assert tasks.find(f"task{number}", OWNER, now).status == "working"


def test_no_more_than_the_bound_are_made_at_once(tasks, race, now):
    def create(number, caller):
        return tasks.create(Task(f"task{number}-{caller}", f"owner{number}", "tool", b"{}", now, now + LIFETIME, now), most=2)

    for answers in race(create):
        assert sorted(answers) == [False] * (len(answers) - 2) + [True, True]
