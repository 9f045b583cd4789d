"""What happened lately, as the audit log has it."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from mcp_server.audit_log.reading import recent
from mcp_server.web.console.pages import MOST_ROWS, asked_for, bp, for_operators, show
from mcp_server.web.methods import EVERY, only
from mcp_server.web.services import services


@bp.route("/events", methods=EVERY)
@only("GET")
@for_operators
def events() -> ResponseReturnValue:
    path, query = services().settings.audit_log_path, asked_for().lower()
    found = recent(path, MOST_ROWS * 10) if path is not None and path.is_file() else []
    shown = [record for record in found if query in str(record).lower()]
    return show("events", kept=path is not None, records=shown[:MOST_ROWS], query=asked_for())
