"""What a client may show of a tool, a prompt or a resource beside its name: an icon, and for whom it is."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Icon:
    """`src`: a `data:` URL of an image, so that a client need load nothing from anywhere. `sizes`: "48x48" or "any".

    Raises ValueError for any other URL.
    """

    src: str
    mime_type: str | None = None
    sizes: tuple[str, ...] = ()
    theme: Literal["light", "dark"] | None = None

    def __post_init__(self) -> None:
        if not self.src.startswith("data:image/"):
            raise ValueError(f"An icon is a data: URL of an image, not {self.src[:40]!r}.")

    @classmethod
    def svg(cls, image: bytes) -> Icon:
        return cls(f"data:image/svg+xml;base64,{base64.b64encode(image).decode()}", "image/svg+xml", ("any",))

    @property
    def definition(self) -> dict[str, Any]:
        return told(src=self.src, mimeType=self.mime_type, sizes=list(self.sizes), theme=self.theme)


@dataclass(frozen=True, slots=True)
class Annotations:
    """Hints for a client. `priority`: 0 may be left out, 1 is needed. `last_modified`: ISO 8601. Raises ValueError for another priority."""

    audience: tuple[Literal["user", "assistant"], ...] = ()
    priority: float | None = None
    last_modified: str | None = None

    def __post_init__(self) -> None:
        if self.priority is not None and not 0 <= self.priority <= 1:
            raise ValueError(f"A priority is between 0 and 1, not {self.priority}.")

    @property
    def definition(self) -> dict[str, Any]:
        return told(audience=list(self.audience), priority=self.priority, lastModified=self.last_modified)


def told(**members: Any) -> dict[str, Any]:
    """The members that say something."""
    return {name: value for name, value in members.items() if value not in (None, [], {}, "")}


def icons_of(icons: tuple[Icon, ...]) -> list[Mapping[str, Any]]:
    return [icon.definition for icon in icons]
