"""Where a secret could have got to, and in which form."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from urllib.parse import quote

import redis

from tests.servers import program

SHORTEST = 12


def forms(secret: str) -> dict[str, bytes]:
    """The secret as it might be written. Of a JWT the signature, of others what is left where a line is cut."""
    mark = (secret.rpartition(".")[2] if secret.count(".") == 2 else secret)[:24]
    assert len(mark) >= SHORTEST, "too short to be looked for"
    raw = mark.encode()
    found = {"as it is": raw, "percent-encoded": quote(mark, safe="").encode(), "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
    for shift in range(3):  # base64 of something that has it in the middle
        whole = base64.b64encode(b"\0" * shift + raw)
        inner = whole[4 * -(-shift // 3):len(whole) - 4]
        found[f"base64 shifted by {shift}"] = inner
        found[f"base64url shifted by {shift}"] = inner.translate(bytes.maketrans(b"+/", b"-_"))
    return found


def leaks(secrets: dict[str, str], places: dict[str, bytes]) -> list[str]:
    """What was found: which secret, in which form, in which place."""
    return [f"{name} {form}: {place}" for name, secret in secrets.items() for form, mark in forms(secret).items()
            for place, content in places.items() if mark in content]


def files(folder: Path) -> dict[str, bytes]:
    """Everything that the gateway wrote into its folder; -wal and -shm too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.name != ".env" and not path.is_symlink() and "mcp_server" not in path.parts and "config" not in path.parts}


def command_lines() -> dict[str, bytes]:
    """Of every process of this machine but the tests' own."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[str(path)] = path.read_bytes() + (path.parent / "comm").read_bytes()
        except OSError:  # it has ended
            continue
    return found


def of_redis(url: str) -> dict[str, bytes]:
    """Every key with its value, read as its type is, and as Redis serializes it."""
    with redis.Redis.from_url(url) as connection:
        return {f"Redis {key!r}": b"\n".join((key, connection.dump(key) or b"", *_values(connection, key))) for key in connection.scan_iter("*")}


def _values(connection, key):
    read = {b"string": lambda: [connection.get(key)], b"hash": lambda: [part for pair in connection.hgetall(key).items() for part in pair],
            b"list": lambda: connection.lrange(key, 0, -1), b"set": lambda: connection.smembers(key),
            b"zset": lambda: connection.zrange(key, 0, -1),
            b"stream": lambda: [value for _, fields in connection.xrange(key) for value in fields.values()]}
    return [value for value in read[connection.type(key)]() if value]


def of_postgres(port: int, database: str) -> dict[str, bytes]:
    command = [program("pg_dump"), "--host=127.0.0.1", f"--port={port}", "--username=postgres", "--no-password", database]
    return {"pg_dump": subprocess.run(command, capture_output=True, check=True).stdout}
