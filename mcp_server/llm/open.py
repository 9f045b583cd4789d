"""Where a back end is opened: one branch each."""

from __future__ import annotations

from pathlib import Path

from config.settings import Settings
from mcp_server.llm.automatic import Automatic, AutomaticVectors
from mcp_server.llm.embedded import Embedded, EmbeddedVectors
from mcp_server.llm.embedders import CheckedEmbedder, Vectors
from mcp_server.llm.gate import Gate
from mcp_server.llm.llama_cpp import HINT as LLAMA_CPP_HINT
from mcp_server.llm.llama_cpp import LlamaCpp
from mcp_server.llm.ollama import Ollama
from mcp_server.llm.ollama_embeddings import OllamaVectors
from mcp_server.llm.openai import OpenAI
from mcp_server.llm.openai_embeddings import OpenAIVectors
from mcp_server.llm.ports import Embedder, LanguageModel

OLLAMA_HERE = "http://127.0.0.1:11434"
CONNECTIONS_BESIDE = 3  # for what is asked beside the answers: status, names, a load
DATA = Path("data")
EMBEDDING_HINT = "Ask the operator to check that the embedding server is running and that EMBEDDING_URL is right."


def open_model(settings: Settings, data: Path = DATA) -> Gate:
    """The model that the settings name, behind its gate. Connects to nothing yet.

    `data` is where the embedded engine leaves its address. Each worker gets its share of LLM_CONCURRENCY, and at least one slot.
    """
    slots = max(1, settings.llm_concurrency // settings.web_concurrency)
    return Gate(_back_end(settings, data, slots + CONNECTIONS_BESIDE), slots)


def open_embedder(settings: Settings, data: Path = DATA) -> Embedder:
    """What makes vectors, as the settings name it. Connects to nothing yet."""
    return CheckedEmbedder(_vectors(settings, data))


def _back_end(settings: Settings, data: Path, connections: int) -> LanguageModel:
    default, key = settings.default_llm_model, settings.llm_api_key
    match settings.llm_backend:
        case "ollama":
            return _ollama(settings, connections)
        case "llama-cpp":
            return LlamaCpp(settings.llama_cpp_url or "", default_model=default, api_key=key, connections=connections)
        case "openai":
            return OpenAI(settings.llm_url or "", default_model=default, api_key=key, connections=connections, context=settings.llm_context)
        case "embedded":
            return Embedded(data, connections)
        case _:
            return Automatic(_ollama(settings, connections), None if settings.production else Embedded(data, connections))


def _ollama(settings: Settings, connections: int) -> Ollama:
    return Ollama(
        settings.ollama_url or OLLAMA_HERE, context=settings.llm_context, default_model=settings.default_llm_model, api_key=settings.llm_api_key,
        keep_alive=settings.llm_keep_alive, connections=connections)


def _vectors(settings: Settings, data: Path) -> Vectors:
    model, key = settings.embedding_model, settings.llm_api_key
    if settings.embedding_url:
        return OpenAIVectors(settings.embedding_url, model=model, api_key=key, hint=EMBEDDING_HINT)
    ollama = OllamaVectors(settings.ollama_url or OLLAMA_HERE, model=model, api_key=key, keep_alive=settings.llm_keep_alive)
    match settings.llm_backend:
        case "ollama":
            return ollama
        case "llama-cpp":
            return OpenAIVectors(settings.llama_cpp_url or "", model=model, api_key=key, hint=LLAMA_CPP_HINT)
        case "openai":
            return OpenAIVectors(settings.llm_url or "", model=model, api_key=key)
        case "embedded":
            return EmbeddedVectors(data)
        case _:
            return AutomaticVectors(_ollama(settings, CONNECTIONS_BESIDE), ollama, None if settings.production else EmbeddedVectors(data))
