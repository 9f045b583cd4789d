"""What is llama.cpp's own."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import ContextTooLong, ModelRefused, ModelUnavailable
from mcp_server.llm.llama_cpp import LlamaCpp
from mcp_server.llm.ports import Message, Prompt

PROMPT = Prompt([Message("user", "What is a router?")], max_tokens=12, temperature=0.0, seed=1)
MODELS = (200, b'{"data":[{"id":"tiny"}]}')
WORD = b'data: {"choices":[{"index":0,"delta":{"content":"ok"},"finish_reason":null}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
COUNTS = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":1}}\n\ndata: [DONE]\n\n'
PEG = b'{"error":{"code":500,"message":"The model produced output that does not match the expected peg-native format","type":"server_error"}}'
LOADING = b'{"error":{"message":"Loading model","type":"unavailable_error","code":503}}'
OVERFLOW = b'{"error":{"code":400,"message":"m","type":"exceed_context_size_error","n_prompt_tokens":6031,"n_ctx":2048}}'


@pytest.fixture
def server_that_says():
    """A server that gives prepared answers: for what the real engine cannot be made to say."""
    servers = []

    def start(*answers):
        waiting = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.say(*MODELS)

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.say(*waiting.pop(0))

            def say(self, status, body):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return LlamaCpp(f"http://127.0.0.1:{server.server_port}"), waiting

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_pings_and_counts_in_the_stream_are_no_text(server_that_says):
    model, _ = server_that_says((200, b": ping\n\n" + WORD + b":\n\n" + END + COUNTS))
    answer = model.answer(PROMPT, Deadline.after(5))
    assert (answer.text, answer.complete, answer.prompt_tokens, answer.answer_tokens) == ("ok", True, 7, 1)


@pytest.mark.parametrize("stumble", [(500, PEG), (200, WORD + b"data: " + PEG + b"\n\n"), (200, WORD + b"error: " + PEG + b"\n\n")])
def test_an_engine_that_stumbles_over_its_own_output_is_asked_once_more(server_that_says, stumble):
    model, waiting = server_that_says(stumble, (200, WORD + END + COUNTS))
    assert model.answer(PROMPT, Deadline.after(5)).text == "ok"
    model, waiting = server_that_says(stumble, stumble, (200, WORD + END + COUNTS))
    with pytest.raises(ModelUnavailable, match=r"failed\. Try again"):
        model.answer(PROMPT, Deadline.after(5))
    assert len(waiting) == 1


@pytest.mark.parametrize(("answer", "kind", "text"), [
    ((503, LOADING), ModelUnavailable, "still loading. Try again in about 10 seconds"),
    ((400, OVERFLOW), ContextTooLong, "it has 6031 tokens, and 2048 fit"),
    ((200, WORD + b"data: " + OVERFLOW + b"\n\n"), ContextTooLong, "it has 6031 tokens, and 2048 fit"),
    ((200, WORD), ModelUnavailable, "broke off"),
    ((200, b"data: [1]\n\n"), ModelUnavailable, "not a model server"),
    ((200, b'data: {"choices":[null],"usage":[]}\n\n'), ModelUnavailable, "broke off"),
    ((200, b""), ModelUnavailable, "broke off"),
    ((400, b"\xff\xfe"), ModelRefused, "did not accept the request"),
])
def test_a_failure_is_told_in_our_words(server_that_says, answer, kind, text):
    model, _ = server_that_says(answer)
    with pytest.raises(kind, match=text):
        model.answer(PROMPT, Deadline.after(5))


def test_a_wrong_key_is_refused_with_what_to_do(tiny_engine):
    with pytest.raises(ModelRefused, match=r"does not let this gateway in\. Ask the operator to check its key"):
        LlamaCpp(tiny_engine.url, api_key="wrong").answer(PROMPT, Deadline.after(5))
