"""Who may read a document: what its record says, read with what the operator says of those who call here.

ServiceNow knows user criteria and roles; this server knows clients, subjects and scopes. Nothing is guessed between the two: a restriction that
`config/knowledge.yaml` does not map leaves the document out of the index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mcp_server.knowledge.documents import Document, Kind, Readers

UNSAID = "does not say who may read it"
_NAMED = re.compile(r"(.*) \[([^\[\]]*)\]", re.DOTALL)
Labels = frozenset[str]


@dataclass(frozen=True, slots=True)
class Container:
    """What a knowledge base or catalogue item says of its readers in a table of its own."""

    can_read: tuple[str, ...] = ()
    cannot_read: tuple[str, ...] = ()


UNREAD = Container(cannot_read=("user criteria that could not be read from the instance",))
"""Stands under ANY_CONTAINER when the table of restrictions could not be read: then only what is mapped can be shown."""
ANY_CONTAINER = "*"


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
        contained = _container(containers.get(document.kind, {}), base[1] or document.id) if of_base is None else Container()
        groups = [labels for labels in (self.kinds.get(document.kind), of_base) if labels is not None]
        for names, table in ((said.can_read, self.user_criteria), (contained.can_read, self.user_criteria), (said.roles, self.roles)):
            labels = frozenset[str]().union(*(_mapped(table, name) or frozenset() for name in names))
            if names and not labels:
                return _unmapped(names)
            groups += [labels] if names else []
        kept_out = {name: _mapped(self.user_criteria, name) for name in (*said.cannot_read, *contained.cannot_read)}
        if unmapped := [name for name, labels in kept_out.items() if labels is None]:
            return _unmapped(unmapped)
        return Readers(tuple(dict.fromkeys(groups)) or Readers().all_of, frozenset().union(*(labels for labels in kept_out.values() if labels)))


def _container(containers: Mapping[str, Container], each: str) -> Container:
    return containers.get(each) or containers.get(ANY_CONTAINER) or Container()


def named(stored: str, shown: str) -> tuple[str, ...]:
    """A list as ServiceNow writes one, each as "name [id]" where both are known."""
    ids, names = ([part.strip() for part in text.split(",") if part.strip()] for text in (stored, shown))
    if ids == names or len(ids) != len(names):
        return tuple(ids)
    return tuple(f"{name} [{each}]" for each, name in zip(ids, names, strict=True))


def _mapped(table: Mapping[str, Labels], name: str) -> Labels | None:
    """By the name or the id, without regard to case."""
    parts = _NAMED.fullmatch(name)
    known = (table.get(each.casefold()) for each in ((parts[1], parts[2]) if parts else (name,)))
    return next((labels for labels in known if labels is not None), None)


def _unmapped(names: Iterable[str]) -> str:
    parts = [_NAMED.fullmatch(name) for name in names]
    shown = [part[1] if part else name for part, name in zip(parts, names, strict=True)]
    return f"is restricted by {', '.join(shown)[:200]}, which config/knowledge.yaml does not map"
