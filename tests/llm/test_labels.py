import math

import pytest

from mcp_server.llm.labels import ask_for
from mcp_server.llm.ports import MOST_LABELS, Message, Prompt

LABELS = ("network", "hardware")
ASKED = Prompt([Message("system", "s"), Message("user", "VPN drops")], schema={}, max_tokens=99)
SHOWN = Prompt(
    [Message("system", "s"), Message("user", "Broken screen"), Message("assistant", "hardware"), Message("user", "VPN drops")],
    schema={}, max_tokens=99)


def told(**probabilities):
    top = [{"token": token, "logprob": math.log(share)} for token, share in probabilities.items()]
    return [{"token": "x", "logprob": -1.0, "top_logprobs": top}]


def test_the_answers_are_added_to_the_last_message_as_letters():
    prompt = ask_for(ASKED, ["net\nwork", "hardware"]).prompt
    assert [message.role for message in prompt.messages] == ["system", "user"]
    assert prompt.messages[-1].content.endswith("A: net work\nB: hardware")
    assert (prompt.max_tokens, prompt.temperature, prompt.schema) == (1, 0.0, None)


def test_a_conversation_that_shows_answers_is_gone_on_with():
    prompt = ask_for(SHOWN, LABELS).prompt
    assert prompt.messages == SHOWN.messages
    assert (prompt.max_tokens, prompt.temperature, prompt.schema) == (1, 0.0, None)


@pytest.mark.parametrize("labels", [("cat_01", "cat_02"), ("network", "Networks"), ("a", "A")])
def test_names_that_begin_alike_become_letters_and_what_was_answered_with_names_is_not_shown(labels):
    prompt = ask_for(SHOWN, labels).prompt
    assert [message.role for message in prompt.messages] == ["system", "user"]
    assert f"B: {labels[1]}" in prompt.messages[-1].content


@pytest.mark.parametrize("labels", [(), tuple(str(number) for number in range(MOST_LABELS + 1))])
def test_of_more_labels_than_a_server_tells_nothing_is_asked(labels):
    assert ask_for(ASKED, labels) is None


@pytest.mark.parametrize(("probabilities", "network", "hardware"), [
    ({"A": 0.5, "B": 0.25, "The": 0.2}, 0.5, 0.25),
    ({"A": 0.5, " A": 0.125, "▁A": 0.125, '"A': 0.0625}, 0.8125, 0),
    ({"a": 0.5, "An": 0.2, "C": 0.1, "": 0.1}, 0, 0),
    ({"B": 1.0, "ĠB": 1.0}, 0, 1.0),
])
def test_a_letter_is_counted_however_it_is_written_and_nothing_else_is(probabilities, network, hardware):
    found = ask_for(ASKED, LABELS).shares(told(**probabilities))
    assert found == pytest.approx({"network": network, "hardware": hardware})


@pytest.mark.parametrize(("probabilities", "network", "hardware"), [
    ({"network": 0.5, "hard": 0.25, "The": 0.2}, 0.5, 0.25),
    ({"net": 0.25, " Net": 0.25, "ĠNETWORK": 0.125, '"n': 0.0625}, 0.6875, 0),
    ({"networks": 0.5, "A": 0.2, "": 0.1, "software": 0.1}, 0, 0),
])
def test_a_name_is_counted_by_the_token_that_it_begins_with(probabilities, network, hardware):
    found = ask_for(SHOWN, LABELS).shares(told(**probabilities))
    assert found == pytest.approx({"network": network, "hardware": hardware})


def test_a_token_with_which_two_names_begin_is_divided():
    found = ask_for(SHOWN, ("server", "security", "access")).shares(told(se=0.5, s=0.25, a=0.1))
    assert found == pytest.approx({"server": 0.375, "security": 0.375, "access": 0.1})


@pytest.mark.parametrize("nothing", [None, [], {}, [None], [{"token": "A", "logprob": -0.1}], [{"top_logprobs": []}], [{"top_logprobs": None}]])
@pytest.mark.parametrize("prompt", [ASKED, SHOWN])
def test_a_server_that_tells_no_probabilities_is_taken_at_its_word(prompt, nothing):
    assert ask_for(prompt, LABELS).shares(nothing) is None


@pytest.mark.parametrize("odd", [
    {"token": 1, "logprob": 0}, {"token": "A"}, {"token": "A", "logprob": "high"}, {"token": "A", "logprob": math.nan}, None,
])
def test_what_is_no_probability_counts_as_none(odd):
    assert ask_for(ASKED, LABELS).shares([{"top_logprobs": [odd]}]) == {"network": 0, "hardware": 0}
