"""The model, where it is, and whether its vectors are those of the knowledge."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from mcp_server.cli.checks.finding import Finding, Level
from mcp_server.deadline import Deadline
from mcp_server.errors import KnowledgeRefused, ModelError, StoreUnavailable
from mcp_server.knowledge.ports import IndexState, VectorModel
from mcp_server.llm.locality import looks_public
from mcp_server.oauth.redirect_uris import LOOPBACK
from mcp_server.web.services import Services

MODEL_SECONDS, SELF_TEST_SECONDS = 5.0, 30.0


def model(built: Services) -> Iterator[Finding]:
    status = built.model.status(Deadline.after(MODEL_SECONDS))
    if not status.available:
        yield Finding("model", "fail", f"{status.back_end} cannot answer: the tools that need a model fail.",
                      status.problem or "Start Ollama, or set OLLAMA_API_URL.")
        return
    said = f"{status.back_end} answers with {status.model or 'a model'}"
    if note := status.facts.get("note") if status.back_end != "embedded" else None:
        yield Finding("second back end", "warn", str(note), "Mend the first one; it is asked again by itself.")
    if status.back_end == "embedded":
        yield Finding("model", "warn", f"{said}. {status.facts.get('note', 'It is an evaluation model: do not rely on it.')}",
                      "Start Ollama with a model, for answers to rely on.")
    else:
        yield Finding("model", "ok", said)
    for step in built.self_test.run(Deadline.after(SELF_TEST_SECONDS))[1:]:
        level: Level = "ok" if step.ok else "fail" if step.name == "schema" else "warn"
        yield Finding(step.name, level, step.said, step.next_step)


def model_addresses(built: Services) -> Iterator[Finding]:
    settings = built.settings
    addresses = {
        "OLLAMA_API_URL": settings.ollama_url, "LLAMA_CPP_URL": settings.llama_cpp_url, "LLM_URL": settings.llm_url,
        "LLM_FALLBACK_URL": settings.llm_fallback_url, "EMBEDDING_URL": settings.embedding_url}
    for name, url in addresses.items():
        if url is not None and looks_public(url):
            yield Finding("model address", "warn", f"{name} is not an address of a private network: prompts may leave yours.",
                          "Use the server's private address, or a name that ends in .internal or .local, unless you mean it so.")
        if url is not None and url.startswith("http://") and urlsplit(url).hostname not in LOOPBACK:
            yield Finding("model address", "warn", f"{name} is not https: prompts travel readable to another machine.",
                          "Let that server, or a proxy before it, speak https, unless the network between is yours alone.")


def vectors(built: Services) -> Iterator[Finding]:
    """Nothing is said where nothing was imported."""
    try:
        with built.knowledge.index.reading() as view:
            state = view.state if view is not None else None
    except (StoreUnavailable, KnowledgeRefused) as error:
        yield Finding("knowledge", "fail", error.message, "Run: flask knowledge rebuild")
        return
    if state is not None:
        yield _compared(state, _model_of(built))


def _model_of(built: Services) -> VectorModel | None:
    """What makes vectors now."""
    embedder = built.knowledge.embedder
    if embedder is None:
        return None
    try:
        made = embedder.embed(["Which model is this?"], Deadline.after(MODEL_SECONDS)).model
    except ModelError:
        return None  # `model` has said why
    return VectorModel(made.name, made.dimensions, made.digest)


def _compared(state: IndexState, now: VectorModel | None) -> Finding:
    if state.model is None:
        level: Level = "ok" if now is None else "warn"
        return Finding("knowledge", level, f"{sum(state.documents.values())} documents, without vectors: they are searched by words alone.",
                       "" if now is None else f"There is a model for embeddings now, {now.name}. Run: flask knowledge rebuild")
    if now is None:
        return Finding("knowledge", "warn", f"Its vectors are of {state.model.name}, which does not answer: it is searched by words alone.",
                       f"Give the model server {state.model.name}, or set EMBEDDING_MODEL to one that it has, and run: flask knowledge rebuild")
    if not state.model.same_as(now):
        return Finding("knowledge", "fail", f"Its vectors are of {state.model.name}; the model for embeddings is {now.name} now, or another build of "
                       "it. They cannot be compared: it is searched by words alone.",
                       f"Run: flask knowledge rebuild, or set EMBEDDING_MODEL={state.model.name}.")
    return Finding("knowledge", "ok", f"{sum(state.documents.values())} documents, with vectors of {now.name}")
