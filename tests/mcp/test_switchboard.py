"""What one worker is told and another waits for."""

from __future__ import annotations

import pytest

from mcp_server.errors import StoreUnavailable


def test_what_one_listener_meets_is_nothing_to_the_others(switchboard):
    heard = []

    def meets_an_outage(_):
        raise StoreUnavailable

    with switchboard.listening("t", meets_an_outage), switchboard.listening("t", heard.append):
        switchboard.publish("t", 1)
        switchboard.publish("t", 2)
        switchboard.follow()
    assert heard == [1, 2]


@pytest.mark.parametrize("message", [2**70, -(10**300), "\u2028", "a\x00b", {"n": [2**64, 0.1, None]}, "😀"])
def test_a_message_arrives_as_it_was_sent(switchboard, message):
    heard = []
    with switchboard.listening("t", heard.append):
        switchboard.publish("t", message)
        switchboard.follow()
    assert heard == [message]
