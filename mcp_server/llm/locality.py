"""Which models and which addresses would take a prompt out of the operator's network."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from mcp_server.errors import ModelRefused

_CLOUD = re.compile(r"[:-]cloud$", re.IGNORECASE)
_NAMES_HERE = (".local", ".internal", ".lan", ".home.arpa", ".localdomain", ".localhost")


def runs_in_a_cloud(model: str) -> bool:
    """Whether the name alone says that Ollama hands its prompts on."""
    return _CLOUD.search(model) is not None


def leaves_the_network(model: str) -> ModelRefused:
    text = f"The model '{model}' runs in a cloud: prompts would leave this network. Choose a model that runs on the model server itself."
    return ModelRefused(text)


def looks_public(url: str) -> bool:
    """Whether the address of a model server may lie outside: a public address, or a name that could have one. Resolves nothing."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_NAMES_HERE)
