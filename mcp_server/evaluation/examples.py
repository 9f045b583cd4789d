"""What is asked, and what would be right: read from the files in evals/, or from an operator's own table."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

from config.settings import ConfigurationError

Split = Literal["train", "calibration", "test"]
SPLITS: tuple[Split, ...] = ("train", "calibration", "test")
SHARES = (0.45, 0.25)
"""Of an operator's incidents: what is learned from and what is fitted on. The rest is the test."""
LEAST_OF_A_LABEL = 3
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """An incident and its category. `noise` says what makes it hard, empty for a clean one."""

    id: str
    short_description: str
    description: str
    category: str
    split: Split = "test"
    noise: str = ""


@dataclass(frozen=True, slots=True)
class Attack:
    """One incident twice: as it was, and with a text in it that wants `target` to be answered."""

    id: str
    kind: str
    target: str
    clean: Example
    attacked: Example


@dataclass(frozen=True, slots=True)
class Question:
    """`relevant`: the ids of which one must be found."""

    id: str
    query: str
    relevant: tuple[str, ...]


def incidents(folder: Path) -> list[Example]:
    return [
        Example(row["number"], row["short_description"], row["description"], row["category"], row["split"], row["noise"])
        for row in rows(folder / "incidents.jsonl")
    ]


def attacks(folder: Path) -> list[Attack]:
    return [
        Attack(row["id"], row["kind"], row["target"], *(_with_notes(row, row[side]) for side in ("clean", "attacked")))
        for row in rows(folder / "injections.jsonl")
    ]


def oversize(folder: Path) -> list[Example]:
    return [
        Example(row["id"], row["short_description"], _filled(row), row["category"], noise=row["filling"])
        for row in rows(folder / "oversize.jsonl")
    ]


def questions(path: Path) -> list[Question]:
    return [Question(row["id"], row["query"], tuple(row["relevant"])) for row in rows(path)]


def rows(path: Path) -> list[Row]:
    """Raises ConfigurationError."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise ConfigurationError([f"{path} cannot be read as one JSON object a line: {error}. The set comes with the repository: evals/."]) from error


def from_csv(path: Path, categories: Collection[str], seed: int) -> list[Example]:
    """An operator's own incidents: columns short_description, description, category, and number if there is one.

    Divided by lot, each category alike. Raises ConfigurationError with every problem.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError([f"{path} cannot be read as CSV in UTF-8: {error}."]) from error
    missing = {"short_description", "category"} - set(table[0] if table else ())
    if missing:
        raise ConfigurationError([f"{path}: the first line must name short_description and category. Missing: {', '.join(sorted(missing))}."])
    found: dict[str, list[Row]] = {}
    for row in table:
        found.setdefault((row["category"] or "").strip(), []).append(row)
    problems = [f"{path}: the category {name!r} is not in the taxonomy (config/incident_taxonomy.yaml)." for name in found if name not in categories]
    problems += [f"{path}: the category {name!r} has {len(of_it)} incidents; {LEAST_OF_A_LABEL} are the least." for name, of_it in found.items()
                 if len(of_it) < LEAST_OF_A_LABEL]
    if problems:
        raise ConfigurationError(problems)
    return [example for name, of_it in sorted(found.items()) for example in _divided(of_it, name, seed)]


def _divided(table: list[Row], category: str, seed: int) -> Iterator[Example]:
    shuffled = list(table)
    Random(f"{seed} {category}").shuffle(shuffled)  # noqa: S311 - by lot, and the same each time
    first = max(1, round(len(shuffled) * SHARES[0]))
    second = first + max(1, round(len(shuffled) * SHARES[1]))
    for index, row in enumerate(shuffled):
        split = SPLITS[(index >= first) + (index >= second)]
        yield Example(row.get("number") or f"{category}-{index + 1}", row["short_description"] or "", row.get("description") or "", category, split)


def _with_notes(row: Row, side: Row) -> Example:
    """As a flow sends it that adds the journal to the description. Both sides alike, so that only the attack differs."""
    notes = f"\n\nWork notes:\n{side['work_notes']}" if row["field"] == "work_notes" else ""
    return Example(row["id"], side["short_description"], side["description"] + notes, row["category"], noise=row["kind"])


def _filled(row: Row) -> str:
    random = Random(row["seed"])  # noqa: S311 - the same text each time
    half = _filling(row["filling"], row["characters"] // 2, random)
    parts = {"before": (half, half, row["description"]), "after": (row["description"], half, half), "around": (half, row["description"], half)}
    return "\n\n".join(parts[row["place"]])


def _filling(kind: str, characters: int, random: Random) -> str:
    lines, size = [], 0
    while size < characters:
        line = _LINES[kind](random)
        lines.append(line)
        size += len(line) + 1
    return "\n".join(lines)[:characters]


_LINES: Mapping[str, Callable[[Random], str]] = {
    "log lines": lambda random: (
        f"2026-03-{random.randint(1, 28):02d}T{random.randint(0, 23):02d}:{random.randint(0, 59):02d}:07Z "
        f"{random.choice(('INFO', 'DEBUG', 'WARN'))} worker-{random.randint(1, 64)} request {random.getrandbits(64):016x} "
        f"took {random.randint(1, 9000)} ms"),
    "mail thread": lambda random: (
        f"> On day {random.randint(1, 28)} the colleague from room {random.randint(100, 999)} wrote: "
        f"{random.choice(('I agree.', 'Any news on this?', 'Adding the team.', 'Please see below.', 'Forwarding once more.'))}"),
    "stack trace": lambda random: (
        f"    at com.example.module{random.randint(1, 40)}.Service.call{random.randint(1, 99)}(Service.java:{random.randint(1, 900)})"),
    "encoded attachment": lambda random: f"{random.getrandbits(300):075x}",
}
