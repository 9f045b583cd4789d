"""What a tool call costs here, beside a bare Flask route on the same server: CPU per request, and times.

An authenticated `tools/call` of echo over keep-alive connections, with every layer on. All servers run at once and get
their loads in turn, the order reversed each round, so that a busy machine is busy for all of them. The figure to trust
is the CPU time of the worker per request: requests per second follow whatever else the machine does.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import load
from benchmarks.servers import ROOT, Redis, Server, new_token, redis_is_installed

FLOOR, SQLITE, REDIS = "floor", "sqlite", "redis"
TARGETS = (FLOOR, SQLITE, REDIS)
BODY_LENGTH = 326
WARM_UP = 0.3
APPLICATIONS = {FLOOR: "benchmarks.floor:app", SQLITE: "wsgi:app", REDIS: "wsgi:app"}


@dataclass(frozen=True)
class Round:
    cpu: float  # microseconds per request
    rate: float
    p50: float  # milliseconds
    p99: float


class Call:
    """The one request that is sent, and what its answer has to be."""

    def __init__(self) -> None:
        self.body = self._message_of("")
        self.message = ("The printer on the third floor is out of toner. " * 7)[: BODY_LENGTH - len(self.body)]
        self.body = self._message_of(self.message)
        self.token = new_token()
        self.forged = f"{self.token[:-5]}{'A' if self.token[-5] != 'A' else 'B'}{self.token[-4:]}"

    @staticmethod
    def _message_of(text: str) -> bytes:
        call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "echo", "arguments": {"message": text}}}
        return json.dumps(call, separators=(",", ":")).encode()

    @property
    def answer(self) -> object:
        return {"jsonrpc": "2.0", "id": 7, "result": {"content": [{"type": "text", "text": self.message}]}}

    def headers(self, token: str) -> dict[str, str]:
        return {
            "Host": "mcp.example.com", "Authorization": f"Bearer {token}", "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18", "Content-Length": str(len(self.body))}

    @property
    def on_the_wire(self) -> bytes:
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers(self.token).items())
        return f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + self.body

    def check(self, server: Server, *, guarded: bool) -> bytes:
        """The body of the right answer. Raises WrongAnswer, also if a guarded server believes a forged token."""
        status, body = self._sent(server, self.token)
        if status != http.client.OK or json.loads(body) != self.answer:
            raise load.WrongAnswer(f"{server.name}: {status} {body[:300]!r}")
        if guarded and self._sent(server, self.forged)[0] != http.client.UNAUTHORIZED:
            raise load.WrongAnswer(f"{server.name} answers a forged token.")
        return body

    def _sent(self, server: Server, token: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        try:
            connection.request("POST", "/mcp", self.body, self.headers(token))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def measure(server: Server, call: Call, *, connections: int, seconds: float) -> Round:
    guarded = not server.name.startswith(FLOOR)
    expected = call.check(server, guarded=guarded)
    load.run(server.port, call.on_the_wire, expected, connections=connections, seconds=WARM_UP)
    lines, cpu = server.access_lines, server.cpu_seconds
    shown = load.run(server.port, call.on_the_wire, expected, connections=connections, seconds=seconds)
    cpu = server.cpu_seconds - cpu
    if guarded and server.access_lines - lines != shown.requests:
        raise load.WrongAnswer(f"{server.name}: {shown.requests} requests, {server.access_lines - lines} lines in its log.")
    call.check(server, guarded=guarded)
    return Round(cpu / shown.requests * 1e6, shown.requests / shown.seconds, shown.latency(0.5) * 1e3, shown.latency(0.99) * 1e3)


def compare(servers: list[Server], call: Call, *, rounds: int, connections: int, seconds: float) -> None:
    results: dict[str, list[Round]] = {server.name: [] for server in servers}
    for number in range(rounds):
        for server in servers if number % 2 == 0 else servers[::-1]:
            results[server.name].append(measure(server, call, connections=connections, seconds=seconds))
    width = max(10, *(len(server.name) for server in servers))
    print(f"\n{connections} connections, {rounds} rounds of {seconds:g} s, medians (in brackets: least and most of the rounds)\n")
    print(f"{'':{width}}  {'CPU µs/request':>20}  {'x floor':>18}  {'req/s':>6}  {'p50 ms':>7}  {'p99 ms':>7}  {'RSS MB':>6}")
    for server in servers:
        shown = results[server.name]
        cpu = [each.cpu for each in shown]
        figures = [median(getattr(each, name) for each in shown) for name in ("rate", "p50", "p99")]
        print(f"{server.name:{width}}  {f'{median(cpu):.0f} ({min(cpu):.0f}-{max(cpu):.0f})':>20}  {_ratio(shown, results.get(FLOOR)):>18}  "
              f"{figures[0]:6.0f}  {figures[1]:7.2f}  {figures[2]:7.2f}  {server.resident_megabytes:6.0f}", flush=True)


def _ratio(shown: list[Round], floor: list[Round] | None) -> str:
    """Against the floor of the same round, so that what slowed both down does not count."""
    if not floor:
        return "-"
    ratios = [each.cpu / beside.cpu for each, beside in zip(shown, floor, strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def start(stack: ExitStack, names: list[str], folder: Path, against: Path | None) -> list[Server]:
    redis = stack.enter_context(Redis(folder)) if REDIS in names else None
    servers = []
    for name in names:
        redis_url = redis.url if name == REDIS and redis else ""
        servers.append(stack.enter_context(Server(name, APPLICATIONS[name], folder, redis_url=redis_url)))
        if against and name != FLOOR:
            elsewhere = f"{redis_url.removesuffix('0')}1" if redis_url else ""
            servers.append(stack.enter_context(Server(f"{name} there", APPLICATIONS[name], folder, redis_url=elsewhere, tree=against)))
    return servers


def profile(name: str, call: Call, folder: Path, *, connections: int, seconds: float) -> None:
    samples = folder / "samples"
    more = {"BENCH_PROFILED": APPLICATIONS[name], "BENCH_SAMPLES": str(samples)}
    with ExitStack() as stack:
        redis_url = stack.enter_context(Redis(folder)).url if name == REDIS else ""
        server = stack.enter_context(Server(name, "benchmarks.profiled:app", folder, redis_url=redis_url, more=more))
        expected = call.check(server, guarded=name != FLOOR)
        cpu = server.cpu_seconds
        shown = load.run(server.port, call.on_the_wire, expected, connections=connections, seconds=seconds)
        per_request = (server.cpu_seconds - cpu) / shown.requests * 1e6
    _print_profile(name, per_request, [line.split("\t") for line in samples.read_text().splitlines()])


def _print_profile(name: str, per_request: float, lines: list[list[str]]) -> None:
    alone: Counter[str] = Counter()
    within: Counter[str] = Counter()
    total = 0
    for count, stack in lines:
        frames = [_short(frame) for frame in stack.split(";")]
        total += int(count)
        alone[frames[0]] += int(count)
        for frame in set(frames):
            within[frame] += int(count)
    print(f"\n{name}: {per_request:.0f} µs of CPU a request with the profiler on, {total} samples\n")
    for title, counted in (("with what it calls", within), ("by itself", alone)):
        print(f"{'µs':>6}  {title}")
        for frame, count in counted.most_common(60):
            print(f"{count / total * per_request:6.1f}  {frame}")
        print()


def _short(frame: str) -> str:
    return frame.rpartition("/site-packages/")[2].removeprefix(f"{ROOT}/")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4, help="loads that each server gets (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each of them is (%(default)s)")
    parser.add_argument("--connections", default="16", help="connections at once; with commas: one table for each (%(default)s)")
    parser.add_argument("--only", default=",".join(TARGETS), help="which servers, of %(default)s")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="measure another checkout too, beside this one")
    parser.add_argument("--profile", choices=TARGETS, help="no comparison: where this server spends its time")
    given = parser.parse_args()
    given.only = [name for name in TARGETS if name in given.only.split(",")]
    given.connections = [int(count) for count in given.connections.split(",")]
    if not given.only:
        parser.error(f"--only: any of {','.join(TARGETS)}")
    if given.rounds < 1 or min(given.connections) < 1:
        parser.error("--rounds and --connections: at least 1")
    return given


def main() -> int:
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers are stopped on the way out
    wanted = [given.profile] if given.profile else given.only
    if REDIS in wanted and not redis_is_installed():
        print("redis-server is not installed: there are no figures for Redis.")
        wanted.remove(REDIS)
    if not wanted:
        return 0
    call = Call()
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        if given.profile:
            profile(given.profile, call, folder, connections=given.connections[0], seconds=max(given.seconds, 10.0))
            return 0
        servers = start(stack, wanted, folder, given.against and given.against.resolve())
        print(f"tools/call echo, a body of {len(call.body)} bytes, a token of {len(call.token)} characters; one worker each, "
              "CPU is the worker's user and system time")
        for connections in given.connections:
            compare(servers, call, rounds=given.rounds, connections=connections, seconds=given.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
