"""A row of kb_knowledge, incident or sc_cat_item, from an export or from the Table API → a document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from .access import named
from .documents import Document, Kind, Restriction
from .html_text import is_html, text_of
from .text import MOST_CHARACTERS, clean, one_line

TABLES: Mapping[str, Kind] = {"kb_knowledge": "article", "incident": "incident", "sc_cat_item": "catalog_item"}
LARGER = {"sc_cat_item_producer": "sc_cat_item", "sc_cat_item_guide": "sc_cat_item", "kb_template_how_to": "kb_knowledge"}
"""Tables that extend one of ours, as `sys_class_name` names them."""
EXPECTED = "kb_knowledge, incident or sc_cat_item"
FIELDS: Mapping[Kind, tuple[str, ...]] = {
    "article": (
        "sys_id", "number", "short_description", "text", "wiki", "article_type", "workflow_state", "active", "valid_from", "valid_to",
        "kb_knowledge_base", "kb_category", "can_read_user_criteria", "cannot_read_user_criteria", "roles", "sys_updated_on"),
    "incident": (
        "sys_id", "number", "short_description", "description", "category", "subcategory", "assignment_group", "state", "priority", "close_notes",
        "close_code", "sys_updated_on"),
    "catalog_item": ("sys_id", "name", "short_description", "description", "category", "active", "roles", "price", "sys_updated_on"),
}
"""What is asked of the Table API, and what an export should have."""
PAGES: Mapping[Kind, str] = {
    "article": "/kb_view.do?sys_kb_id={id}", "incident": "/incident.do?sys_id={id}",
    "catalog_item": "/com.glideapp.servicecatalog_cat_item_view.do?v=1&sysparm_id={id}",
}
_LABELS = {  # the headings of an Excel-like export, where they are not the names with blanks
    "article_body": "text", "body": "text", "knowledge_base": "kb_knowledge_base", "can_read": "can_read_user_criteria",
    "cannot_read": "cannot_read_user_criteria", "workflow": "workflow_state", "updated": "sys_updated_on", "resolution_notes": "close_notes",
    "resolution_code": "close_code",
}
CRITERIA = ("can_read_user_criteria", "cannot_read_user_criteria")
_FALSE = {"false", "0", "no"}


class LeftOut(Exception):
    """A row that is good, and not shown to anybody: the reason, as it is counted. `gone`: what was kept of it goes."""


@dataclass(frozen=True, slots=True)
class Value:
    """What is stored and what people see: a sys_id and a name, `3` and `Closed`."""

    stored: str
    shown: str


Record = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Made:
    """`cut`: the text was longer than is kept."""

    document: Document
    cut: bool


def record_of(fields: Mapping[str, Any]) -> Record:
    """JSON, also as the Table API answers with `sysparm_display_value=all`."""
    return {field_name(str(name)): _value(value) for name, value in fields.items()}


def _value(value: Any) -> Value:
    if isinstance(value, Mapping):
        stored, shown = _plain(value.get("value")), _plain(value.get("display_value"))
        return Value(stored or shown, shown or stored)
    return Value(_plain(value), _plain(value))


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def field_name(heading: str) -> str:
    """A column as ServiceNow's database names it."""
    name = re.sub(r"\W+", "_", heading.strip().lower()).strip("_")
    return _LABELS.get(name, name)


def table_named(name: str) -> str | None:
    """One of ours, by its name or that of one that extends it."""
    return name if name in TABLES else LARGER.get(name)


def id_of(kind: Kind, record: Record) -> str:
    """By what a record is known. Raises ValueError."""
    found = _stored(record, "sys_id") or (_stored(record, "number") if kind != "catalog_item" else _stored(record, "name"))
    if not found:
        raise ValueError("it has neither sys_id nor number" if kind != "catalog_item" else "it has neither sys_id nor name")
    return one_line(found)[:200]


def document_of(kind: Kind, record: Record, instance: str | None) -> Made:
    """Raises ValueError for what cannot be read, in words; LeftOut for what nobody is shown."""
    each = id_of(kind, record)
    if kind == "article":
        _published(record)
    if _stored(record, "active").lower() in _FALSE:
        raise LeftOut(f"{kind} is not active")
    title = one_line(_shown(record, "short_description") if kind != "catalog_item" else _shown(record, "name") or _shown(record, "short_description"))
    if not title:
        raise ValueError(f"it has no {'name' if kind == 'catalog_item' else 'short_description'}")
    text, cut = _text(kind, record)
    number = one_line(_stored(record, "number")) or each
    known = kind != "article" or set(CRITERIA) <= record.keys()
    has_id = bool(_stored(record, "sys_id"))
    return Made(Document(
        kind=kind, id=each, number=number, title=title, text=text, facts=_facts(kind, record), updated=_time(record, "sys_updated_on"),
        url=instance + PAGES[kind].format(id=each) if instance and has_id else None,
        restriction=Restriction(
            known, *(named(_stored(record, name), _shown(record, name)) for name in (*CRITERIA, "roles"))),
        visible_from=_moment(record, "valid_from"), visible_until=_end_of_day(record, "valid_to")), cut)


def _published(record: Record) -> None:
    state = _stored(record, "workflow_state").lower()
    if not state:
        raise LeftOut("article does not say that it is published (workflow_state)")
    if state != "published":
        raise LeftOut("article is not published")


def _text(kind: Kind, record: Record) -> tuple[str, bool]:
    parts = {"article": ("text", "wiki"), "incident": ("description",), "catalog_item": ("short_description", "description")}[kind]
    found = [_readable(_shown(record, name)) for name in parts]
    text = "\n\n".join(dict.fromkeys(part for part in found if part))
    return text[:MOST_CHARACTERS], len(text) > MOST_CHARACTERS


def _readable(text: str) -> str:
    return text_of(text)[1] if is_html(text) else clean(text)


def _facts(kind: Kind, record: Record) -> dict[str, str]:
    names = {
        "article": {"category": "kb_category", "knowledge_base": "kb_knowledge_base"},
        "incident": {name: name for name in ("category", "subcategory", "assignment_group", "state", "priority")} | {"resolution_code": "close_code"},
        "catalog_item": {"category": "category", "price": "price"},
    }[kind]
    facts = {fact: one_line(_shown(record, name)) for fact, name in names.items()}
    if kind == "incident":
        facts["resolution"] = _readable(_shown(record, "close_notes"))[:MOST_CHARACTERS]
    if kind == "article":
        facts["knowledge_base_id"] = one_line(_stored(record, "kb_knowledge_base"))
    return {fact: value for fact, value in facts.items() if value}


def _stored(record: Record, name: str) -> str:
    return record[name].stored.strip() if name in record else ""


def _shown(record: Record, name: str) -> str:
    return (record[name].shown.strip() or record[name].stored.strip()) if name in record else ""


def _time(record: Record, name: str) -> str:
    """Raises ValueError for a time in another form: a person's own form of dates cannot be told from another person's."""
    text = _stored(record, name)
    if text and not re.fullmatch(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?", text):
        raise ValueError(f"{name}: {text[:40]!r} is not a time such as 2026-01-31 or 2026-01-31 08:00:00. Export with that form of dates")
    return text


def _moment(record: Record, name: str) -> float | None:
    text = _time(record, name)
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() if text else None
    except ValueError:
        raise ValueError(f"{name}: {text!r} is no day of the calendar") from None


def _end_of_day(record: Record, name: str) -> float | None:
    """A day belongs to what is valid to it."""
    moment = _moment(record, name)
    return moment + 86400 if moment is not None and len(_stored(record, name)) == len("2026-01-31") else moment
