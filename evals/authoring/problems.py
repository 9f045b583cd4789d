"""The problems people wrote about: texts/incidents/<category>.txt.

    ## <subcategory> <impact> <urgency>
    A: short description, and below it the description
    B: the same problem as another person reports it; `B de:` and `B fr:` are in German and French
    - a work note
    = how it was solved
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

INCIDENTS = Path(__file__).parent / "texts" / "incidents"
_TICKET = re.compile(r"[AB](?: (de|fr))?: (.+)")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What one person wrote. `language` is de, fr or en."""

    short_description: str
    description: str
    language: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One cause and everyone who reported it. All of them are in the same part of the set: none is learned from and asked about."""

    category: str
    subcategory: str
    impact: int
    urgency: int
    tickets: tuple[Ticket, ...]
    work_notes: tuple[str, ...]
    resolution: str


def problems() -> list[Problem]:
    return [
        _problem(path.stem, block.strip().splitlines())
        for path in sorted(INCIDENTS.glob("*.txt"))
        for block in path.read_text(encoding="utf-8").split("## ")[1:]
    ]


def _problem(category: str, lines: list[str]) -> Problem:
    subcategory, impact, urgency = lines[0].split()
    tickets: list[Ticket] = []
    work_notes, resolution = [], ""
    for line in lines[1:]:
        if line.startswith("- "):
            work_notes.append(line[2:])
        elif line.startswith("= "):
            resolution = line[2:]
        elif begins := _TICKET.fullmatch(line):
            tickets.append(Ticket(begins[2], "", begins[1] or "en"))
        else:
            last = tickets.pop()
            tickets.append(Ticket(last.short_description, f"{last.description} {line}".strip(), last.language))
    return Problem(category, subcategory, int(impact), int(urgency), tuple(tickets), tuple(work_notes), resolution)
