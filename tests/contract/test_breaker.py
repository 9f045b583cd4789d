import pytest

from mcp_server.errors import StoreUnavailable
from mcp_server.storage.breaker import Breaker


class Time:
    reading = 100.0

    def __call__(self):
        return self.reading


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def breaker(time):
    """A breaker that has just opened."""
    opened = Breaker(time)
    for _ in range(3):
        opened.check()
        opened.failed()
    return opened


def refuses(breaker):
    try:
        breaker.check()
    except StoreUnavailable:
        return True
    return False


def test_two_failures_in_a_row_do_not_open_it(time):
    breaker = Breaker(time)
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert not refuses(breaker)


def test_three_failures_in_a_row_open_it(breaker):
    assert refuses(breaker)


def test_one_call_a_second_is_let_through(breaker, time):
    time.reading += 0.999
    assert refuses(breaker)
    time.reading += 0.001
    assert [refuses(breaker) for _ in range(3)] == [False, True, True]
    time.reading += 1.0
    assert [refuses(breaker) for _ in range(2)] == [False, True]


def test_a_probe_that_fails_leaves_it_open(breaker, time):
    time.reading += 1.0
    breaker.check()
    breaker.failed()
    assert refuses(breaker)


def test_a_probe_that_succeeds_closes_it(breaker, time):
    time.reading += 1.0
    breaker.check()
    breaker.succeeded()
    assert [refuses(breaker) for _ in range(3)] == [False] * 3
