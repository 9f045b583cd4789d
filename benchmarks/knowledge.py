"""Whether searches in a large index hold up other calls: times of 50 tool calls at once, while nobody searches and while some do.

The server is the whole one, with one worker. Titles and texts are drawn from 3,000 made-up words; the vectors are random, and what embeds the
questions is a stand-in that answers random ones: how long a search takes is measured, not what it finds. `python -m benchmarks.knowledge --help`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import random
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks import load
from benchmarks.run import Call
from benchmarks.servers import Server, free_port, new_token
from mcp_server.clock import wall_clock
from mcp_server.deadline import Deadline
from mcp_server.knowledge.access import Policy
from mcp_server.knowledge.building import Builder
from mcp_server.knowledge.documents import Document
from mcp_server.llm.ports import EmbeddingModel, Embeddings
from mcp_server.storage.open import open_knowledge

MODEL, DIMENSIONS = "random-vectors", 384
OTHERS = 50
WORDS = [f"word{number}" for number in range(3000)]
AT_ONCE = 5000
drawn = random.Random(7)


class RandomVectors:
    def __init__(self) -> None:
        self._drawn = np.random.default_rng(7)

    def embed(self, texts: Sequence[str], deadline: Deadline) -> Embeddings:  # noqa: ARG002 - it is always in time
        vectors = self._drawn.standard_normal((len(texts), DIMENSIONS)).astype("f4")
        return Embeddings((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).tolist(), EmbeddingModel(MODEL, DIMENSIONS))


class _Embeds(BaseHTTPRequestHandler):
    vectors = RandomVectors()
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer({"data": [{"id": MODEL}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        made = self.vectors.embed(asked, Deadline.after(60)).vectors
        self._answer({"data": [{"index": index, "embedding": list(vector)} for index, vector in enumerate(made)]})

    def _answer(self, told: Any) -> None:
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _embed(port: int) -> None:
    ThreadingHTTPServer(("127.0.0.1", port), _Embeds).serve_forever()


@contextmanager
def embedding_server() -> Iterator[str]:
    """Its URL; in a process of its own."""
    port = free_port()
    process = multiprocessing.Process(target=_embed, args=(port,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.join()


def build(folder: Path, documents: int) -> None:
    corpus, index = open_knowledge(None, folder)
    with corpus.exclusively():
        for start in range(0, documents, AT_ONCE):
            corpus.put([
                Document("article", f"a{number}", f"KB{number:07}", " ".join(drawn.choices(WORDS, k=6)), " ".join(drawn.choices(WORDS, k=120)))
                for number in range(start, min(documents, start + AT_ONCE))], "benchmark")
        Builder(corpus, index, RandomVectors(), Policy(), wall_clock).build(lambda *_: None)
    corpus.close()
    index.close()


class Searchers:
    """Each asks a new question as soon as it has its answer."""

    def __init__(self, port: int, count: int) -> None:
        self.seconds: list[float] = []
        self.wrong = ""
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._search, args=(port, new_token(f"searcher-{number // 10}"))) for number in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _search(self, port: int, token: str) -> None:
        headers = {"Host": "mcp.example.com", "Authorization": f"Bearer {token}", "Content-Type": "application/json",
                   "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
        while not self._stop.is_set():
            arguments = {"query": " ".join(drawn.choices(WORDS, k=6))}
            call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search_knowledge", "arguments": arguments}}
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            began = time.perf_counter()
            connection.request("POST", "/mcp", json.dumps(call), headers)
            result = json.loads(connection.getresponse().read())["result"]
            self.seconds.append(time.perf_counter() - began)
            connection.close()
            if result.get("isError") or not result["structuredContent"]["articles"]:
                self.wrong = str(result)[:300]
                return


def measure(server: Server, call: Call, searchers: int, seconds: float) -> str:
    expected = call.check(server, guarded=False)
    with Searchers(server.port, searchers) as searching:
        shown = load.run(server.port, call.on_the_wire, expected, connections=OTHERS, seconds=seconds)
    if searching.wrong:
        raise load.WrongAnswer(searching.wrong)
    others = (shown.latency(0.5), shown.latency(0.99), shown.latencies[-1])
    searched = sorted(searching.seconds)
    found = f"{len(searched):7}  {searched[len(searched) // 2] * 1e3:7.0f}  {searched[-1] * 1e3:7.0f}" if searched else ""
    return f"{searchers:9}  {shown.requests / shown.seconds:7.0f}  " + "  ".join(f"{each * 1e3:7.1f}" for each in others) + f"  {found}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.knowledge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000, help="articles in the index (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each load is (%(default)s)")
    parser.add_argument("--searchers", default="0,1,10,50", help="searches at once (%(default)s)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary, embedding_server() as url:
        folder = Path(temporary)
        began = time.perf_counter()
        build(folder / "knowledge", given.documents)
        print(f"{given.documents} articles, built in {time.perf_counter() - began:.0f} s\n")
        more = {"KNOWLEDGE_PATH": str(folder / "knowledge"), "EMBEDDING_URL": url, "EMBEDDING_MODEL": MODEL}
        with Server("knowledge", "wsgi:app", folder, more=more) as server:
            call = Call()
            print(f"searchers  {OTHERS} other calls: /s     p50      p99   max ms  searches   p50   max ms")
            for searchers in given.searchers.split(","):
                print(measure(server, call, int(searchers), given.seconds), flush=True)


if __name__ == "__main__":
    main()
