"""Where a back end is opened: one branch each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from config.settings import Settings
from mcp_server.clock import Clock, wall_clock
from mcp_server.llm.automatic import Automatic, AutomaticVectors
from mcp_server.llm.cache import Remembering
from mcp_server.llm.embedded import Embedded, EmbeddedVectors
from mcp_server.llm.embedders import CheckedEmbedder, Vectors
from mcp_server.llm.failover import Failover
from mcp_server.llm.gate import Gate
from mcp_server.llm.leases import Leases, ModelSlots
from mcp_server.llm.llama_cpp import HINT as LLAMA_CPP_HINT
from mcp_server.llm.llama_cpp import LlamaCpp
from mcp_server.llm.observing import NOBODY, Observer
from mcp_server.llm.ollama import Ollama
from mcp_server.llm.ollama_embeddings import OllamaVectors
from mcp_server.llm.openai import OpenAI
from mcp_server.llm.openai_embeddings import OpenAIVectors
from mcp_server.llm.ports import Embedder, IdentifiedModel
from mcp_server.llm.redaction import RedactingEmbedder
from mcp_server.llm.watched import WatchedModel, WatchedVectors
from mcp_server.tracing import UNTRACED, Tracer

OLLAMA_HERE = "http://127.0.0.1:11434"
CONNECTIONS_BESIDE = 3  # for what is asked beside the answers: status, names, a load
DATA = Path("data")
FALLBACK_HINT = "Ask the operator to check that the second model server is running and that LLM_FALLBACK_URL is right."
EMBEDDING_HINT = "Ask the operator to check that the embedding server is running and that EMBEDDING_URL is right."


def open_leases(
    settings: Settings, slots: ModelSlots, *, clock: Clock = wall_clock, warn: Callable[[str], object] = lambda _: None,
) -> Leases | None:
    """Where the workers agree on LLM_CONCURRENCY; None for a single worker on a single machine. To be renewed beside the requests."""
    if settings.redis_url is None and settings.web_concurrency == 1:
        return None
    return Leases(slots, most=settings.llm_concurrency, share=_share(settings), clock=clock, warn=warn)


def open_model(
    settings: Settings, data: Path = DATA, leases: Leases | None = None, *, observer: Observer = NOBODY, tracer: Tracer = UNTRACED,
) -> Remembering:
    """The model that the settings name, behind its gate. Connects to nothing yet.

    `data` is where the embedded engine leaves its address. Without `leases` each worker has its share of LLM_CONCURRENCY, at least one.
    """
    places = _share(settings) if leases is None else settings.llm_concurrency
    first = WatchedModel(_back_end(settings, data, places + CONNECTIONS_BESIDE, observer), settings.llm_backend, observer, tracer)
    second = _fallback(settings, places + CONNECTIONS_BESIDE, observer)
    watched = None if second is None else WatchedModel(second, settings.llm_fallback_backend or "openai", observer, tracer)
    model = first if watched is None else Failover(first, watched, observer=observer)
    return Remembering(Gate(model, places, leases=leases, observer=observer), settings.llm_cache_lifetime, observer=observer)


def _share(settings: Settings) -> int:
    return max(1, settings.llm_concurrency // settings.web_concurrency)


def open_embedder(settings: Settings, data: Path = DATA, *, observer: Observer = NOBODY, tracer: Tracer = UNTRACED) -> Embedder:
    """What makes vectors, as the settings name it. Connects to nothing yet."""
    back_end = "openai" if settings.embedding_url else settings.llm_backend
    embedder = CheckedEmbedder(WatchedVectors(_vectors(settings, data), back_end, observer, tracer), observer=observer)
    return embedder if settings.redact == "off" else RedactingEmbedder(embedder, settings.redact)


def _back_end(settings: Settings, data: Path, connections: int, observer: Observer) -> IdentifiedModel:
    default, key = settings.default_llm_model, settings.llm_api_key
    match settings.llm_backend:
        case "ollama":
            return _ollama(settings, connections, observer)
        case "llama-cpp":
            return LlamaCpp(settings.llama_cpp_url or "", default_model=default, api_key=key, connections=connections)
        case "openai":
            return OpenAI(settings.llm_url or "", default_model=default, api_key=key, connections=connections, context=settings.llm_context)
        case "embedded":
            return Embedded(data, connections)
        case _:
            return Automatic(_ollama(settings, connections, observer), None if settings.production else Embedded(data, connections))


def _fallback(settings: Settings, connections: int, observer: Observer) -> IdentifiedModel | None:
    url, key = settings.llm_fallback_url, settings.llm_fallback_api_key
    if url is None:
        return None
    model = settings.llm_fallback_model or settings.default_llm_model
    match settings.llm_fallback_backend:
        case "ollama":
            return Ollama(
                url, context=settings.llm_context, default_model=model, api_key=key, keep_alive=settings.llm_keep_alive, connections=connections,
                hint=FALLBACK_HINT, observer=observer)
        case "llama-cpp":
            return LlamaCpp(url, default_model=model, api_key=key, connections=connections, hint=FALLBACK_HINT)
        case _:
            return OpenAI(url, default_model=model, api_key=key, connections=connections, context=settings.llm_context, hint=FALLBACK_HINT)


def _ollama(settings: Settings, connections: int, observer: Observer = NOBODY) -> Ollama:
    return Ollama(
        settings.ollama_url or OLLAMA_HERE, context=settings.llm_context, default_model=settings.default_llm_model, api_key=settings.llm_api_key,
        keep_alive=settings.llm_keep_alive, connections=connections, observer=observer)


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
