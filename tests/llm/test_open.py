import secrets

import pytest

from config.settings import Settings
from mcp_server.deadline import Deadline
from mcp_server.llm.open import open_model
from mcp_server.llm.ports import Message, Prompt

SECRETS = {name: secrets.token_urlsafe(32) for name in ("JWT_SECRET", "DCR_AUTH_TOKEN")}
PROMPT = Prompt([Message("user", "Hello")], max_tokens=4)


def settings(**environ):
    return Settings.from_environ({**SECRETS, **environ})


@pytest.mark.parametrize(("environ", "slots"), [({}, 2), ({"LLM_CONCURRENCY": "8", "WEB_CONCURRENCY": "3"}, 2), ({"WEB_CONCURRENCY": "9"}, 1)])
def test_each_worker_gets_its_share_of_the_slots(environ, slots):
    status = open_model(settings(LLM_BACKEND="embedded", **environ)).status(Deadline.after(1))
    assert status.facts["slots"] == slots


def test_each_back_end_is_opened_by_its_name(ollama, tiny_engine_folder):
    named = {
        "ollama": settings(LLM_BACKEND="ollama", OLLAMA_API_URL=ollama.url),
        "embedded": settings(LLM_BACKEND="embedded", OLLAMA_API_URL=ollama.url, DEFAULT_LLM_MODEL="llama3.1:8b"),
    }
    for back_end, chosen in named.items():
        assert open_model(chosen, tiny_engine_folder).answer(PROMPT, Deadline.after(20)).back_end == back_end
    llama_cpp = open_model(settings(LLM_BACKEND="llama-cpp", LLAMA_CPP_URL="http://127.0.0.1:9")).status(Deadline.after(5))
    assert llama_cpp.back_end == "llama-cpp"
    assert "LLAMA_CPP_URL" in llama_cpp.problem


def test_automatic_never_falls_back_to_the_evaluation_model_in_production(tiny_engine_folder):
    production = settings(ENVIRONMENT="production", OAUTH_ISSUER="https://mcp.example.com", OLLAMA_API_URL="http://127.0.0.1:9")
    assert "OLLAMA_API_URL" in open_model(production, tiny_engine_folder).status(Deadline.after(5)).problem
    development = settings(OLLAMA_API_URL="http://127.0.0.1:9")
    assert open_model(development, tiny_engine_folder).status(Deadline.after(5)).back_end == "embedded"


def test_the_configured_model_is_the_default(ollama):
    model = open_model(settings(LLM_BACKEND="ollama", OLLAMA_API_URL=ollama.url, DEFAULT_LLM_MODEL="tiny"))
    assert model.status(Deadline.after(5)).model == "tiny:latest"
