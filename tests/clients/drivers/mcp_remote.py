"""mcp-remote, driven as a desktop application would drive it: a handshake over stdin and stdout."""

from __future__ import annotations

import json
import subprocess
import sys

from driving import CLIENT_ID, ERA, URL, an_hour_later, tell

COMMAND = [*sys.argv[3:], URL, "--transport", "http-only", "--protocol", ERA]
if CLIENT_ID:
    COMMAND += ["--static-oauth-client-info", json.dumps({"client_id": CLIENT_ID})]
HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a desktop application", "version": "1"}}


class Desktop:
    def __init__(self, process):
        self._process = process
        self._id = 0

    def request(self, method, **params):
        """The result. Whatever else is said before it is passed over."""
        self._id += 1
        self.send(id=self._id, method=method, params=params)
        for line in self._process.stdout:
            message = json.loads(line)
            if message.get("id") == self._id:
                if "error" in message:
                    sys.exit(json.dumps(message["error"]))
                return message["result"]
        return sys.exit(f"no answer to {method}")

    def send(self, **message):
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self._process.stdin.flush()

    def echo(self, message):
        return self.request("tools/call", name="echo", arguments={"message": message})["content"][0]["text"]


with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
    desktop = Desktop(process)
    desktop.request("initialize", **HANDSHAKE)
    desktop.send(method="notifications/initialized")
    tools = [tool["name"] for tool in desktop.request("tools/list")["tools"]]
    said = [desktop.echo("at first")]
    an_hour_later()
    said.append(desktop.echo("an hour later"))
    process.terminate()
tell(tools=tools, said=said)
