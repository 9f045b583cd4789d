"""What no HTTP library would send, to the real server over a socket. One gateway for all of it: it must still serve in the end."""

from __future__ import annotations

import json
import re
import socket
from contextlib import suppress

import pytest

from tests.running import API_KEY, Gateway

SMUGGLED = b"GET /.well-known/oauth-protected-resource HTTP/1.1\r\nHost: localhost\r\n\r\n"
ITS_ANSWER = b"bearer_methods_supported"
PATIENCE = 5
REFUSED = {400, 405, 411, 413, 414, 431, 501}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    gateway = Gateway(tmp_path_factory.mktemp("wire"))
    gateway.configured()
    gateway.started()
    yield gateway
    assert gateway.is_up()
    assert "Traceback" not in gateway.output()
    gateway.stop()


@pytest.fixture
def wire(server):
    """wire(bytes) → all that the server answers until it closes, or has nothing more to say."""

    def send(raw, *, more=()):
        answer = b""
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(raw)
                for piece in more:
                    connection.sendall(piece)
                connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                while piece := connection.recv(65536):
                    answer += piece
        return answer

    yield send
    assert server.is_up()


def statuses(answer):
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


def post(*headers, body=b"", path=b"/mcp"):
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: localhost", b"Content-Type: application/json", b"X-API-Key: " + API_KEY.encode(), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def get(*headers, line=b"GET /health/live HTTP/1.1"):
    return b"\r\n".join((line, b"Host: localhost", *headers)) + b"\r\n\r\n"


def is_refused(answer):
    """One answer that says no, or none at all; and nothing of a smuggled request."""
    assert ITS_ANSWER not in answer
    assert len(statuses(answer)) <= 1, answer
    assert set(statuses(answer)) <= REFUSED, answer
    assert b"Traceback" not in answer
    return True


CHUNKED = b"Transfer-Encoding: chunked"


@pytest.mark.requirement("HTP-001")
@pytest.mark.parametrize("headers", [
    (b"Content-Length: 5", CHUNKED), (CHUNKED, b"Content-Length: 5"), (b"Content-Length: 5", b"Content-Length: 60"),
    (b"Content-Length: 5, 60",),
    (b"Content-Length: +5",), (b"Content-Length: 0x5",), (b"Content-Length: -1",), (b"Content-Length: 5 5",), (b"Content-Length: five",)])
def test_two_lengths_are_refused_and_nothing_is_smuggled(wire, headers):
    assert is_refused(wire(post(*headers, body=b"0\r\n\r\n" + SMUGGLED)))


@pytest.mark.requirement("HTP-002")
@pytest.mark.parametrize("coding", [
    b"xchunked", b"chunked, chunked", b"identity, chunked, identity", b"gzip", b"\x0bchunked", b"chunked;q=1", b"chunked, identity",
    b"chu nked", b'"chunked"'])
def test_a_transfer_coding_that_is_not_chunked_is_refused(wire, coding):
    assert is_refused(wire(post(b"Transfer-Encoding: " + coding, body=b"0\r\n\r\n" + SMUGGLED)))


@pytest.mark.requirement("HTP-002")
def test_chunked_over_two_lines_is_refused(wire):
    assert is_refused(wire(post(CHUNKED, CHUNKED, body=b"0\r\n\r\n" + SMUGGLED)))


@pytest.mark.requirement("HTP-004")
@pytest.mark.parametrize("body", [
    b"g\r\nx\r\n0\r\n\r\n", b"-1\r\nx\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloworld\r\n0\r\n\r\n", b"ffffffffffffffffffff\r\nx",
    b"5\nhello\n0\n\n",
    b" 5\r\nhello\r\n0\r\n\r\n", b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n", b"\r\n\r\n"])
def test_broken_chunks_are_a_bad_request(wire, body):
    assert is_refused(wire(post(CHUNKED, body=body + SMUGGLED)))


@pytest.mark.requirement("HTP-005")
@pytest.mark.parametrize("header", [
    b"X-API-Key : " + API_KEY.encode(), b"X_API_Key: " + API_KEY.encode(), b"X-API-Key\0: " + API_KEY.encode(),
    b"X-API-Key\x0b: " + API_KEY.encode(),
    b"X-Other: a\r\n X-API-Key: " + API_KEY.encode(), b": " + API_KEY.encode()])
def test_a_malformed_header_name_is_refused_or_no_header(wire, header):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
    length = b"Content-Length: " + str(len(body)).encode()
    raw = b"\r\n".join((b"POST /mcp HTTP/1.1", b"Host: localhost", b"Content-Type: application/json", header, length))
    assert statuses(wire(raw + b"\r\n\r\n" + body)) in ([], [400], [401])


@pytest.mark.requirement("HTP-006")
@pytest.mark.parametrize("headers", [
    (b"X-Long: " + b"x" * 20_000,), (b"X-Long: " + b"x" * 200_000,), tuple(b"X-%d: x" % number for number in range(600)),
    (b"Cookie: a=" + b"x" * 70_000,)],
    ids=["20 kB", "200 kB", "600 headers", "a cookie of 70 kB"])
def test_too_much_in_the_headers_is_refused(wire, headers):
    assert is_refused(wire(get(*headers)))


@pytest.mark.requirement("HTP-009")
def test_a_request_line_of_200_kb_is_refused(wire):
    assert is_refused(wire(get(line=b"GET /" + b"x" * 200_000 + b" HTTP/1.1")))


@pytest.mark.requirement("HTP-011")
@pytest.mark.parametrize("raw", [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /health/live\r\n", b"\0" * 64,
    b"GET\r\n\r\n",
    b"GET /health/live HTTP/9.9\r\nHost: localhost\r\n\r\n", b"GET /health/live HTTP/1.1 x\r\nHost: x\r\n\r\n", b"\r\n" * 50],
    ids=["TLS", "h2", "HTTP/0.9", "NUL", "no path", "HTTP/9.9", "four words", "blank lines"])
def test_what_is_not_http_is_refused_or_closed(wire, raw):
    answer = wire(raw)
    assert set(statuses(answer)) <= {400, 405, 501, 505}, answer
    assert b'"status"' not in answer


@pytest.mark.requirement("HTP-011")
def test_without_a_host_nothing_of_ours_is_made_of_one(wire, server):
    answer = wire(b"GET /.well-known/oauth-authorization-server HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert statuses(answer) in ([400], [200])
    assert statuses(answer) == [400] or f'"issuer":"{server.url}"'.encode() in answer


@pytest.mark.requirement("HTP-015")
def test_a_second_request_in_the_same_packet_is_judged_by_its_own_credential(wire):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
    first = post(b"Content-Length: %d" % len(body), b"Accept: application/json", body=body)
    second = first.replace(b"X-API-Key: " + API_KEY.encode() + b"\r\n", b"").replace(b"Accept:", b"Connection: close\r\nAccept:")
    answer = wire(first + second)
    assert statuses(answer) == [200, 401]
    assert answer.count(b'"tools":') == 1


@pytest.mark.requirement("HTP-018")
def test_forty_clients_that_hang_up_stop_nobody(server):
    cut = [post(b"Content-Length: 500", body=b"{"), post(CHUNKED, body=b"5\r\nhe"), b"POST /mcp HT", get()]
    for number in range(40):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        connection.sendall(cut[number % len(cut)])
        if number % 2:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # by a reset
        connection.close()
    assert server.call_tool("echo", message="still here")[0] == 200
