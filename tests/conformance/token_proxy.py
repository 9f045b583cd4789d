"""Puts a token on every request: the conformance suite cannot send one, and the server does not answer without.

Everything else goes through as it came, bytes as soon as they are there, in both directions; who leaves first takes the other side along.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading

from tests.servers import free_port

LONGEST_HEAD = 1 << 20


class TokenProxy:
    """Listens on `port` of loopback, before the server at `upstream`. `token` None: nothing is added."""

    def __init__(self, upstream):
        self.port, self.token = free_port(), None
        self.url = f"http://localhost:{self.port}"
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections = set()

    def __enter__(self):
        self._thread.start()
        self._server = self._on_loop(asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=LONGEST_HEAD))
        return self

    def __exit__(self, *_):
        self._on_loop(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _on_loop(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=20)

    async def _close(self):
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, from_client, to_client):
        task = asyncio.current_task()
        self._connections.add(task)
        to_server = None
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                head = await from_client.readuntil(b"\r\n\r\n")
                from_server, to_server = await asyncio.open_connection("127.0.0.1", self._upstream)
                to_server.write(self._with_token(head))
                copies = {asyncio.ensure_future(_copy(from_client, to_server)), asyncio.ensure_future(_copy(from_server, to_client))}
                _, pending = await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
                for copy in pending:
                    copy.cancel()
                await asyncio.gather(*copies, return_exceptions=True)
        finally:
            self._connections.discard(task)
            for writer in (to_client, to_server):
                if writer is not None:
                    writer.close()

    def _with_token(self, head):
        """One request a connection: the server ends it behind the answer."""
        request, *headers = head[:-4].split(b"\r\n")
        kept = [header for header in headers if _name(header) not in (b"connection", b"keep-alive")]
        if self.token is not None:
            kept = [header for header in kept if _name(header) != b"authorization"] + [b"Authorization: Bearer " + self.token.encode()]
        return b"\r\n".join([request, *kept, b"Connection: close", b"", b""])


def _name(header):
    return header.partition(b":")[0].strip().lower()


async def _copy(reader, writer):
    while content := await reader.read(65536):
        writer.write(content)
        await writer.drain()
