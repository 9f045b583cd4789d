"""Where a back end is opened: one branch each."""

from __future__ import annotations

from pathlib import Path

from config.settings import Settings
from mcp_server.llm.automatic import Automatic
from mcp_server.llm.embedded import Embedded
from mcp_server.llm.gate import Gate
from mcp_server.llm.llama_cpp import LlamaCpp
from mcp_server.llm.ollama import Ollama
from mcp_server.llm.ports import LanguageModel

OLLAMA_HERE = "http://127.0.0.1:11434"
CONNECTIONS_BESIDE = 3  # for what is asked beside the answers: status, names, a load
DATA = Path("data")


def open_model(settings: Settings, data: Path = DATA) -> Gate:
    """The model that the settings name, behind its gate. Connects to nothing yet.

    `data` is where the embedded engine leaves its address. Each worker gets its share of LLM_CONCURRENCY, and at least one slot.
    """
    slots = max(1, settings.llm_concurrency // settings.web_concurrency)
    return Gate(_back_end(settings, data, slots + CONNECTIONS_BESIDE), slots)


def _back_end(settings: Settings, data: Path, connections: int) -> LanguageModel:
    ollama = Ollama(
        settings.ollama_url or OLLAMA_HERE, context=settings.llm_context, default_model=settings.default_llm_model, connections=connections)
    match settings.llm_backend:
        case "ollama":
            return ollama
        case "llama-cpp":
            return LlamaCpp(settings.llama_cpp_url or "", default_model=settings.default_llm_model, connections=connections)
        case "embedded":
            return Embedded(data, connections)
        case _:
            return Automatic(ollama, None if settings.production else Embedded(data, connections))
