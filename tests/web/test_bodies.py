"""How a body may arrive, and how much of it."""

from __future__ import annotations

import contextlib
import io
import json

import gevent
import pytest
from flask import Request
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import IterUnreader

from mcp_server.web import bodies
from tests.gateway import API_KEY, DCR_TOKEN, FORM, ISSUER

KEY = {"X-API-Key": API_KEY}
MCP_BODY = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()


class Stream:
    """What werkzeug's test client wants of a body besides `read`."""

    def seek(self, *_):
        pass

    def tell(self):
        return 0

    def close(self):
        pass


class Chunks(Stream):
    """A body that comes piece by piece, whose end nobody announced."""

    def __init__(self, size, piece=b"x") -> None:
        self.left, self.piece, self.taken = size, piece, 0

    def read(self, size=-1):
        given = min(self.left, 1_000, size if size >= 0 else self.left)
        self.left -= given
        self.taken += given
        return self.piece * given


@pytest.fixture
def chunked(gateway):
    """chunked(path, stream) → the answer to a body with Transfer-Encoding: chunked, as gunicorn hands it on."""
    def chunked(path, stream, content_type="application/json", headers=None):
        return gateway.post(path, input_stream=stream, content_type=content_type, headers={"Transfer-Encoding": "chunked", **(headers or {})},
                            environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""})

    return chunked


@pytest.mark.requirement("JSN-001")
@pytest.mark.parametrize(("path", "content_type", "most"), [
    ("/mcp", "application/json", 1_000_000), ("/oauth/token", FORM, 100_000), ("/oauth/revoke", FORM, 100_000),
    ("/oauth/register", "application/json", 100_000),
    ("/login", FORM, 100_000), ("/oauth/authorize", FORM, 100_000)])
@pytest.mark.parametrize("more", [1, 7_000_000])
def test_a_chunked_body_over_the_limit_is_refused_and_not_cut(chunked, path, content_type, most, more):
    stream = Chunks(most + more)
    response = chunked(path, stream, content_type, KEY)
    assert response.status_code == 413
    assert stream.taken <= most + 1_001


@pytest.mark.requirement("JSN-001")
@pytest.mark.parametrize("size", [1_100_000, 8_000_000])
def test_a_large_body_is_refused_in_the_form_of_its_path(gateway, size):
    response = gateway.mcp(None, data=b"x" * size, json=None, headers=KEY, content_type="application/json")
    assert response.status_code == 413
    assert response.json == {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "The body is too large: at most 1000000 bytes."}}
    response = gateway.post("/oauth/token", data=b"x" * size, content_type=FORM)
    assert (response.status_code, response.json["error"]) == (413, "invalid_request")
    assert gateway.mcp("ping", headers=KEY).status_code == 200


def test_a_body_that_ends_in_time_and_is_chunked_is_read(chunked, gateway):
    assert chunked("/mcp", io.BytesIO(MCP_BODY), headers=KEY).json["result"] == {}
    body = json.dumps({"redirect_uris": ["http://localhost/cb"]}).encode()
    assert chunked("/oauth/register", io.BytesIO(body), headers={"Authorization": f"Bearer {DCR_TOKEN}"}).status_code == 201


def test_a_body_of_which_nobody_said_where_it_ends_is_not_read(gateway):
    response = gateway.post("/mcp", input_stream=io.BytesIO(MCP_BODY), headers=KEY, content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": ""})
    assert response.status_code == 400


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "+5", " ", "99999999999999999999", "0x10", "5, 5"])
def test_a_length_that_is_none_does_no_harm(gateway, length):
    response = gateway.post("/mcp", input_stream=io.BytesIO(MCP_BODY), headers=KEY, content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": length})
    assert response.status_code in (400, 413)
    response = gateway.post("/oauth/token", input_stream=io.BytesIO(b"a=b"), content_type=FORM, environ_overrides={"CONTENT_LENGTH": length})
    assert response.status_code in (400, 413)


@pytest.mark.requirement("MCP-024")
@pytest.mark.parametrize(("content_type", "status"), [
    ("application/json", 200), ("application/json; charset=utf-8", 200), ("APPLICATION/JSON", 200), ("application/json;charset=utf-16", 200),
    ("application/vnd.x+json", 200), ("text/plain", 415), (FORM, 415), ("multipart/form-data; boundary=x", 415), ("", 415),
    ("application/jsonp", 415),
    ("application/xml", 415), ("json", 415)])
def test_mcp_takes_json_that_says_so(gateway, content_type, status):
    response = gateway.post("/mcp", data=MCP_BODY, content_type=content_type, headers=KEY)
    assert response.status_code == status
    assert response.json["jsonrpc"] == "2.0"


@pytest.mark.requirement("MCP-024")
def test_without_a_token_the_type_of_the_body_matters_too(gateway):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}).encode()
    assert gateway.post("/mcp", data=body, content_type="text/plain").status_code == 415
    assert gateway.post("/mcp", data=body, content_type="application/json").status_code == 200


