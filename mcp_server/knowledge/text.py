"""Text of strangers as it is kept: nothing invisible in it, and of a bounded length."""

from __future__ import annotations

import re
import unicodedata

MOST_CHARACTERS = 200_000
"""Of one document; what is longer is cut, and that is told."""
MOST_TITLE = 500
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]")
_BLANKS = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n ?")
_GAPS = re.compile(r"\n{3,}")


def clean(text: str) -> str:
    """Lines and words as they are; no control, zero-width, direction or tag characters, no runs of blanks."""
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n"))
    return _GAPS.sub("\n\n", _LINES.sub("\n", _BLANKS.sub(" ", visible))).strip()


def one_line(text: str) -> str:
    return " ".join(clean(text).split())[:MOST_TITLE]


def without_accents(text: str) -> str:
    return "".join(character for character in unicodedata.normalize("NFKD", text) if not unicodedata.combining(character))
