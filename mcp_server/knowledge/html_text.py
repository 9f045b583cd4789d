"""What a person would read of a page: no script, no style, no comment, nothing that is hidden."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from .text import clean

_UNREAD = {"script", "style", "template", "noscript", "svg", "iframe", "object", "title"}
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_BLOCKS = {
    "address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul"}
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_MARKUP = re.compile(r"<(/?[a-zA-Z]|!--)|&[a-zA-Z#][a-zA-Z0-9]{1,8};")
MOST_MARKUP = 4_000_000


def is_html(text: str) -> bool:
    return bool(_MARKUP.search(text))


def text_of(html: str) -> tuple[str, str]:
    """The title and the text. Of a page without a title its first heading is one."""
    reader = _Reader()
    reader.feed(html[:MOST_MARKUP])
    reader.close()
    return clean(" ".join(reader.title)), clean("".join(reader.parts))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title: list[str] = []
        self._unread: str | None = None
        self._depth = 0
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._unread is not None:
            self._depth += tag == self._unread
            return
        given = dict(attrs)
        if tag not in _VOID and (tag in _UNREAD or "hidden" in given or _HIDDEN.search(given.get("style") or "")):
            self._unread, self._depth, self._in_title = tag, 1, tag == "title"
        elif tag == "br":
            self.parts.append("\n")
        elif tag in ("td", "th"):
            self.parts.append(" | ")
        elif tag in _BLOCKS:
            self.parts.append("\n- " if tag == "li" else "\n" if tag == "tr" else "\n\n")

    def handle_endtag(self, tag: str) -> None:
        if self._unread is not None:
            self._depth -= tag == self._unread
            if self._depth == 0:
                self._unread, self._in_title = None, False
        elif tag in _BLOCKS and tag not in ("li", "tr"):
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif self._unread is None:
            self.parts.append(data)