@pytest.mark.requirement("JSN-015")
@pytest.mark.requirement("JSN-019")
@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {"Content-Encoding": "br"}, {"Content-Type": "application/json; charset=rot13"},
                                     {"Content-Type": "application/json; charset=zlib"}, {"Content-Type": "application/json; charset=utf-7"}])
@pytest.mark.parametrize("body", [b"\x1f\x8b\x08\x00" + b"\0" * 100, "{}".encode("utf-16"), b"\xff\xfe", b"\xef\xbb\xbf{}", b""])
def test_an_encoding_is_not_undone_and_does_no_harm(gateway, headers, body):
    response = gateway.post("/mcp", data=body, headers={"Content-Type": "application/json", **KEY, **headers})
    assert response.status_code == 400
    assert response.json["error"]["code"] in (-32700, -32600)


@pytest.mark.requirement("JSN-004")
@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 100_000, b"[" * 500 + b"]" * 500,
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001])
def test_deep_json_is_a_parse_error(gateway, body):
    response = gateway.post("/mcp", data=body, content_type="application/json", headers=KEY)
    assert (response.status_code, response.json["error"]["code"]) == (400, -32700)
    assert gateway.mcp("ping", headers=KEY).status_code == 200


@pytest.mark.requirement("BRR-003")
@pytest.mark.requirement("BRR-004")
def test_a_token_in_the_query_or_in_a_form_opens_nothing(gateway, flow):
    token = flow()["access_token"]
    assert gateway.mcp(query_string={"access_token": token}).status_code == 401
    assert gateway.post("/mcp", data={"access_token": token}).status_code == 415
    assert gateway.get("/mcp", query_string={"access_token": token}).status_code == 405


def test_a_body_that_comes_too_slowly_is_given_up(gateway, monkeypatch):
    class Stalled(Stream):
        def read(self, *_):
            gevent.sleep(30)

    monkeypatch.setattr("mcp_server.web.bodies.SECONDS", 0.01)
    response = gateway.post("/mcp", input_stream=Stalled(), headers=KEY, content_type="application/json", environ_overrides={"CONTENT_LENGTH": "5"})
    assert (response.status_code, response.json["error"]["code"]) == (408, -32600)
    response = gateway.post("/oauth/token", input_stream=Stalled(), content_type=FORM, environ_overrides={"CONTENT_LENGTH": "5"})
    assert (response.status_code, response.json["error"]) == (408, "invalid_request")


def test_what_the_gateway_is_called_by_changes_nothing(gateway, client):
    for base in ("http://auth.elsewhere.test", "https://auth.elsewhere.test:8443", ISSUER):
        response = gateway.post("/oauth/token", data={"grant_type": "x"}, base_url=base)
        assert (response.status_code, response.json["error"]) == (400, "unsupported_grant_type")
        assert gateway.authorize(client.asks(), base_url=base).location.startswith("/login?")


@pytest.mark.parametrize(("came", "waits"), [(b"", True), (b"12", True), (b"1234", False), (b"1234 and the next request", False)])
def test_only_a_body_that_gunicorn_has_not_read_yet_is_waited_for(came, waits, monkeypatch):
    """gunicorn's own objects: another version of it that hides them would cost a timer a request, and nothing else."""
    waited = []
    monkeypatch.setattr(bodies, "give_up_after", lambda *_: waited.append(True) or contextlib.nullcontext())
    unreader = IterUnreader(iter([came, b"1234"[len(came):]] if len(came) < 4 else [came]))
    unreader.buf.write(unreader.chunk())
    request = Request({"wsgi.input": Body(LengthReader(unreader, 4)), "CONTENT_LENGTH": "4", "REQUEST_METHOD": "POST"})
    assert bodies.read(request, 100) == b"1234"
    assert bool(waited) == waits
    assert unreader.buf.getvalue() == came[4:]
