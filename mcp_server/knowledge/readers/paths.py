"""What an operator names on the command line: files, and folders with everything below them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mcp_server.errors import KnowledgeRefused

from .exports import read_export
from .outcome import Outcome, Problem
from .pages import read_page

FORMS = {
    ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".xml": "xml",
    ".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html", ".txt": "text",
}
EXPORTS = ("json", "jsonl", "csv", "xml")
NAMES = (*EXPORTS, "markdown", "html", "text")


def files_of(path: Path) -> list[Path]:
    """Those that can be read, in a steady order. Hidden ones, and links out of the folder, are left alone. Raises KnowledgeRefused."""
    if not path.exists():
        raise KnowledgeRefused(f"There is no {path}.")
    if path.is_file():
        return [path]
    root = path.resolve()
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in FORMS and file.is_file() and file.resolve().is_relative_to(root))
    found = [file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    if not found:
        raise KnowledgeRefused(f"In {path} is nothing that can be read: {', '.join(FORMS)}.")
    return found


def read_file(path: Path, root: Path, *, form: str | None = None, table: str | None = None, instance: str | None = None) -> Iterator[Outcome]:
    """Raises KnowledgeRefused for a file whose form nobody told."""
    form = form or FORMS.get(path.suffix.lower())
    if form is None:
        raise KnowledgeRefused(f"{path}: the ending does not say what it is. Give --format: {', '.join(NAMES)}.")
    try:
        if form in EXPORTS:
            yield from read_export(path, form, table, instance)
        else:
            yield read_page(path, form, root)
    except OSError as error:
        yield Problem(str(path), f"it cannot be read: {error.strerror}.")
