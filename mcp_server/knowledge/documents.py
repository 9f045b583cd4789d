"""One thing that can be found, and who may read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mcp_server.principal import Principal

Kind = Literal["article", "incident", "catalog_item"]
KINDS: tuple[Kind, ...] = ("article", "incident", "catalog_item")
FACTS = ("category", "subcategory", "assignment_group", "knowledge_base", "state", "priority", "resolution", "resolution_code", "price")
"""What a document may say of itself beside its text. Those that are compared in a search: FILTERS."""
FILTERS = ("category", "subcategory", "assignment_group", "knowledge_base", "state")
EVERYBODY = "*"
"""The label that every reader has."""


@dataclass(frozen=True, slots=True)
class Restriction:
    """What the record itself says of who may read it; names or ids of user criteria and roles. Not `known`: it does not say."""

    known: bool = True
    can_read: tuple[str, ...] = ()
    cannot_read: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """`id`: ServiceNow's sys_id, or the path of a file. `number`: as people name it, KB0010001; of a catalogue item its id.

    `updated`: UTC, YYYY-MM-DD HH:MM:SS, empty where it is not known. `visible_until`: a moment; it is not shown after it.
    """

    kind: Kind
    id: str
    number: str
    title: str
    text: str
    facts: Mapping[str, str] = field(default_factory=dict)
    updated: str = ""
    url: str | None = None
    restriction: Restriction = Restriction()
    visible_from: float | None = None
    visible_until: float | None = None


@dataclass(frozen=True, slots=True)
class Readers:
    """Who may read a document: who has a label of each group in `all_of`, and none that is excluded."""

    all_of: tuple[frozenset[str], ...] = (frozenset({EVERYBODY}),)
    excluded: frozenset[str] = frozenset()

    def admit(self, reader: Reader) -> bool:
        return reader.everything or (all(group & reader.labels for group in self.all_of) and not self.excluded & reader.labels)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks. `everything`: the operator, at the command line."""

    labels: frozenset[str] = frozenset({EVERYBODY})
    everything: bool = False


ANYBODY = Reader()
"""Sees what every caller may read, and no more."""
OPERATOR = Reader(everything=True)


def reader_of(principal: Principal | None) -> Reader:
    """The labels that `config/knowledge.yaml` can name: `client:`, `subject:` and `scope:`."""
    if principal is None:
        return ANYBODY
    scopes = (f"scope:{scope}" for scope in principal.scopes)
    return Reader(frozenset({EVERYBODY, f"client:{principal.client_id}", f"subject:{principal.subject}", *scopes}))
