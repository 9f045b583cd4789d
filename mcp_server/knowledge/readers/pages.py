"""Markdown, HTML and text: each file an article that every caller may read, unless its folder is narrowed like a knowledge base."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from mcp_server.knowledge.documents import Document
from mcp_server.knowledge.html_text import text_of
from mcp_server.knowledge.text import MOST_CHARACTERS, clean, one_line

from .bytes import encoding_of
from .outcome import Outcome, Problem, Read

LARGEST = 16 * 1024 * 1024
_NUMBER = re.compile(r"(KB\d{4,})\b", re.IGNORECASE)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def read_page(path: Path, form: str, root: Path) -> Outcome:
    """`root`: the folder that was named; its name is the knowledge base, and the path below it the number."""
    if path.stat().st_size > LARGEST:
        return Problem(str(path), f"it is larger than {LARGEST >> 20} MB.")
    try:
        raw = path.read_bytes().decode(encoding_of(path), errors="replace")
    except OSError as error:
        return Problem(str(path), f"it cannot be read: {error.strerror}.")
    title, text = _of_html(raw) if form == "html" else _of_markdown(raw) if form == "markdown" else ("", clean(raw))
    if not text:
        return Problem(str(path), "there is no text in it.")
    below = path.relative_to(root).as_posix() if path != root else path.name
    named = _NUMBER.match(path.stem)
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M:%S")
    base = root.name if path != root else path.parent.name
    facts = {"knowledge_base": base} | ({"category": path.parent.name} if root not in (path.parent, path) else {})
    document = Document(
        "article", f"{base}/{below}", named[1].upper() if named else one_line(below), one_line(title) or _first_line(text), text[:MOST_CHARACTERS],
        facts, changed)
    return Read(document, f"{path}: the text was cut: it is too long." if len(text) > MOST_CHARACTERS else "")


def _of_html(raw: str) -> tuple[str, str]:
    title, text = text_of(raw)
    return title, text


def _of_markdown(raw: str) -> tuple[str, str]:
    """A comment is not shown by anything that renders Markdown, so it is not text."""
    text = clean(_COMMENT.sub("", _FRONT_MATTER.sub("", raw.replace("\r\n", "\n").lstrip("\ufeff"), count=1)))
    heading = _HEADING.search(text)
    return (heading[1] if heading else ""), text


def _first_line(text: str) -> str:
    return one_line(text.partition("\n")[0])
