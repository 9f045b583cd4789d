"""A server of ours that speaks ServiceNow's Table API: queries of `^` alone, pages, display values, rows an account may not read, faults."""

from __future__ import annotations

import base64
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

BASIC = "Basic " + base64.b64encode(b"sync:pass word").decode()


class Instance:
    """`tables`: rows by table. `hidden`: sys_ids that count and are not shown. `faults`: answers that come first; None: a good one."""

    def __init__(self):
        self.tables = {}
        self.hidden, self.forbidden = set(), set()
        self.faults = []
        self.asked = []
        self.counts = True
        self.accepted = {BASIC, "Bearer t0ken"}
        self.tokens_given = 0

    def article(self, number, updated="2026-01-01 00:00:00", **changes):
        row = {
            "sys_id": f"{number:032x}", "number": f"KB{number:07}", "short_description": f"Article {number}", "text": f"<p>Text {number}</p>",
            "workflow_state": "published", "active": "true", "can_read_user_criteria": "", "cannot_read_user_criteria": "", "roles": "",
            "kb_knowledge_base": ("b1", "IT"), "sys_updated_on": updated} | changes
        self.tables.setdefault("kb_knowledge", {})[row["sys_id"]] = row
        return row["sys_id"]

    def rows(self, table, query):
        rows = sorted(self.tables.get(table, {}).values(), key=lambda row: row["sys_id"])
        ordered = False
        for part in filter(None, query.split("^")):
            condition = re.fullmatch(r"(\w+)(>=|>)(.+)", part)
            if part == "ORDERBYsys_id":
                ordered = True
            elif condition:
                name, operator, value = condition.groups()
                rows = [row for row in rows if (row[name] >= value if operator == ">=" else row[name] > value)]
            else:
                raise AssertionError(part)
        return rows if ordered else rows[::-1]


def shown(value):
    stored, display = value if isinstance(value, tuple) else (value, value)
    return {"value": stored, "display_value": display}


class Handler(BaseHTTPRequestHandler):
    instance = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, document, headers=()):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def fault(self):
        if not self.instance.faults:
            return False
        fault = self.instance.faults.pop(0)
        if fault is None:
            return False
        if fault == "drop":
            self.close_connection = True
            return True
        status, headers, body = fault
        self.answer(status, body, headers)
        return True

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if self.path != "/oauth_token.do" or form != {"grant_type": ["client_credentials"], "client_id": ["c1"], "client_secret": ["s1"]}:
            self.answer(401, {"error": "invalid_client"})
            return
        self.instance.tokens_given += 1
        self.instance.accepted.add(f"Bearer given{self.instance.tokens_given}")
        self.answer(200, {"access_token": f"given{self.instance.tokens_given}", "expires_in": 1800})

    def do_GET(self):
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.instance.asked.append((parts.path, asked))
        table = parts.path.rpartition("/")[2]
        if self.fault():
            return
        if self.headers.get("Authorization") not in self.instance.accepted:
            self.answer(401, {"error": {"message": "User Not Authenticated"}})
            return
        if table in self.instance.forbidden:
            self.answer(403, {"error": {"message": "no"}})
            return
        assert parts.path == f"/api/now/table/{table}"
        rows = self.instance.rows(table, asked.get("sysparm_query", ""))
        offset, limit = int(asked["sysparm_offset"]), int(asked["sysparm_limit"])
        page = [row for row in rows[offset : offset + limit] if row["sys_id"] not in self.instance.hidden]
        fields = asked["sysparm_fields"].split(",")
        result = [{name: shown(row[name]) for name in fields if name in row} for row in page]
        self.answer(200, {"result": result}, {"X-Total-Count": str(len(rows))} if self.instance.counts else {})


@contextmanager
def served(instance, context=None):
    """The instance on a real port of loopback; its URL."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"instance": instance}))
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
