"""The incident taxonomy as resources: for a program as JSON, for a reader as text, and category by category."""

from __future__ import annotations

from typing import Any

import orjson

from mcp_server.mcp.resources import Contents, FixedResources, Resource, ResourceTemplate
from mcp_server.mcp.shown import Annotations
from mcp_server.tools.taxonomy import Category, Taxonomy

JSON, TEXT = "taxonomy://incident", "taxonomy://incident.md"
CATEGORY = ResourceTemplate(
    "taxonomy://incident/{category}", "incident_category", "One incident category",
    "A category with its description, subcategories and assignment group. Its id is one of those in taxonomy://incident.", "application/json",
    annotations=Annotations(("assistant",), 0.5))


def taxonomy_resources(taxonomy: Taxonomy) -> FixedResources:
    categories = [_shown(category) for category in taxonomy.categories]
    whole = Contents(JSON, orjson.dumps({"categories": categories}, option=orjson.OPT_INDENT_2).decode(), "application/json")
    text = Contents(TEXT, _text(taxonomy), "text/markdown")
    listed = (
        Resource(
            JSON, "incident_taxonomy", "Incident taxonomy",
            "The categories that classify_incident chooses from: ids, descriptions, subcategories and assignment groups.",
            whole.mime_type, whole.size, annotations=Annotations(("assistant",), 0.8)),
        Resource(
            TEXT, "incident_taxonomy_text", "Incident taxonomy, for reading", "The same categories as text, for a person.",
            text.mime_type, text.size, annotations=Annotations(("user",), 0.5)),
    )
    each = [
        Contents(CATEGORY.expand(category=shown["id"]), orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode(), "application/json")
        for shown in categories]
    return FixedResources("taxonomy", listed, (whole, text, *each), (CATEGORY,), {"category": [shown["id"] for shown in categories]})


def _shown(category: Category) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": category.id, "description": category.description, "subcategories": list(category.subcategories)}
    return shown | ({"assignment_group": category.assignment_group} if category.assignment_group else {})


def _text(taxonomy: Taxonomy) -> str:
    return "# Incident categories\n\n" + "\n".join(_paragraph(category) for category in taxonomy.categories)


def _paragraph(category: Category) -> str:
    lines = [f"## {category.id}", "", category.description]
    if category.subcategories:
        lines += ["", f"Subcategories: {', '.join(category.subcategories)}"]
    if category.assignment_group:
        lines += ["", f"Assignment group: {category.assignment_group}"]
    return "\n".join([*lines, ""])
