"""What the drivers in Python share. Plain standard library: each runs in an environment of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

URL, ERA = sys.argv[1:3]
CLIENT_ID = os.environ.get("CLIENT_ID")  # of a client that the operator made; without it the client registers itself
HOUR = 3700  # longer than an access token lives
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

_time = time.time


def an_hour_later():
    """For the server, whose clock is the age of a file, and for this process."""
    ahead = Path(os.environ["AHEAD"])
    later = ahead.stat().st_mtime + HOUR
    os.utime(ahead, (later, later))
    time.time = lambda: _time() + HOUR


def tell(**found):
    """What this client saw; `anew`: it had to forget its tokens to get what it was missing."""
    json.dump({"anew": False, **found}, sys.stdout)


class Loopback:
    """Where a program on a person's machine waits for the answer to its authorization request."""

    def __init__(self):
        self._answer = asyncio.Queue()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._led_back, "127.0.0.1", 0)
        self.redirect_uri = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/callback"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def open_browser(self, address):
        await asyncio.to_thread(subprocess.run, [os.environ["BROWSER"], address], check=True)

    async def answer(self):
        return await self._answer.get()

    async def _led_back(self, reader, writer):
        target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        writer.write(PAGE)
        await writer.drain()
        writer.close()
        self._answer.put_nowait(dict(parse_qsl(urlsplit(target).query)))
