"""Secrets and personal data, taken out of a text before a model reads it.

Each value becomes a mark such as [email 1], the same for the same value, so that the model can still tell two persons apart. Patterns find
what has a form; a name or a street has none, and stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mcp_server.deadline import Deadline
from mcp_server.llm.ports import Embedder, Embeddings

Level = Literal["off", "secrets", "all"]


@dataclass(frozen=True, slots=True)
class _Kind:
    """`pattern` finds it, or its group `value`; `holds` is asked of what was found."""

    name: str
    pattern: re.Pattern[str]
    holds: Callable[[str], bool] = lambda _: True


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _is_card(text: str) -> bool:
    """Luhn's check digit."""
    digits = [int(digit) for digit in reversed(_digits(text))]
    return sum(digits[::2]) % 10 == -sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2]) % 10 and len(set(digits)) > 1


def _is_iban(text: str) -> bool:
    """The check digits of ISO 13616."""
    packed = re.sub(r"\s", "", text).upper()
    return int("".join(str(int(character, 36)) for character in packed[4:] + packed[:4])) % 97 == 1


def _kind(name: str, pattern: str, holds: Callable[[str], bool] = lambda _: True, flags: int = 0) -> _Kind:
    return _Kind(name, re.compile(pattern, flags), holds)


SECRETS = (
    _kind("private key", r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[A-Za-z0-9+/=\s:,.-]{0,20000}?-----END [A-Z ]{0,40}PRIVATE KEY-----"),
    _kind("token", r"\beyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{0,4000}"),
    _kind("token", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,255}\b|\bgithub_pat_[A-Za-z0-9_]{20,255}\b"
                   r"|\bglpat-[A-Za-z0-9_-]{20,100}|\bxox[abprs]-[A-Za-z0-9-]{10,255}|\bsk-[A-Za-z0-9_-]{20,255}|\bAIza[A-Za-z0-9_-]{35}\b"),
    _kind("token", r"\b(?:bearer|basic|apikey)\s{1,3}(?P<value>[A-Za-z0-9+/_.~-]{16,4000}={0,2})", flags=re.IGNORECASE),
    _kind("password", r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,100}:(?P<value>[^\s/@]{1,200})@", flags=re.IGNORECASE),
    _kind("password", r"(?:pass(?:word|wort|phrase|code)?|kennwort|mot de passe|contraseña|pwd|pin|secret|api[ _-]?key|access[ _-]?key|token)"
                      r"(?:\s{1,3}(?:is|was|ist|war|lautet))?\s{0,3}[:=]\s{0,3}[\"']?(?P<value>[^\s\"',;]{3,200})", flags=re.IGNORECASE),
    _kind("password", r"\b(?:password|passwort|kennwort|passphrase)\s{1,3}(?:is|ist|lautet)\s{1,3}"
                      r"[\"']?(?P<value>(?=\S{0,60}[\d!@#$%^&*])[^\s\"',;]{4,200})", flags=re.IGNORECASE),
)
PERSONAL = (
    _kind("email", r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}\b"),
    _kind("iban", r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", _is_iban),
    _kind("card", r"\b[2-6][0-9]{3}(?:[ -]?[0-9]{3,4}){2}[ -]?[0-9]{1,7}\b", _is_card),
    _kind("social security number", r"\b(?!000|666|9[0-9]{2})[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}\b"),
    _kind("phone", r"(?<![\w.])(?:\+|00)[1-9][0-9]{0,2}(?:[ ./-]?\(?[0-9]{1,5}\)?){2,6}(?!\w)", lambda found: len(_digits(found)) >= 8),  # noqa: PLR2004
    _kind("phone", r"(?<![\w.])\(?[2-9][0-9]{2}\)?[ .-][2-9][0-9]{2}[ .-][0-9]{4}(?!\w)"),
)
KINDS: dict[Level, tuple[_Kind, ...]] = {"off": (), "secrets": SECRETS, "all": SECRETS + PERSONAL}


@dataclass(slots=True)
class Redaction:
    """Of one call. `kinds`: what was taken out, for the caller to read."""

    level: Level = "off"
    _marks: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        return sorted({kind for kind, _ in self._marks})

    def redacted(self, text: str) -> str:
        for kind in KINDS[self.level]:
            text = kind.pattern.sub(lambda found, kind=kind: self._marked(kind, found), text)  # type: ignore[misc] # mypy and default arguments
        return text

    def restored(self, text: str) -> str:
        """Personal data is back where the model wrote its mark: it came from the caller, and goes to nobody else. A secret stays out."""
        for (kind, value), mark in self._marks.items():
            if kind in _PERSONAL_NAMES:
                text = text.replace(mark, value)
        return text

    def _marked(self, kind: _Kind, found: re.Match[str]) -> str:
        group = "value" if "value" in kind.pattern.groupindex else 0
        value = found[group]
        if value in self._marks.values() or not kind.holds(value):
            return found[0]
        mark = self._marks.get((kind.name, value))
        if mark is None:
            mark = self._marks[kind.name, value] = f"[{kind.name} {self._count(kind.name) + 1}]"
        start, end = found.start(group) - found.start(), found.end(group) - found.start()
        return f"{found[0][:start]}{mark}{found[0][end:]}"

    def _count(self, kind: str) -> int:
        return sum(name == kind for name, _ in self._marks)


_PERSONAL_NAMES = frozenset(kind.name for kind in PERSONAL)


class RedactingEmbedder:
    """What makes vectors reads no more than the model that writes: of articles and of questions."""

    def __init__(self, embedder: Embedder, level: Level) -> None:
        self._embedder = embedder
        self._level = level

    def embed(self, texts: Sequence[str], deadline: Deadline) -> Embeddings:
        """Raises a ModelError."""
        return self._embedder.embed([Redaction(self._level).redacted(text) for text in texts], deadline)
