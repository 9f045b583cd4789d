"""Exports of a table: JSON, a record a line (JSON Lines), CSV, XML. Rows first, then what they mean."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import orjson
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from mcp_server.errors import KnowledgeRefused
from mcp_server.knowledge.documents import Kind
from mcp_server.knowledge.records import EXPECTED, TABLES, Record, Value, field_name, record_of, table_named

from .bytes import encoding_of
from .outcome import Outcome, Problem, outcome_of

LARGEST_JSON = 512 * 1024 * 1024
LONGEST_CELL = 16 * 1024 * 1024
DELIMITERS = ",;\t|"
Row = tuple[str, str | None, Record | str]
"""Where it stands, the table that it names, and its fields or what is wrong with it."""


def read_export(path: Path, form: str, table: str | None, instance: str | None) -> Iterator[Outcome]:
    """`table`: what the operator says it is; else what the file says, or its name. Raises KnowledgeRefused for a file that is none of ours."""
    rows = {"json": _json, "jsonl": _json_lines, "csv": _csv, "xml": _xml}[form](path)
    told = set()
    for where, named, fields in rows:
        if isinstance(fields, str):
            yield Problem(where, fields)
            continue
        found = table or _table_of(named, path, fields)
        if found is None:
            unknown = named or ""
            if not named:
                raise KnowledgeRefused(
                    f"{path} does not say which table it is an export of. Name it after the table ({EXPECTED}), or give --kind.")
            if unknown not in told:
                told.add(unknown)
                yield Problem(where, f"the table {unknown[:80]!r} is not one that is read: {EXPECTED}. Its rows are skipped.")
            continue
        kind: Kind = TABLES[found]
        yield outcome_of(kind, fields, instance, where)


def _table_of(named: str | None, path: Path, fields: Record) -> str | None:
    if named:
        return table_named(named)
    if "sys_class_name" in fields and (found := table_named(fields["sys_class_name"].stored)):
        return found
    stem = path.stem.lower()
    for table in TABLES:
        if re.match(rf"{table}\b|{table}[_\s(]", stem):
            return table
    number = fields["number"].stored.upper() if "number" in fields else ""
    return "kb_knowledge" if re.match(r"KB\d", number) else "incident" if re.match(r"INC\d", number) else None


def _json(path: Path) -> Iterator[Row]:
    if path.stat().st_size > LARGEST_JSON:
        raise KnowledgeRefused(f"{path} is larger than {LARGEST_JSON >> 20} MB. Export it as CSV or XML, or in parts.")
    try:
        content = orjson.loads(path.read_bytes().decode(encoding_of(path)))
    except (orjson.JSONDecodeError, UnicodeDecodeError) as error:
        raise KnowledgeRefused(f"{path} is not JSON: {error}.") from error
    table, records = _records(content)
    if records is None:
        raise KnowledgeRefused(f'{path} is no export: it should be a list of records, or an object with "records" or "result".')
    for number, record in enumerate(records, 1):
        where = f"{path} record {number}"
        if not isinstance(record, dict):
            yield where, table, "it is not an object."
        else:
            yield where, _said(record.get("__table__")) or table, record_of(record)


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding=encoding_of(path), errors="replace") as file:
        for number, line in enumerate(file, 1):
            where = f"{path} line {number}"
            try:
                record = orjson.loads(line) if line.strip() else None
            except orjson.JSONDecodeError as error:
                yield where, None, f"it is not JSON: {error}."
                continue
            if isinstance(record, dict):
                yield where, _said(record.get("__table__")), record_of(record)
            elif record is not None:
                yield where, None, "it is not an object."


def _records(content: Any) -> tuple[str | None, list[Any] | None]:
    if isinstance(content, dict):
        name = next((name for name in ("records", "result", *TABLES) if isinstance(content.get(name), list)), None)
        return (name if name in TABLES else None), (content[name] if name else None)
    return None, content if isinstance(content, list) else None


def _said(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_CELL)
    with path.open(encoding=encoding_of(path), newline="", errors="replace") as file:
        first = file.readline()
        delimiter = first.strip()[4:5] if first.lower().startswith("sep=") else None
        if delimiter is None:
            file.seek(0)
            delimiter = max(DELIMITERS, key=first.count)
        rows = csv.reader(file, delimiter=delimiter or ",")
        header: list[str] | None = None
        while True:
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield f"{path} line {rows.line_num}", None, f"{error}."
                continue
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [field_name(cell) for cell in cells]
                if not {"short_description", "name"} & set(header):
                    raise KnowledgeRefused(
                        f"{path}: the first line must name the columns, short_description among them (name for catalogue items). It has: "
                        f"{', '.join(header[:12])}.")
            elif len(cells) != len(header):
                yield f"{path} line {rows.line_num}", None, f"it has {len(cells)} cells, and the first line has {len(header)}."
            else:
                yield f"{path} line {rows.line_num}", None, {name: Value(cell, cell) for name, cell in zip(header, cells, strict=True)}


def _xml(path: Path) -> Iterator[Row]:
    """A document type or an entity of its own is refused: an export has none, and they make little files large."""
    depth = number = 0
    try:
        with path.open("rb") as file:
            root: Element | None = None
            for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
                depth += 1 if event == "start" else -1
                root = element if root is None else root
                if event == "end" and depth == 1:
                    number += 1
                    yield f"{path} record {number}", element.tag, {field_name(child.tag): _of_element(child) for child in element}
                    root.clear()
    except DefusedXmlException as error:
        raise KnowledgeRefused(f"{path} has a document type or entities of its own: that is no export of ServiceNow's.") from error
    except ParseError as error:
        yield f"{path} record {number + 1}", None, f"it is not XML from here on: {error}."


def _of_element(element: Element) -> Value:
    stored = "".join(element.itertext())
    return Value(stored, element.get("display_value") or stored)
