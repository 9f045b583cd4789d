# ruff: noqa: ARG002 - they have the signatures of what they stand for
"""What a test puts where the model, the knowledge and the embedder are."""

from __future__ import annotations

import json
import re

from mcp_server.deadline import Deadline
from mcp_server.errors import ModelUnavailable
from mcp_server.knowledge.documents import Document
from mcp_server.knowledge.ports import Found, Hit
from mcp_server.llm.ports import Answer, EmbeddingModel, Embeddings
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import ToolRegistry
from mcp_server.tools import build_tools
from mcp_server.tools.taxonomy import Category, Taxonomy

TAXONOMY = Taxonomy((
    Category("network", "Connections such as VPN, Wi-Fi, DNS.", ("vpn", "wifi"), "Network"),
    Category("printing", "Printers, scanners and print queues.", ("printer",), "Workplace"),
    Category("access", "Passwords, accounts, permissions.", ("password",), "Identity")))
DOCUMENTS = (
    Document("article", "a1", "KB0010001", "Connect to the VPN", "Open the VPN client, choose gateway gw7 and sign in. It takes 2 minutes.",
             url="https://kb.example.com/1"),
    Document("article", "a2", "KB0010002", "Clear a print queue", "Open the print queue, cancel every job, restart the printer."),
    Document("incident", "i1", "INC0010001", "VPN drops", "The VPN drops every hour.",
             {"category": "network", "resolution": "Updated the VPN client to 5.3."}),
    Document("incident", "i2", "INC0010002", "VPN slow", "The VPN is slow.", {"category": "network"}),
    Document("catalog_item", "c1", "monitor-24", "Monitor 24 inch", "A monitor for the desk."),
    Document("catalog_item", "c2", "headset", "Headset", "A headset for meetings."),
)


def words(text):
    return set(re.findall(r"[a-z0-9]+", text.lower())) - {"the", "a", "and", "is", "to", "every", "for", "my", "it", "i"}


class Shelf:
    """Knowledge that is found by the words it shares with the query. `fails` is raised instead."""

    def __init__(self, *documents, fails=None):
        self.documents, self.fails, self.asked = documents or DOCUMENTS, fails, []

    def search(self, query, *, kind, deadline, limit=5, filters=None, reader=None):
        self.asked.append((query, kind, reader))
        if self.fails:
            raise self.fails
        found = [(len(words(query) & words(f"{each.title} {each.text}")), each) for each in self.documents if each.kind == kind]
        hits = sorted((pair for pair in found if pair[0]), key=lambda pair: -pair[0])[:limit]
        return Found(tuple(Hit(each, 1 / rank, each.text, {"lexical": rank}) for rank, (_, each) in enumerate(hits, 1)))


class Bags:
    """An embedder whose vectors are the words of a text."""

    def __init__(self, fails=None):
        self.fails, self.asked, self.numbers = fails, [], {}

    def embed(self, texts, deadline):
        if self.fails:
            raise self.fails
        self.asked += texts
        return Embeddings([self._vector(text) for text in texts], EmbeddingModel("bags", 200))

    def _vector(self, text):
        vector = [0.0] * 200
        for word in words(text):
            vector[self.numbers.setdefault(word, len(self.numbers) % 200)] = 1.0
        length = sum(vector) ** 0.5 or 1.0
        return [number / length for number in vector]


class Says:
    """A model that answers what it is told to, in turn, the last thing again and again; an exception is raised."""

    def __init__(self, *answers, probabilities=None):
        self.answers, self.shares, self.asked, self.labelled = list(answers), probabilities, [], []

    def answer(self, prompt, deadline, on_token=None):
        self.asked.append(prompt)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer if isinstance(answer, str) else json.dumps(answer), "tiny", complete=True, back_end="stand-in")

    def label_probabilities(self, prompt, labels, deadline):
        self.labelled.append((prompt, list(labels)))
        if isinstance(self.shares, Exception):
            raise self.shares
        return self.shares

    def status(self, deadline):
        raise AssertionError

    @property
    def read(self):
        """All that it was given to read."""
        return "\n".join(message.content for prompt in [*self.asked, *(prompt for prompt, _ in self.labelled)] for message in prompt.messages)


GONE = ModelUnavailable("Nothing answers. Ask the operator to start Ollama.")


def registry(model, *, output_limit=100_000, taxonomy=TAXONOMY, declared=(), policies=None, **parts):
    built = build_tools(model, taxonomy, declared, **parts)
    return ToolRegistry(built, output_limit, policies) if policies else ToolRegistry(built, output_limit)


def caller(model, *, principal=None, conversation=None, **parts):
    """call(tool, **arguments) → its ToolResult. `parts`: as build_tools takes them."""
    tools = registry(model, **parts)

    def call(name, **arguments):
        context = CallContext(principal, Deadline.after(20), **({"conversation": conversation} if conversation else {}))
        return tools.call(tools[name], context, arguments)

    call.registry = tools
    return call
