"""300 incidents: twelve categories, 25 each, as records of ServiceNow's table `incident`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from evals.authoring.problems import Problem, Ticket, problems
from evals.authoring.surfaces import forwarded, greeted, mistyped, with_second_topic
from mcp_server.tools.taxonomy import Taxonomy

SEED = 20
FIRST = datetime(2026, 1, 5, 7, 30, tzinfo=UTC)
SPLITS = ("train",) * 6 + ("calibration",) * 3 + ("test",) * 4
NOISES = ("typos", "forwarded", "second topic")  # and the two tickets of each category in another language: one in five is noisy


def incidents(taxonomy: Taxonomy) -> Iterator[dict[str, Any]]:
    """In the order in which they were opened, which says nothing of what they are."""
    groups = {category.id: category.assignment_group for category in taxonomy.categories}
    written = [(problem, split, ticket, noise) for category in _by_category() for problem, split, ticket, noise in category]
    Random(f"{SEED} order").shuffle(written)
    for index, (problem, split, ticket, noise) in enumerate(written):
        number = f"INC{9000001 + index:07d}"
        random = Random(f"{SEED} {number}")
        opened = FIRST + timedelta(minutes=index * 437 + random.randrange(300))
        yield {
            "sys_id": hashlib.sha256(number.encode()).hexdigest()[:32],
            "number": number,
            "opened_at": f"{opened:%Y-%m-%d %H:%M:%S}",
            "short_description": mistyped(ticket.short_description, random) if noise == "typos" else ticket.short_description,
            "description": _description(ticket, noise, random),
            "work_notes": _journal(problem.work_notes, opened, random),
            "category": problem.category,
            "subcategory": problem.subcategory,
            "impact": str(problem.impact),
            "urgency": str(problem.urgency),
            "priority": str(problem.impact + problem.urgency - 1),
            "assignment_group": groups[problem.category],
            "state": "Closed" if split == "train" else "Resolved",
            "close_notes": problem.resolution,
            "noisy": noise != "",
            "noise": noise,
            "language": ticket.language,
            "split": split,
        }


def _by_category() -> Iterator[list[tuple[Problem, str, Ticket, str]]]:
    found = problems()
    for category in sorted({problem.category for problem in found}):
        random = Random(f"{SEED} {category}")
        own = [problem for problem in found if problem.category == category]
        random.shuffle(own)
        own.sort(key=lambda problem: len(problem.tickets))  # the one with a single ticket is learned from
        rows = [[problem, split, ticket, "" if ticket.language == "en" else "language"]
                for problem, split in zip(own, SPLITS, strict=True) for ticket in problem.tickets]
        for row, noise in zip(random.sample([row for row in rows if not row[3]], len(NOISES)), NOISES, strict=True):
            row[3] = noise
        yield [(problem, split, ticket, noise) for problem, split, ticket, noise in rows]


def _description(ticket: Ticket, noise: str, random: Random) -> str:
    if noise == "typos":
        return mistyped(greeted(ticket.description, random), random)
    if noise == "forwarded":
        return forwarded(ticket.short_description, ticket.description, random)
    if noise == "second topic":
        return greeted(with_second_topic(ticket.description, random), random)
    return ticket.description if noise == "language" or random.random() < 0.6 else greeted(ticket.description, random)


def _journal(notes: tuple[str, ...], opened: datetime, random: Random) -> str:
    """As ServiceNow shows a journal field: the newest first."""
    entries, at = [], opened
    for note in notes:
        at += timedelta(minutes=random.randrange(7, 190))
        entries.append(f"{at:%Y-%m-%d %H:%M:%S} - Support Analyst (Work notes)\n{note}")
    return "\n\n".join(reversed(entries))
