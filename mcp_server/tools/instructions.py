"""What the model of a client reads before it chooses a tool."""

from __future__ import annotations

from collections.abc import Iterable

WHAT_THIS_IS = (
    "A language model inside the company's network, for IT service management. Give each tool the plain text of the record; nothing you send "
    "leaves the network."
)
USES = {
    "classify_incident": "category, impact, urgency and priority of an incident",
    "summarize_incident": "a long record in a few sentences",
    "suggest_resolution": "what to try, with sources",
    "find_similar_incidents": "incidents like this one",
    "answer_from_knowledge": "an answer with its articles",
    "search_knowledge": "articles to read",
    "recommend_catalog_items": "catalogue items for a wish",
    "draft_reply": "a reply to the caller",
    "extract_fields": "values that stand in a text",
    "llm_generate": "any other text",
    "chat": "a conversation",
    "server_status": "whether the model works",
}
HOW_TO_USE_IT = (
    "Answers are proposals and change no record. Have a person look where `review` is true, or `flags` or `unsupported` are there; where "
    "`degraded` is true, the model did not answer."
)


def instructions(offered: Iterable[str]) -> str:
    """Names the tools among `offered` that it has a use for."""
    known = [f"{name} for {USES[name]}" for name in offered if name in USES]
    return " ".join([WHAT_THIS_IS, *([f"Call {'; '.join(known)}."] if known else []), HOW_TO_USE_IT])
