import math

import pytest

from mcp_server.llm.labels import by_letter, shares
from mcp_server.llm.ports import Message, Prompt

LABELS = ("network", "hardware")


def told(**probabilities):
    return [{"token": "x", "logprob": -1.0, "top_logprobs": [{"token": token, "logprob": math.log(share)} for token, share in probabilities.items()]}]


def test_the_answers_are_added_to_the_last_message_as_letters():
    prompt = by_letter(Prompt([Message("system", "s"), Message("user", "VPN drops")], schema={}, max_tokens=99), ["net\nwork", "hardware"])
    assert [message.role for message in prompt.messages] == ["system", "user"]
    assert prompt.messages[-1].content.endswith("A: net work\nB: hardware")
    assert (prompt.max_tokens, prompt.temperature, prompt.schema) == (1, 0.0, None)


@pytest.mark.parametrize(("probabilities", "network", "hardware"), [
    ({"A": 0.5, "B": 0.25, "The": 0.2}, 0.5, 0.25),
    ({"A": 0.5, " A": 0.125, "▁A": 0.125, '"A': 0.0625}, 0.8125, 0),
    ({"a": 0.5, "An": 0.2, "C": 0.1, "": 0.1}, 0, 0),
    ({"B": 1.0, "ĠB": 1.0}, 0, 1.0),
])
def test_a_letter_is_counted_however_it_is_written_and_nothing_else_is(probabilities, network, hardware):
    found = shares(told(**probabilities), LABELS)
    assert found == pytest.approx({"network": network, "hardware": hardware})


@pytest.mark.parametrize("nothing", [None, [], {}, [None], [{"token": "A", "logprob": -0.1}], [{"top_logprobs": []}], [{"top_logprobs": None}]])
def test_a_server_that_tells_no_probabilities_is_taken_at_its_word(nothing):
    assert shares(nothing, LABELS) is None


@pytest.mark.parametrize("odd", [
    {"token": 1, "logprob": 0}, {"token": "A"}, {"token": "A", "logprob": "high"}, {"token": "A", "logprob": math.nan}, None,
])
def test_what_is_no_probability_counts_as_none(odd):
    assert shares([{"top_logprobs": [odd]}], LABELS) == {"network": 0, "hardware": 0}
