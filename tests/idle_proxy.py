"""A proxy as they stand before servers: it ends a connection on which nothing has moved for a while."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def idle_proxy(port: int, seconds: float) -> Iterator[int]:
    """Its port. It forwards to `port` on loopback, and drops what is idle for so many seconds."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, port, seconds), daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, port: int, seconds: float) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_forward, args=(client, port, seconds), daemon=True).start()


def _forward(client: socket.socket, port: int, seconds: float) -> None:
    with client, socket.create_connection(("127.0.0.1", port)) as server, contextlib.suppress(OSError):
        other = {client: server, server: client}
        while ready := select.select(list(other), [], [], seconds)[0]:
            for side in ready:
                if not (data := side.recv(65536)):
                    return
                other[side].sendall(data)
