"""Whether what a model writes was said before: record numbers, dates, times and figures that are in no source are its own invention."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOKEN = re.compile(r"[^\W_][\w.:/%+-]*")
_RECORD = re.compile(r"[A-Za-z]{2,8}\d{4,}")
_JOINED = re.compile(r"\d[.:]\d")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_LINK = re.compile(r"\b(?:https?://|www\.)[^\s<>\"'\])]+", re.IGNORECASE)
_WORDS = dict(zip(
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), map(str, range(13)), strict=True))
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
REMOVED = "[link removed]"


class Sources:
    """The texts that the model was given."""

    def __init__(self, texts: Iterable[str]) -> None:
        text = "\n".join(texts).casefold()
        self._text = text
        self._tokens = {_trimmed(token) for token in _TOKEN.findall(text)}
        self._groups = {_group(digits) for digits in re.findall(r"\d+", text)} | {_WORDS[word] for word in self._tokens & _WORDS.keys()}

    def unsupported(self, text: str) -> list[str]:
        """The record numbers, dates and figures in it that no source has. A date may be written in another way."""
        facts = [_trimmed(token) for token in _TOKEN.findall(text) if any(character.isdigit() for character in token)]
        return list(dict.fromkeys(fact for fact in facts if not self._has(fact.casefold())))

    def without_unsupported(self, text: str) -> tuple[str, list[str]]:
        """The sentences that stand, and what was wrong in the others. If none would be left, the text as it is."""
        sentences = _SENTENCE.split(text.strip())
        standing = [sentence for sentence in sentences if not self.unsupported(sentence)]
        return " ".join(standing) if standing else text, self.unsupported(text)

    def without_foreign_links(self, text: str) -> str:
        """A link that no source has goes out: nobody knows where it leads."""
        return _LINK.sub(lambda found: found[0] if found[0].rstrip(".,;:!?").casefold() in self._text else REMOVED, text)

    def _has(self, fact: str) -> bool:
        if fact in self._tokens:
            return True
        if _RECORD.fullmatch(fact):
            return False
        figure = fact.lstrip("abcdefghijklmnopqrstuvwxyz")
        if _JOINED.search(figure) and not _YEAR.search(figure):  # a time, a version, a decimal: the parts belong together
            together = rf"(?<!\d)0?{re.escape(figure.lstrip('0').replace(',', '.'))}(?!\d)"
            return re.search(together, self._text.replace(",", ".")) is not None
        return all(_group(digits) in self._groups for digits in re.findall(r"\d+", fact))


def _trimmed(token: str) -> str:
    return token.rstrip(".:/+-")


def _group(digits: str) -> str:
    return digits.lstrip("0") or "0"
