import secrets

import pytest

from config.settings import Settings
from mcp_server.deadline import Deadline
from mcp_server.errors import ModelUnavailable
from mcp_server.llm.open import open_embedder, open_leases, open_model
from mcp_server.llm.ports import Message, Prompt
from mcp_server.llm.redaction import RedactingEmbedder
from tests.engine import TINY, TINY_VECTORS

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


def test_each_back_end_opens_what_embeds_by_its_name(ollama, tiny_engine, tiny_engine_folder):
    key = {"LLM_API_KEY": tiny_engine.api_key}
    named = {
        "Ollama": settings(LLM_BACKEND="ollama", OLLAMA_API_URL=ollama.url),
        "the automatic choice": settings(OLLAMA_API_URL=ollama.url),
        "the automatic choice without Ollama": settings(OLLAMA_API_URL="http://127.0.0.1:9"),
        "llama.cpp": settings(LLM_BACKEND="llama-cpp", LLAMA_CPP_URL=tiny_engine.embedding_url, **key),
        "any other": settings(LLM_BACKEND="openai", LLM_URL=f"{tiny_engine.embedding_url}/v1", **key),
        "the embedded engine": settings(LLM_BACKEND="embedded"),
        "another server": settings(LLM_BACKEND="ollama", OLLAMA_API_URL="http://127.0.0.1:9", EMBEDDING_URL=tiny_engine.embedding_url, **key),
    }
    for name, chosen in named.items():
        assert open_embedder(chosen, tiny_engine_folder).embed(["x"], Deadline.after(20)).model.name == TINY_VECTORS, name
    production = settings(ENVIRONMENT="production", OAUTH_ISSUER="https://mcp.example.com", OLLAMA_API_URL="http://127.0.0.1:9")
    with pytest.raises(ModelUnavailable, match="set OLLAMA_API_URL"):
        open_embedder(production, tiny_engine_folder).embed(["x"], Deadline.after(20))


@pytest.mark.parametrize(("level", "redacts"), [("off", False), ("secrets", True), ("all", True)])
def test_what_embeds_is_given_redacted_text_where_that_is_wished(level, redacts):
    assert isinstance(open_embedder(settings(REDACT=level)), RedactingEmbedder) == redacts


@pytest.mark.parametrize("back_end", ["llama-cpp", "openai"])
def test_a_second_back_end_answers_by_its_own_key_when_the_first_is_away(tiny_engine, back_end):
    model = open_model(settings(
        LLM_BACKEND="ollama", OLLAMA_API_URL="http://127.0.0.1:9", LLM_API_KEY="of the first", LLM_FALLBACK_BACKEND=back_end,
        LLM_FALLBACK_URL=tiny_engine.url, LLM_FALLBACK_API_KEY=tiny_engine.api_key, LLM_FALLBACK_MODEL=TINY))
    answer = model.answer(PROMPT, Deadline.after(20))
    assert (answer.back_end, answer.model) == (back_end, TINY)


@pytest.mark.parametrize(("environ", "shared"), [({}, False), ({"WEB_CONCURRENCY": "2"}, True), ({"REDIS_URL": "redis://127.0.0.1:1/0"}, True)])
def test_workers_share_the_slots_where_there_is_more_than_one_or_may_be(environ, shared):
    assert (open_leases(settings(**environ), slots=None) is not None) is shared


def test_a_worker_with_leases_may_use_every_slot():
    chosen = settings(LLM_BACKEND="embedded", LLM_CONCURRENCY="8", WEB_CONCURRENCY="4")
    assert open_model(chosen, leases=open_leases(chosen, slots=None)).status(Deadline.after(1)).facts["slots"] == 8


def test_automatic_never_falls_back_to_the_evaluation_model_in_production(tiny_engine_folder):
    production = settings(ENVIRONMENT="production", OAUTH_ISSUER="https://mcp.example.com", OLLAMA_API_URL="http://127.0.0.1:9")
    assert "OLLAMA_API_URL" in open_model(production, tiny_engine_folder).status(Deadline.after(5)).problem
    development = settings(OLLAMA_API_URL="http://127.0.0.1:9")
    assert open_model(development, tiny_engine_folder).status(Deadline.after(5)).back_end == "embedded"


def test_the_configured_model_is_the_default(ollama):
    model = open_model(settings(LLM_BACKEND="ollama", OLLAMA_API_URL=ollama.url, DEFAULT_LLM_MODEL="tiny"))
    assert model.status(Deadline.after(5)).model == "tiny:latest"
