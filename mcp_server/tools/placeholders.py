"""Text with `{{ name }}` in it. Nothing else is understood: no conditions, no filters, no code."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLACEHOLDER = re.compile(r"\{\{ *([a-z][a-z0-9_]*) *\}\}")
NOT_GIVEN = "(not given)"
"""What stands for a value that was left out."""


class Placeholders:
    """Raises ValueError for text with anything else in double braces."""

    def __init__(self, text: str) -> None:
        left = _PLACEHOLDER.sub("", text)
        if (found := re.search(r"\{[{%][^}\n]{0,40}\}{0,2}", left)) is not None:
            raise ValueError(f"{found[0]!r} is no placeholder: write {{{{ name }}}} with the name of an input, and no logic.")
        self._text = text
        self.names = frozenset(_PLACEHOLDER.findall(text))

    def filled(self, values: Mapping[str, str]) -> str:
        """In one pass: a value that looks like a placeholder stays what it is."""
        return _PLACEHOLDER.sub(lambda found: values.get(found[1], NOT_GIVEN), self._text)
