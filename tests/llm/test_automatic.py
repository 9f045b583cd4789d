import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import ModelUnavailable
from mcp_server.llm.automatic import Automatic
from mcp_server.llm.embedded import Embedded
from mcp_server.llm.ollama import Ollama
from mcp_server.llm.ports import Message, Prompt
from tests.engine import TINY
from tests.llm.ollama_wire import OllamaWire

PROMPT = Prompt([Message("user", "Hello")], max_tokens=4, temperature=0.0)
NOBODY = "http://127.0.0.1:9"


def ask(model):
    return model.answer(PROMPT, Deadline.after(20)).back_end


@pytest.fixture
def embedded(tiny_engine_folder):
    return Embedded(tiny_engine_folder)


def test_ollama_is_taken_where_it_answers(ollama, embedded):
    assert ask(Automatic(Ollama(ollama.url, context=4096), embedded)) == "ollama"


def test_the_evaluation_model_is_taken_where_no_ollama_answers(embedded):
    model = Automatic(Ollama(NOBODY, context=4096), embedded)
    assert ask(model) == "embedded"
    assert "evaluation model" in model.status(Deadline.after(5)).facts["note"]


def test_production_has_no_evaluation_model_and_names_the_setting():
    model = Automatic(Ollama(NOBODY, context=4096), None)
    with pytest.raises(ModelUnavailable, match="set OLLAMA_API_URL"):
        ask(model)
    assert "set OLLAMA_API_URL" in model.status(Deadline.after(5)).problem


def test_an_ollama_that_goes_is_replaced_within_the_call_and_taken_again_when_it_is_back(tiny_engine, embedded):
    now = [0.0]
    with OllamaWire(tiny_engine, TINY) as wire:
        model = Automatic(Ollama(wire.url, context=4096), embedded, clock=lambda: now[0])
        assert ask(model) == "ollama"
        wire.fault = "html 502"
        assert ask(model) == "embedded"
        wire.fault = ""
        assert ask(model) == "embedded"
        now[0] += 31
        assert ask(model) == "ollama"


def test_an_ollama_that_fails_is_not_replaced_while_it_still_answers(ollama, embedded):
    ollama.fault = "midstream error"
    with pytest.raises(ModelUnavailable, match="The model server failed"):
        ask(Automatic(Ollama(ollama.url, context=4096), embedded))
