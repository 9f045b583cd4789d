"""Write the files of the evaluation set. The same texts give the same bytes.

    python -m evals.make                     next to this file
    python -m evals.make --export FOLDER     incidents, articles and catalogue items as exports of ServiceNow, for `flask knowledge import`
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evals.authoring.attacks import injections, oversize
from evals.authoring.incidents import incidents
from evals.authoring.knowledge import article_questions, articles, catalog_items, item_requests
from mcp_server.tools.taxonomy import Taxonomy

HERE = Path(__file__).parent
TAXONOMY = HERE.parent / "config" / "incident_taxonomy.yaml"


TABLES = {"incident": "incidents", "kb_knowledge": "articles", "sc_cat_item": "catalog_items"}


def rows() -> dict[str, list[Mapping[str, Any]]]:
    """The set: a list for each file."""
    written = list(incidents(Taxonomy.load(TAXONOMY)))
    return {
        "incidents": list(written),
        "articles": list(articles()),
        "catalog_items": list(catalog_items()),
        "retrieval_articles": list(article_questions()),
        "retrieval_items": list(item_requests()),
        "injections": list(injections(written)),
        "oversize": list(oversize(written)),
    }


def make(folder: Path) -> None:
    for name, of_it in rows().items():
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in of_it)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8", newline="\n")


def export(folder: Path) -> None:
    """As ServiceNow's own export has it: a file for each table, named after it."""
    made = rows()
    folder.mkdir(parents=True, exist_ok=True)
    for table, name in TABLES.items():
        (folder / f"{table}.json").write_text(json.dumps({"records": made[name]}, ensure_ascii=False, indent=1), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m evals.make", description="Write the files of the evaluation set.")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="sample data for `flask knowledge import` instead")
    wanted = parser.parse_args()
    if wanted.export:
        export(wanted.export)
    else:
        make(HERE)
