"""Who may read a document: what its record says, read with what the operator says of those who call here.

ServiceNow knows user criteria and roles; this server knows clients, subjects and scopes. Nothing is guessed between the two: a restriction that
`config/knowledge.yaml` does not map leaves the document out of the index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mcp_server.knowledge.documents import EVERYBODY, Document, Kind, Readers

UNSAID = "does not say who may read it"
UNMAPPED = "is restricted, and config/knowledge.yaml does not say whom of the callers that means"
Labels = frozenset[str]


@dataclass(frozen=True, slots=True)
class Container:
    """What a knowledge base or catalogue item says of its readers in a table of its own."""

    can_read: tuple[str, ...] = ()
    cannot_read: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """`config/knowledge.yaml`: labels of callers, by the name or the id of a knowledge base, of user criteria, of a role; and by kind.

    An empty set of labels: none of the callers.
    """

    knowledge_bases: Mapping[str, Labels] = field(default_factory=dict)
    user_criteria: Mapping[str, Labels] = field(default_factory=dict)
    roles: Mapping[str, Labels] = field(default_factory=dict)
    kinds: Mapping[str, Labels] = field(default_factory=dict)

    def readers(self, document: Document, containers: Mapping[Kind, Mapping[str, Container]]) -> Readers | str:
        """Who may read it; or why nobody can.

        All that is said must hold: the kind, the knowledge base, the record's criteria, its roles. Of several criteria, and of several roles, one
        is enough, so one that is not mapped only admits nobody. Of those that keep readers out, each must be mapped.
        """
        base = document.facts.get("knowledge_base", ""), document.facts.get("knowledge_base_id", "")
        of_base = next((labels for name in base if name and (labels := self.knowledge_bases.get(name.casefold())) is not None), None)
        said = document.restriction
        if not said.known and of_base is None:
            return UNSAID
        contained = containers.get(document.kind, {}).get(base[1] or document.id) if of_base is None else None
        groups = [labels for labels in (self.kinds.get(document.kind), of_base) if labels is not None]
        of_container = contained.can_read if contained else ()
        for names, mapped in ((said.can_read, self.user_criteria), (of_container, self.user_criteria), (said.roles, self.roles)):
            if names:
                groups.append(frozenset().union(*(mapped.get(name.casefold(), frozenset()) for name in names)))
        kept_out = [self.user_criteria.get(name.casefold()) for name in (*said.cannot_read, *(contained.cannot_read if contained else ()))]
        if not all(groups) or None in kept_out:
            return UNMAPPED
        excluded = frozenset().union(*(labels for labels in kept_out if labels))
        if EVERYBODY in excluded:
            return UNMAPPED
        return Readers(tuple(dict.fromkeys(groups)) or Readers().all_of, excluded)


def split_names(text: str) -> tuple[str, ...]:
    """A list as ServiceNow writes one."""
    return tuple(name for part in text.split(",") if (name := part.strip()))

