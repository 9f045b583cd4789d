"""The Inspector's command line: each request is a process of its own, and what it was allowed lies in the person's home folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

from driving import CLIENT_ID, ERA, URL, an_hour_later, tell

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    CALLBACK = f"http://127.0.0.1:{free.getsockname()[1]}/oauth/callback"
COMMAND = [*sys.argv[3:], "--cli", "--server-url", URL, "--transport", "http", "--protocol-era", ERA, "--callback-url", CALLBACK, "--format", "json"]
if CLIENT_ID:
    COMMAND += ["--client-id", CLIENT_ID]
ENVIRONMENT = {
    **os.environ, "MCP_AUTO_OPEN_ENABLED": "true",  # opens the browser though there is no terminal
    "MCP_INSPECTOR_SECRET_STORE": "file"}


def inspector(*arguments):
    """What it prints, or None when it fails. Says yes to whatever it asks."""
    done = subprocess.run([*COMMAND, *arguments], input=b"y\n", stdout=subprocess.PIPE, env=ENVIRONMENT, check=False)
    return json.loads(done.stdout)["result"] if done.returncode == 0 else None


def echo(message, *options):
    result = inspector("--method", "tools/call", "--tool-name", "echo", "--tool-arg", f"message={message}", *options)
    return result and result["content"][0]["text"]


tools = [tool["name"] for tool in inspector("--method", "tools/list")["tools"]]
first = echo("at first")
anew = first is None
if anew:
    first = echo("at first", "--relogin")
an_hour_later()
tell(tools=tools, said=[first, echo("an hour later")], anew=anew)
