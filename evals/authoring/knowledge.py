"""60 articles and 60 catalogue items as records of ServiceNow's tables `kb_knowledge` and `sc_cat_item`, and the questions that lead to them.

texts/articles/<category>.txt: `# title`, `Q: question` for each, paragraphs, and `1. step`.
texts/catalog_items.txt: `# name | category | price`, a description, `Q: request`.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

TEXTS = Path(__file__).parent / "texts"
FIRST = datetime(2025, 9, 1, 8, 0, tzinfo=UTC)
_STEP = re.compile(r"\d+\. (.*)")

Row = dict[str, Any]


def articles() -> Iterator[Row]:
    for index, (path, title, lines) in enumerate(_articles()):
        number = f"KB{9000001 + index:07d}"
        yield {
            "sys_id": _sys_id(number),
            "number": number,
            "short_description": title,
            "text": _html(lines),
            "kb_knowledge_base": "IT",
            "kb_category": path.stem,
            "can_read_user_criteria": "",
            "cannot_read_user_criteria": "",
            "valid_to": "2100-01-01",
            "workflow_state": "published",
            "sys_updated_on": f"{FIRST + timedelta(days=index * 5):%Y-%m-%d %H:%M:%S}",
        }


def article_questions() -> Iterator[Row]:
    questions = [
        (line[3:], f"KB{9000001 + index:07d}")
        for index, (_, _, lines) in enumerate(_articles()) for line in lines if line.startswith("Q: ")
    ]
    for index, (query, number) in enumerate(questions):
        yield {"id": f"QA{index + 1:03d}", "query": query, "relevant": [number]}


def catalog_items() -> Iterator[Row]:
    for name, category, price, lines in _items():
        yield {
            "sys_id": _sys_id(name),
            "sys_class_name": "sc_cat_item",
            "name": name,
            "short_description": lines[0],
            "description": f"<p>{html.escape(lines[0], quote=False)}</p>",
            "category": category,
            "price": price,
            "active": "true",
        }


def item_requests() -> Iterator[Row]:
    for index, (name, _, _, lines) in enumerate(_items()):
        yield {"id": f"QI{index + 1:03d}", "query": lines[1].removeprefix("Q: "), "relevant": [_sys_id(name)]}


def _articles() -> Iterator[tuple[Path, str, list[str]]]:
    for path in sorted((TEXTS / "articles").glob("*.txt")):
        for block in re.split(r"^# ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            title, *lines = block.strip().splitlines()
            yield path, title, lines


def _items() -> Iterator[tuple[str, str, str, list[str]]]:
    for block in re.split(r"^# ", (TEXTS / "catalog_items.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, *lines = block.strip().splitlines()
        name, category, price = head.split(" | ")
        yield name, category, price, lines


def _html(lines: list[str]) -> str:
    """As ServiceNow's editor writes it."""
    parts, steps = [], False
    for line in lines:
        if line.startswith("Q: "):
            continue
        step = _STEP.fullmatch(line)
        if bool(step) != steps:
            parts.append("<ol>" if step else "</ol>")
            steps = bool(step)
        text = html.escape(step[1] if step else line, quote=False)
        parts.append(f"<li>{text}</li>" if step else f"<p>{text}</p>")
    return "\n".join([*parts, "</ol>"] if steps else parts)


def _sys_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
