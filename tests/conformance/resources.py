"""The resources that the conformance suite reads."""

from __future__ import annotations

import base64
import json

from mcp_server.mcp.resources import Contents, FixedResources, Resource, ResourceTemplate
from tests.conformance.tools import PNG

TEMPLATE = ResourceTemplate("test://template/{id}/data", "template", description="Data by its id.", mime_type="application/json")


class Everything(FixedResources):
    """What is listed, and whatever fits the template."""

    def has(self, uri):
        return super().has(uri) or TEMPLATE.match(uri) is not None

    def read(self, call, uri):
        if super().has(uri):
            return super().read(call, uri)
        number = TEMPLATE.match(uri)["id"]
        return [Contents(uri, json.dumps({"id": number, "templateTest": True, "data": f"Data for ID: {number}"}), "application/json")]


RESOURCES = Everything(
    "conformance",
    [Resource("test://static-text", "static-text", mime_type="text/plain"), Resource("test://static-binary", "static-binary", mime_type="image/png"),
     Resource("test://watched-resource", "watched-resource", mime_type="text/plain")],
    [Contents("test://static-text", "This is the content of the static text resource.", "text/plain"),
     Contents("test://static-binary", base64.b64decode(PNG), "image/png"), Contents("test://watched-resource", "Watched.", "text/plain")],
    templates=(TEMPLATE,))
