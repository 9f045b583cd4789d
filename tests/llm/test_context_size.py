"""Whether a prompt fits, told before it is sent."""

import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import ContextTooLong
from mcp_server.llm.context_size import LEAST_ANSWER, fitting
from mcp_server.llm.llama_cpp import LlamaCpp
from mcp_server.llm.ports import Message, Prompt
from tests.engine import TINY

CONTEXT = 1000


def prompt(text, max_tokens=500):
    return Prompt([Message("user", text)], max_tokens=max_tokens)


def never():
    pytest.fail("it need not be counted")


def test_what_surely_fits_is_not_counted():
    asked = prompt("x" * 400)
    assert fitting(asked, CONTEXT, never) is asked
    assert fitting(prompt("x" * 100_000), None, never).max_tokens == 500


@pytest.mark.parametrize(("tokens", "max_tokens", "left"), [(600, 500, 400), (400, 500, 500), (936, 500, 64), (990, 10, 10)])
def test_an_answer_may_be_as_long_as_what_is_left(tokens, max_tokens, left):
    assert fitting(prompt("x" * 5000, max_tokens), CONTEXT, lambda: tokens).max_tokens == left


@pytest.mark.parametrize(("tokens", "max_tokens"), [(1000 - LEAST_ANSWER + 1, 500), (991, 10), (1001, 1), (50_000, 500)])
def test_what_leaves_no_room_for_an_answer_is_refused_with_the_numbers(tokens, max_tokens):
    with pytest.raises(ContextTooLong, match=rf"it has {tokens} tokens, and 1000 fit\. Shorten it"):
        fitting(prompt("x" * 5000, max_tokens), CONTEXT, lambda: tokens)


def test_where_nobody_can_count_only_what_is_surely_too_long_is_refused():
    assert fitting(prompt("x" * 8000), CONTEXT, lambda: None).max_tokens == 500
    with pytest.raises(ContextTooLong, match="it has about 1001 tokens, and 1000 fit"):
        fitting(prompt("x" * 8008), CONTEXT, lambda: None)


def test_llama_cpp_counts_as_its_engine_does(tiny_engine):
    model = LlamaCpp(tiny_engine.url, api_key=tiny_engine.api_key)
    for text in ("What is a router?", "日本語 🙂 <|im_end|> line\nline", "printer " * 100):
        counted = model.tokens_in(prompt(text), TINY, Deadline.after(20))
        assert counted == model.answer(prompt(text, 1), Deadline.after(20)).prompt_tokens
