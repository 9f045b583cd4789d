"""What a command did to the knowledge, told to the operator: what is there now, what was left out and why, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mcp_server.cli.output import plain, print_json, print_record, remark
from mcp_server.clock import moment
from mcp_server.knowledge.ports import IndexState

MOST_PROBLEMS = 20


class Imported:
    """What a command did, counted."""

    def __init__(self) -> None:
        self.new = self.changed = self.removed = self.hidden = 0
        self.skipped: Counter[str] = Counter()
        self.problems: list[str] = []
        self.notes: list[str] = []

    def add(self, new: int, changed: int, removed: int, skipped: Counter[str], problems: Sequence[str]) -> None:
        self.new, self.changed, self.removed = self.new + new, self.changed + changed, self.removed + removed
        self.skipped += skipped
        self.problems += problems


def shown(state: IndexState) -> dict[str, Any]:
    model = state.model
    return {"generation": state.generation, "built_at": moment(state.built_at), "documents": dict(state.documents), "passages": state.passages,
            "embedding_model": f"{model.name} ({model.dimensions} numbers)" if model else "none: only words are compared",
            "left_out": dict(state.left_out)}


def tell(counted: Imported, state: IndexState, *, as_json: bool) -> None:
    if as_json:
        print_json({"new": counted.new, "changed": counted.changed, "removed": counted.removed, "skipped": dict(counted.skipped),
                    "hidden_by_the_instance": counted.hidden, "problems": counted.problems, "notes": counted.notes, "index": shown(state)})
        return
    for problem in counted.problems[:MOST_PROBLEMS]:
        remark(plain(problem))
    if len(counted.problems) > MOST_PROBLEMS:
        remark(f"and {len(counted.problems) - MOST_PROBLEMS} more problems: --json shows all.")
    for note in counted.notes[:MOST_PROBLEMS]:
        remark(plain(note))
    print_record({"new": counted.new, "changed": counted.changed, "removed": counted.removed,
                  **{f"{kind}s in the index": count for kind, count in state.documents.items()},
                  "embedding model": shown(state)["embedding_model"]}, as_json=False)
    for reason, count in counted.skipped.items():
        remark(f"Skipped: {count} x {plain(reason)}.")
    if counted.hidden:
        remark(f"Not read: {counted.hidden} records that the account may not read.")
    tell_left_out(state)


def tell_left_out(state: IndexState) -> None:
    for reason, count in state.left_out.items():
        remark(f"Not shown to anybody: {count} x {plain(reason)}.")
    if any("does not map" in reason for reason in state.left_out):
        remark("Say in config/knowledge.yaml whom of the callers that means, then run: flask knowledge rebuild")
    if any("does not say" in reason for reason in state.left_out):
        remark("Export can_read_user_criteria, cannot_read_user_criteria and roles too, or import with --everybody if every caller may read them.")
