"""What the requirements ask for, and what the lock files made of that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FILES = ("requirements", "requirements-embedded", "requirements-secrets", "requirements-tracing")
DEVELOPMENT = "requirements-dev"
"""On the machines of developers alone, so its licences are nobody's business."""
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Locked:
    """One package of a lock file. `hashes`: SHA-256 of each of its files, for every platform."""

    name: str
    version: str
    hashes: tuple[str, ...]
    applies: bool
    """Whether it is installed on this platform and Python."""


def locked(file: str) -> list[Locked]:
    """Every package of `file`.lock, in its order."""
    return [_locked(line) for line in _lines(ROOT / f"{file}.lock")]


def required(file: str) -> list[Requirement]:
    """Every line of `file`.txt, and of the files that it names."""
    return [asked for line in _lines(ROOT / f"{file}.txt") for asked in _required(line)]


def _lines(path: Path) -> Iterator[str]:
    """Joined where they end with a backslash, and without what is only said."""
    for line in path.read_text().replace("\\\n", " ").splitlines():
        if told := re.sub(r"(^|\s)#.*", "", line).strip():
            yield told


def _required(line: str) -> list[Requirement]:
    return required(line.removeprefix("-r ").removesuffix(".txt")) if line.startswith("-r ") else [Requirement(line)]


def _locked(line: str) -> Locked:
    asked = Requirement(line.partition("--hash")[0].strip())
    version = next(iter(asked.specifier)).version
    return Locked(canonicalize_name(asked.name), version, tuple(_HASH.findall(line)), asked.marker is None or asked.marker.evaluate())
