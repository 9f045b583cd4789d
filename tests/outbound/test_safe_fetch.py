"""A URL that a stranger gave is fetched without becoming the stranger's hand in this network."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager
from ipaddress import ip_address

import pytest

from mcp_server.outbound import safe_fetch
from mcp_server.outbound.addresses import is_public
from mcp_server.outbound.safe_fetch import FetchFailed, SafeFetch
from tests.tls import says, serving

MOST = 65_536


@contextmanager
def listening():
    """A canary on every loopback address there is: its port, and who connected."""
    connected, opened = [], []
    first = socket.create_server(("127.0.0.1", 0))
    opened.append(first)
    port = first.getsockname()[1]
    if socket.has_ipv6:
        opened.append(socket.create_server(("::1", port), family=socket.AF_INET6))

    def accept(server):
        while True:
            try:
                connection, address = server.accept()
            except OSError:
                return
            connected.append(address)
            connection.close()

    threads = [threading.Thread(target=accept, args=(server,), daemon=True) for server in opened]
    for thread in threads:
        thread.start()
    yield port, connected
    time.sleep(0.05)
    for server in opened:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(("address", "public"), [
    ("8.8.8.8", True), ("1.1.1.1", True), ("2606:4700::1111", True), ("2a00:1450:4001::1", True), ("64:ff9b::808:808", True),
    ("127.0.0.1", False), ("127.255.255.254", False), ("0.0.0.0", False), ("0.1.2.3", False), ("10.0.0.1", False), ("172.16.0.1", False),
    ("172.31.255.255", False), ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("100.100.100.200", False),
    ("192.0.0.170", False), ("192.0.0.9", False), ("192.0.2.1", False), ("198.51.100.1", False), ("203.0.113.1", False), ("198.18.0.1", False),
    ("192.88.99.1", False), ("224.0.0.1", False), ("239.255.255.250", False), ("240.0.0.1", False), ("255.255.255.255", False),
    ("::", False), ("::1", False), ("::7f00:1", False), ("fe80::1", False), ("fec0::1", False), ("fc00::1", False), ("fd00:ec2::254", False),
    ("ff02::1", False), ("100::1", False), ("2001:db8::1", False), ("3fff::1", False), ("5f00::1", False), ("4000::1", False),
    ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", False), ("::ffff:8.8.8.8", False), ("2002:7f00:1::", False), ("2002:a00:1::", False),
    ("64:ff9b::7f00:1", False), ("64:ff9b::a9fe:a9fe", False), ("64:ff9b::a00:1", False), ("64:ff9b:1::808:808", False),
    ("2001:0:7f00:1::", False), ("2001:0:808:808::f5ff:fffe", False), ("2001:20::1", False), ("::ffff:0:127.0.0.1", False)])
def test_only_global_unicast_is_public(address, public):
    assert is_public(ip_address(address)) is public


@pytest.mark.parametrize("host", [
    "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "0", "0.0.0.0", "[::1]", "[::]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]"])
def test_no_spelling_of_loopback_is_connected_to(authority, host):
    with listening() as (port, connected), pytest.raises(FetchFailed):
        SafeFetch(context=authority.context)(f"https://{host}:{port}/", MOST)
    assert connected == []


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["::1"],
                                       ["2606:4700::1111", "::ffff:127.0.0.1"],
                                       ["10.0.0.1"], ["169.254.169.254"], ["fe80::1%1"], []])
def test_a_name_with_one_inner_address_is_not_connected_to_at_all(authority, names, addresses):
    names["inner.acme.test"] = [addresses]
    with listening() as (port, connected), pytest.raises(FetchFailed, match="address"):
        SafeFetch(context=authority.context)(f"https://inner.acme.test:{port}/", MOST)
    assert connected == []


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(authority, names):
    """A name that answers otherwise when it is asked again (DNS rebinding) gains nothing: it is asked once."""
    names["keys.acme.test"] = [["127.0.0.1"], ["192.0.2.1"]]
    with serving(authority.server_context("keys.acme.test"), "keys.acme.test") as web:
        web.answer = says({"here": True})
        fetch = SafeFetch(allowed=lambda address: address.is_loopback, context=authority.context)
        assert fetch(f"{web.url}/a?b=c", MOST).document == {"here": True}
        assert (web.asked, web.names, web.hosts) == (["/a?b=c"], ["keys.acme.test"], [f"keys.acme.test:{web.port}"])
    assert names["keys.acme.test"] == [["192.0.2.1"]]


def test_a_certificate_for_another_name_or_of_another_authority_is_refused(authority, web, fetch):
    with serving(authority.server_context("other.acme.test"), "localhost") as other, pytest.raises(FetchFailed, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(other.url, MOST)
    with pytest.raises(FetchFailed, match="CERTIFICATE_VERIFY_FAILED"):
        SafeFetch(allowed=lambda address: address.is_loopback)(web.url, MOST)
    with pytest.raises(FetchFailed, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(f"https://127.0.0.1:{web.port}/", MOST)
    assert web.asked == other.asked == []


def test_the_next_address_is_tried_when_one_does_not_answer(authority, names, web, fetch):
    names["localhost"] = [["127.0.0.9", "127.0.0.1"]]
    assert fetch(web.url, MOST).document == {}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(web, fetch, status):
    with listening() as (port, connected):
        web.answer = says({}, status, Location=f"https://127.0.0.1:{port}/")
        with pytest.raises(FetchFailed, match=f"status {status}"):
            fetch(web.url, MOST)
    assert (connected, len(web.asked)) == ([], 1)


def test_no_proxy_of_the_environment_is_used(web, fetch, monkeypatch):
    with listening() as (port, connected):
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        assert fetch(web.url, MOST).document == {}
    assert connected == []


@pytest.mark.parametrize("answer", [
    says({}, 500), says({}, 404), says({}, 201), says({}, 204), says({}, 401), says(b"<html>"), says(b"<html>", Content_Type="text/html"), says(b""),
    says([1]), says(b"{"), says(b'"x"'), says(b"\xff{}"), says(b"[" * 60_000), says(b'{"a": NaN}'), says({"a": "x" * 66_000}),
    says(b"\x1f\x8b\x08\x00", Content_Encoding="gzip")])
def test_what_is_not_a_small_json_object_is_refused(web, fetch, answer):
    web.answer = answer
    with pytest.raises(FetchFailed):
        fetch(web.url, MOST)


def test_the_size_is_the_callers(web, fetch):
    web.answer = says({"a": "x" * 6_000})
    assert fetch(web.url, MOST).document["a"]
    with pytest.raises(FetchFailed, match="more than 5000 bytes"):
        fetch(web.url, 5_000)


def test_an_endless_answer_is_cut(web, fetch):
    sent = []

    def endless(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while len(sent) < 4_000:
            handler.wfile.write(b"x" * 65_536)
            sent.append(1)

    web.answer = endless
    with pytest.raises(FetchFailed, match="more than"):
        fetch(web.url, MOST)
    assert len(sent) < 400


def drip(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.1)


def silent(_handler):
    time.sleep(3)


@pytest.mark.parametrize("answer", [drip, silent])
def test_a_slow_answer_is_given_up(web, fetch, monkeypatch, answer):
    monkeypatch.setattr(safe_fetch, "SECONDS", 0.6)
    web.answer = answer
    began = time.monotonic()
    with pytest.raises(FetchFailed):
        fetch(web.url, MOST)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("url", [
    "http://localhost:{}/", "localhost:{}", "//localhost:{}/", "", "https://", "https:///x", "https://localhost:{}/#a", "https://a:b@localhost:{}/",
    "https://@localhost:{}/", "https://localhost:{}\\@elsewhere.test/", "https://localhost:{}/a b", "https://localhost:{}/\r\nX: y", "https://loc%61lhost:{}/",
    "file:///etc/passwd", "ftp://localhost:{}/", "https://localhost:99999/", "https://localhost:x/", "https://[::1/", "https://lo\u212aalhost:{}/"])
def test_a_url_that_is_not_plain_https_is_not_asked(web, fetch, url):
    with pytest.raises(FetchFailed):
        fetch(url.format(web.port), MOST)
    assert web.asked == []


@pytest.mark.parametrize(("header", "max_age"), [
    ("max-age=120", 120), ("public, max-age=60", 60), ("Max-Age = 5", 5), ('max-age="7"', 7), ("s-maxage=9", None), ("no-store", 0),
    ("no-cache, max-age=100", 0), ("max-age=x", None), ("", None)])
def test_how_long_an_answer_may_be_kept_is_read_from_it(web, fetch, header, max_age):
    web.answer = says({}, Cache_Control=header)
    assert fetch(web.url, MOST).max_age == max_age


def test_under_gevent_headers_that_drip_are_given_up_and_others_run_meanwhile(tmp_path):
    """The worker's own conditions: everything patched, so that a name that is looked up and a server that is slow hold nobody up."""
    script = tmp_path / "dripping.py"
    script.write_text(textwrap.dedent("""
        from gevent import monkey
        monkey.patch_all()
        import sys, time, gevent, gevent.server
        from pathlib import Path
        from mcp_server.outbound import safe_fetch
        from tests.tls import Authority
        authority = Authority(Path(sys.argv[1]))

        def drip(connection, _):
            try:
                connection.sendall(b"HTTP/1.1 200 OK\\r\\n")
                while True:
                    connection.sendall(b"x")
                    gevent.sleep(0.02)
            except OSError:
                pass

        server = gevent.server.StreamServer(("127.0.0.1", 0), drip, ssl_context=authority.server_context("localhost"))
        server.start()
        safe_fetch.SECONDS, ticks = 1.0, []
        ticker = gevent.spawn(lambda: [(ticks.append(1), gevent.sleep(0.01)) for _ in range(10_000)])
        fetch, began = safe_fetch.SafeFetch(lambda address: address.is_loopback, authority.context), time.monotonic()
        try:
            fetch(f"https://localhost:{server.server_port}/", 65536)
        except safe_fetch.FetchFailed as error:
            print(error, time.monotonic() - began < 2, len(ticks) > 40)
    """))
    command, environ = [sys.executable, str(script), str(tmp_path)], {"PYTHONPATH": "."}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)
    assert done.stdout == "not there within 1 seconds True True\n", done.stderr
