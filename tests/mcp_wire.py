"""MCP over a socket of its own: an answer is read as it comes."""

from __future__ import annotations

import json
import socket

from tests.running import API_KEY

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
BOTH = "application/json, text/event-stream"


class Stream:
    """One POST or GET over a socket of its own: the head of the answer, then its events as they come."""

    def __init__(self, gateway, body=None, method="POST", port=None, **headers) -> None:
        """`port`: of a proxy before the gateway."""
        self.socket = socket.create_connection(("127.0.0.1", port or gateway.port), timeout=30)
        content = b"" if body is None else json.dumps(body).encode()
        head = {"Host": f"localhost:{gateway.port}", "X-API-Key": API_KEY, "Accept": BOTH, "Content-Type": "application/json"}
        fields = head | headers | {"Content-Length": len(content)}
        lines = [f"{method} /mcp HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items()), "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + content)
        self.file = self.socket.makefile("rb")

    def read_head(self):
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        return self

    def lines(self):
        """The lines of the body, out of its chunks."""
        rest = b""
        while size := int(self.file.readline() or b"0", 16):
            rest += self.file.read(size)
            self.file.readline()
            *lines, rest = rest.split(b"\n")
            yield from lines

    def events(self):
        """Pairs of id and message; a comment is (None, None)."""
        event_id = None
        for line in self.lines():
            if line.startswith(b"id: "):
                event_id = line[4:].decode()
            elif line.startswith(b": "):
                yield None, None
            elif line.startswith(b"data: ") and line != b"data: ":
                yield event_id, json.loads(line[6:])

    def close(self):
        self.file.close()
        self.socket.close()


def call(name="llm_generate", *, id=1, token=None, stateless=False, **arguments):
    meta = (META if stateless else {}) | ({"progressToken": token} if token is not None else {})
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "arguments": arguments} | ({"_meta": meta} if meta else {})}


def listening_to(**notifications):
    return {"jsonrpc": "2.0", "id": 9, "method": "subscriptions/listen", "params": {"notifications": notifications, "_meta": META}}


def headers_of(message):
    return {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": message["method"], "Mcp_Name": message["params"].get("name", "")}
