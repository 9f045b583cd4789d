"""Whether a prompt fits, told before it is sent: not every model server refuses what does not, and some cut it without a word."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from mcp_server.errors import ContextTooLong
from mcp_server.llm.ports import Prompt

TOKENS_AROUND_A_MESSAGE = 12  # what chat templates put around it, at most
BYTES_OF_A_LONG_TOKEN = 8  # no text of words has so many on average: what is too long even so is not sent
LEAST_ANSWER = 64


def fitting(prompt: Prompt, context: int | None, count: Callable[[], int | None]) -> Prompt:
    """The prompt, its longest answer bounded to what is left of `context` tokens. Raises ContextTooLong.

    `count` is asked only where the prompt may be too long; where it tells nothing (None), what is surely too long is refused, and the
    server judges the rest.
    """
    if context is None:
        return prompt
    written = sum(len(message.content.encode()) for message in prompt.messages)
    if written + TOKENS_AROUND_A_MESSAGE * len(prompt.messages) + prompt.max_tokens <= context:  # a token has one byte at least
        return prompt
    tokens = count()
    if tokens is None:
        estimated = written // BYTES_OF_A_LONG_TOKEN
        if estimated > context:
            raise too_long(f"about {estimated}", context)
        return dataclasses.replace(prompt, max_tokens=min(prompt.max_tokens, context))
    room = context - tokens
    if room < min(prompt.max_tokens, LEAST_ANSWER):
        raise too_long(str(tokens), context)
    return dataclasses.replace(prompt, max_tokens=min(prompt.max_tokens, room))


def too_long(tokens: str, context: int) -> ContextTooLong:
    return ContextTooLong(f"The text is too long for the model: it has {tokens} tokens, and {context} fit. Shorten it and try again.")
