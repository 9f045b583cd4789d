"""Many are asked, a few at a time."""

import pytest

from mcp_server.concurrency import let_others_run
from mcp_server.evaluation.running import each


def test_answers_come_in_the_order_of_the_questions_whichever_is_ready_first():
    ended, most, running = [], 0, 0

    def asking(number):
        nonlocal most, running
        running += 1
        most = max(most, running)
        for _ in range(20 - 5 * number):
            let_others_run()
        running -= 1
        ended.append(number)
        return number * 10

    assert each(range(4), lambda: asking, at_once=3) == [0, 10, 20, 30]
    assert ended != sorted(ended)
    assert most == 3


def test_each_answer_is_told():
    told = []
    each("abc", lambda: str.upper, tell=lambda: told.append(1))
    assert len(told) == 3


def test_what_one_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        each([1, 0], lambda: lambda number: 1 / number, at_once=2)


def test_of_nothing_nothing_is_asked():
    assert each([], lambda: None) == []
