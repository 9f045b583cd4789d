"""nginx, with the configuration that we ship, before two gateways on one Redis."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import socket
import subprocess

import pytest

from tests.mcp_wire import Stream, headers_of, listening_to
from tests.running import ROOT, Gateway, until
from tests.servers import end, free_port
from tests.tls import Authority

CONFIGURATION = ROOT / "deploy/nginx/mcp-gateway.conf"
STRANGER = "127.0.0.2"


def whole(site):
    return f"""
        daemon off; pid nginx.pid; error_log stderr; events {{ worker_connections 256; }}
        http {{ access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s; {site} }}"""


def nginx(folder, site, *options):
    (folder / "nginx.conf").write_text(whole(site))
    return [shutil.which("nginx") or "/usr/sbin/nginx", "-e", "stderr", "-p", str(folder), "-c", "nginx.conf", *options]


def test_nginx_accepts_the_file_as_it_is(tmp_path):
    Authority(tmp_path).server_context("mcp.example.com")
    site = re.sub(r"/etc/ssl/mcp\.example\.com\.\w+", f"{tmp_path}/mcp.example.com.pem", CONFIGURATION.read_text())
    checked = subprocess.run(nginx(tmp_path, site, "-t"), capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr


class Cluster:
    """Two gateways that share a Redis and a database, behind nginx without TLS on `port`."""

    def __init__(self, folder, redis_url) -> None:
        self.port = free_port()
        self.gateways = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            gateway = Gateway(folder / name)
            gateway.configured(
                OAUTH_ISSUER=f"http://localhost:{self.port}", REDIS_URL=f"{redis_url.rpartition('/')[0]}/5", DATABASE_URL=f"sqlite:///{folder}/registry.db",
                SERVICENOW_INSTANCE="https://dev12345.service-now.com", WEB_CONCURRENCY=1, TRUSTED_PROXIES="127.0.0.1/32")
            self.gateways.append(gateway)
        site = CONFIGURATION.read_text()
        site = re.sub(r"    server 10\.0\.0\.\d+:8080 .*\n", "", site).replace(
            "keepalive 64;", "".join(f"server 127.0.0.1:{gateway.port}; " for gateway in self.gateways) + "keepalive 64;")
        site = re.sub(r"    ssl_.*\n", "", site).replace("mcp.example.com", "localhost")
        site = site.replace("listen 443 ssl http2;", f"listen 127.0.0.1:{self.port};")
        alone = "proxy_ignore_headers X-Accel-Buffering;"  # with which the gateway asks for the same: the file must do by itself
        self._folder, self._site, self.process = folder, alone + site, None

    def start(self):
        for gateway in self.gateways:
            gateway.started()
        self.process = subprocess.Popen(nginx(self._folder, self._site), stderr=subprocess.DEVNULL)
        until(self._listens, "nginx listens")

    def _listens(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def stop(self):
        end(self.process, self.process.terminate if self.process else None)
        for gateway in self.gateways:
            gateway.stop()

    def requests(self, path):
        """What each gateway has logged of a path."""
        return [[event for event in gateway.events() if event.get("path") == path] for gateway in self.gateways]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, redis_url):
    built = Cluster(tmp_path_factory.mktemp("cluster"), redis_url)
    try:
        built.start()
        yield built
    finally:
        built.stop()


def test_servicenows_client_gets_through_and_both_gateways_serve_it(cluster):
    played = cluster.gateways[0].flask("servicenow", "simulate", "--tool", "echo", "--json")
    assert json.loads(played.stdout)["passed"]
    assert all(cluster.requests("/mcp"))


@pytest.mark.requirement("OPS-004")
def test_an_event_arrives_while_its_stream_is_open(cluster):
    message = listening_to(toolsListChanged=True)
    with contextlib.closing(Stream(cluster.gateways[0], message, port=cluster.port, **headers_of(message))) as stream:
        assert stream.read_head().status == 200
        assert next(stream.events())[1]["method"] == "notifications/subscriptions/acknowledged"


@pytest.mark.requirement("OPS-004")
def test_an_event_longer_than_a_buffer_arrives_whole_while_its_stream_is_open(cluster):
    """What fills no buffer to its end would wait for the next event."""
    uris = [f"taxonomy://incident/{number:080}" for number in range(60)]
    message = listening_to(resourceSubscriptions=uris)
    with contextlib.closing(Stream(cluster.gateways[0], message, port=cluster.port, **headers_of(message))) as stream:
        assert stream.read_head().status == 200
        stream.socket.settimeout(5)
        assert next(stream.events())[1]["params"]["notifications"]["resourceSubscriptions"] == uris


def test_the_gateway_itself_asks_proxies_to_hold_nothing_back_and_to_change_nothing(cluster):
    message = listening_to(toolsListChanged=True)
    with contextlib.closing(Stream(cluster.gateways[0], message, **headers_of(message))) as stream:
        head = stream.read_head().headers
    assert (head["x-accel-buffering"], head["cache-control"]) == ("no", "no-cache, no-transform")


@pytest.mark.parametrize("claimed", [
    {}, {"X-Forwarded-For": "203.0.113.9"}, {"CF-Connecting-IP": "203.0.113.9"}, {"X-Forwarded-For": "127.0.0.1, 127.0.0.1"}])
@pytest.mark.requirement("OPS-004")
def test_the_caller_is_who_nginx_sees_whatever_the_caller_claims(cluster, claimed):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", cluster.port, timeout=60, source_address=(STRANGER, 0))) as connection:
        connection.request("GET", "/health/live", headers=claimed)
        assert connection.getresponse().status == 200
    logged = [event for events in cluster.requests("/health/live") for event in events]
    assert max(logged, key=lambda event: event["timestamp"])["source_ip"] == STRANGER


def test_metrics_are_not_for_the_world(cluster):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", cluster.port, timeout=60)) as connection:
        connection.request("GET", "/metrics")
        assert connection.getresponse().status == 404


def test_a_gateway_that_stops_costs_no_request(cluster):
    first, _ = cluster.gateways
    first.signal(15)
    first.ended()
    for _ in range(10):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", cluster.port, timeout=60)) as connection:
            connection.request("GET", "/health/ready")
            assert connection.getresponse().status == 200
