"""How commands speak: aligned text for people, `--json` for scripts. What is said goes to stdout, remarks and errors to stderr."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

Record = Mapping[str, Any]

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts instead of text for people.")
ONCE = "shown this once: it is not stored readable"


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def print_rows(rows: Sequence[Record], columns: Sequence[str], *, as_json: bool, none: str) -> None:
    """A table with these columns; as JSON everything that is in the rows. `none` is said, on stderr, when there are none."""
    if as_json:
        print_json(list(rows))
    elif not rows:
        remark(none)
    else:
        table([[column.replace("_", " ").upper() for column in columns], *([plain(row[column]) for column in columns] for row in rows)])


def print_record(record: Record, *, as_json: bool, secrets: Sequence[str] = ()) -> None:
    """One thing, a line for each part. `secrets` are parts that are never shown again, and are marked so."""
    if as_json:
        print_json(record)
        return
    shown = {name: value for name, value in record.items() if value not in (None, "", [], ())}
    marks = dict.fromkeys(secrets, f"   ({ONCE})")
    table([[name.replace("_", " "), plain(value) + marks.get(name, "")] for name, value in shown.items()])


def table(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def plain(value: Any) -> str:
    """Clients choose their names: nothing in one may move the cursor or turn the direction of the text."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(plain(each) for each in value) or "-"
    return "".join(character if character.isprintable() else "\ufffd" for character in str(value))


def remark(text: str) -> None:
    click.echo(text, err=True)


def error_line(text: str) -> None:
    click.echo(text, err=True)
