"""An answer of 100 seconds, behind a proxy that ends what is idle for 20: in real seconds, because it is about nothing else."""

from __future__ import annotations

import contextlib
import time

import pytest

from tests.engine import TINY
from tests.idle_proxy import idle_proxy
from tests.llm.ollama_wire import OllamaWire
from tests.mcp_wire import Stream, call, headers_of

IDLE = 20
LONG = 100


@pytest.fixture
def model(tiny_engine):
    """It writes a token each 21 seconds: more than the proxy waits."""
    with OllamaWire(tiny_engine, TINY) as wire:
        wire.fault, wire.pause = "slow", IDLE + 1
        yield wire


def test_who_asks_for_progress_gets_a_long_answer_whole_and_who_does_not_is_cut_off(gateway, model):
    gateway.configured(OLLAMA_API_URL=model.url, LLM_BACKEND="ollama", LLM_TIMEOUT=25, LLM_CONCURRENCY=3)  # one for the self-test
    gateway.started()
    asking, silent = call(token="t", stateless=True, prompt="A story.", max_tokens=3), call(stateless=True, prompt="A story.", max_tokens=3)
    with idle_proxy(gateway.port, IDLE) as port:
        began = time.monotonic()
        with (
            contextlib.closing(Stream(gateway, asking, port=port, **headers_of(asking))) as stream,
            contextlib.closing(Stream(gateway, silent, port=port, **headers_of(silent) | {"Accept": "application/json"})) as other,
        ):
            assert other.file.readline() == b""
            told = [message for _, message in stream.read_head().events()]
    assert time.monotonic() - began > LONG
    comments, progress, answer = told.count(None), [message for message in told if message and "method" in message], told[-1]
    assert comments >= LONG // IDLE
    assert [message["params"]["progress"] for message in progress] == sorted({message["params"]["progress"] for message in progress}) != []
    assert answer["result"]["content"][0]["text"]
    assert "isError" not in answer["result"]
