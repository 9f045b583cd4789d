"""`flask doctor --url`, from outside a proxy that stands before a real gateway and misbehaves in one way each."""

from __future__ import annotations

import email.utils
import ssl
import time
import warnings

import pytest

from config.settings import ConfigurationError
from mcp_server.cli.checks import streaming
from tests.meddling_proxy import meddling_proxy, page, redirect, send
from tests.running import Gateway
from tests.tls import Authority

INSTANCE = "https://dev1.service-now.com"
CHALLENGE = "<!doctype html><title>Just a moment...</title><h1>Checking your browser</h1>"
NGINX = "<html><head><title>502 Bad Gateway</title></head></html>"


@pytest.fixture(scope="module")
def the_authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def authority(the_authority, monkeypatch):
    the_authority.trusted_by_this_process(monkeypatch)
    return the_authority


@pytest.fixture(scope="module")
def proxied(the_authority, tmp_path_factory):
    """One gateway for all of them, since it takes seconds to start."""
    gateway = Gateway(tmp_path_factory.mktemp("gateway"))
    with meddling_proxy(the_authority.server_context("localhost", ends_in_days=60)) as proxy:
        gateway.configured(OAUTH_ISSUER=proxy.url, SERVICENOW_INSTANCE=INSTANCE, RATE_LIMIT_OAUTH_MAX=0, LLM_BACKEND="ollama")
        try:
            gateway.started()
            proxy.gateway = gateway.port
            yield proxy
        finally:
            gateway.stop()


@pytest.fixture
def outside(proxied, authority, machine):
    """A gateway behind a proxy with a good certificate, and the doctor that looks at it."""
    proxied.behave()
    environment = {"OAUTH_ISSUER": proxied.url, "SERVICENOW_INSTANCE": INSTANCE}
    proxied.look = lambda **changes: machine.run("doctor", "--url", f"{proxied.url}/mcp", "--json", **{**environment, **changes})
    return proxied


def levels(looked):
    return {finding["check"]: finding["level"] for finding in looked.json}


def problem(looked, check):
    """What is said of it, and what to do. It is the only failure."""
    assert looked.status == 1
    [failed] = [finding for finding in looked.json if finding["level"] == "fail"]
    assert failed["check"] == check
    assert failed["next_step"]
    return f"{failed['said']} -> {failed['next_step']}"


def test_a_good_address_has_no_failure(outside, machine):
    looked = outside.look()
    assert looked.status == 0, looked.out
    assert {check for check, level in levels(looked).items() if level != "ok"} == {"name"}
    assert {"certificate", "public address", "POST /mcp", "token endpoint", "registration", "stream"} <= set(levels(looked))
    assert "doctor_token_issued" in [line["action"] for line in machine.audit]


def test_from_a_machine_without_the_settings_the_address_is_looked_at_and_no_token_is_sent(outside, machine):
    app = machine.app(OAUTH_ISSUER=outside.url)
    app.extensions["refused"] = ConfigurationError(["JWT_SECRET is not set."])
    looked = machine.run("doctor", "--url", outside.url, "--json", app=app)
    assert looked.status == 0, looked.out
    assert {check for check, level in levels(looked).items() if level == "warn"} == {"name", "stream"}


@pytest.mark.parametrize(("instead", "words"), [
    (page(403, CHALLENGE, cf_mitigated="challenge"), ("challenge of bot protection", "Bot Fight Mode")),
    (page(200, CHALLENGE), ("HTML page (Just a moment...)", "WAF skip rule")),
    (page(502, NGINX), ("answers 502", "HOST and PORT")),
    (page(530, "error code: 1033"), ("answers 530", "HOST and PORT")),
    (redirect(lambda handler: handler.path), ("in a circle", "Full (strict)")),
    (redirect(lambda handler: f"{handler.path}/a"), ("more than 5 times", "without redirects")),
    (redirect("https://team.cloudflareaccess.com/cdn-cgi/access/login"), ("Cloudflare Access", "bypass policy")),
    (redirect("https://www.example.com/"), ("redirects to https://www.example.com/", "OAUTH_ISSUER")),
], ids=["challenge", "page", "502", "tunnel-down", "circle", "long-chain", "access", "elsewhere"])
def test_whoever_answers_in_the_gateways_place_is_found_out(outside, instead, words):
    outside.instead = instead
    said = problem(outside.look(), "public address")
    assert all(word in said for word in words), said


@pytest.mark.parametrize(("path", "check"), [
    ("/mcp", "POST /mcp"), ("/oauth/token", "token endpoint"), ("/oauth/register", "registration"),
    ("/.well-known/oauth-protected-resource", "resource"),
])
def test_bot_protection_on_one_path_alone_is_found(outside, path, check):
    outside.instead = page(403, CHALLENGE, on=path)
    failed = [finding for finding in outside.look().json if finding["level"] == "fail"]
    assert check in {finding["check"] for finding in failed}
    assert all("WAF skip rule" in finding["next_step"] for finding in failed)


def test_a_proxy_that_holds_a_stream_back_is_found(outside, monkeypatch):
    monkeypatch.setattr(streaming, "SECONDS", 0.5)
    outside.buffers = True
    assert "proxy_buffering off" in problem(outside.look(), "stream")


def test_a_proxy_that_answers_a_listener_itself_is_found(outside):
    def instead(handler):
        if handler.headers["Mcp-Method"] is None:
            return False
        send(handler, 200, [("Content-Type", "text/event-stream")], b"data: {}\n\n")
        return True

    outside.instead = instead
    assert "not with a stream" in problem(outside.look(), "stream")


def test_an_address_of_another_gateway_is_found_and_gets_no_token(outside):
    looked = outside.look(OAUTH_ISSUER="https://mcp.example.com")
    assert "it must be https://mcp.example.com" in problem(looked, "public address")
    assert "stream" not in levels(looked)


def test_a_clock_that_goes_wrong_is_found(outside):
    later = email.utils.formatdate(time.time() + 3600, usegmt=True)
    outside.headers = lambda _path, headers: [(name, later if name == "Date" else value) for name, value in headers]
    assert "timedatectl" in problem(outside.look(), "clock")


def test_a_proxy_that_takes_the_challenge_out_is_found(outside):
    outside.headers = lambda _path, headers: [header for header in headers if header[0] != "WWW-Authenticate"]
    assert "pass WWW-Authenticate on" in problem(outside.look(), "POST /mcp")


def test_a_proxy_that_opens_everything_to_every_page_is_found(outside):
    outside.headers = lambda _path, headers: [*headers, ("Access-Control-Allow-Origin", "*")]
    assert "Every web page may call" in problem(outside.look(), "CORS")


def test_a_proxy_that_answers_preflights_itself_is_warned_of(outside):
    outside.headers = lambda _path, headers: [header for header in headers if not header[0].startswith("Access-Control")]
    looked = outside.look()
    assert looked.status == 0
    assert levels(looked)["CORS"] == "warn"


def test_a_proxy_that_tells_no_address_opens_the_metrics_and_is_found(outside):
    outside.tells_address = None
    assert "open to the world" in problem(outside.look(), "metrics")


def test_a_proxy_that_rewrites_bodies_is_found(outside):
    def instead(handler):
        if handler.path != "/.well-known/oauth-authorization-server":
            return False
        body = f'{{"issuer": "{outside.url}", "token_endpoint": "https://inside.local/oauth/token"}}'.encode()
        send(handler, 200, [("Content-Type", "application/json")], body)
        return True

    outside.instead = instead
    assert "token_endpoint" in problem(outside.look(), "public address")


def test_a_server_of_another_release_is_warned_of(outside, monkeypatch):
    monkeypatch.setattr("mcp_server.cli.checks.running.__version__", "9.9.9")
    looked = outside.look()
    assert levels(looked)["release"] == "warn"
    assert looked.status == 0


# The connection itself


def tls_1_0(authority):
    context = authority.server_context("localhost", ends_in_days=60)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    return context


def tls_1_0_only(authority):
    context = tls_1_0(authority)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = ssl.TLSVersion.TLSv1
    return context


@pytest.mark.parametrize(("context", "expected", "words"), [
    (lambda by: by.server_context("localhost", ends_in_days=-2), "certificate fail", "It has expired."),
    (lambda by: by.server_context("localhost", ends_in_days=60, signed_by_itself=True), "certificate fail", "signed by itself"),
    (lambda by: by.server_context("other.example.com", ends_in_days=60), "certificate fail", "Hostname mismatch"),
    (lambda by: by.server_context("localhost", ends_in_days=3), "certificate warn", "ends at"),
    (tls_1_0_only, "TLS fail", "it speaks TLS 1.0 only"),
    (tls_1_0, "TLS warn", "still accepts TLS 1."),
], ids=["expired", "self-signed", "other-name", "soon", "tls-1.0-only", "tls-1.0-too"])
def test_a_bad_certificate_and_weak_tls_are_found(machine, authority, context, expected, words):
    with meddling_proxy(context(authority)) as proxy:
        proxy.instead = page(502, NGINX)
        looked = machine.run("doctor", "--url", proxy.url, "--json")
    found = {f"{finding['check']} {finding['level']}": finding for finding in looked.json}
    assert words in found[expected]["said"]
    assert found[expected]["next_step"]


def test_an_unknown_authority_is_found(machine, tmp_path):
    with meddling_proxy(Authority(tmp_path).server_context("localhost", ends_in_days=60)) as proxy:
        looked = machine.run("doctor", "--url", proxy.url, "--json")
    assert "fullchain.pem" in problem(looked, "certificate")


def test_nobody_there_and_a_name_that_is_unknown(machine):
    assert "points to HOST:PORT" in problem(machine.run("doctor", "--url", f"http://127.0.0.1:{machine.port}", "--json"), "public address")
    assert "The name nowhere.invalid is unknown" in problem(machine.run("doctor", "--url", "https://nowhere.invalid", "--json"), "public address")


def test_what_is_no_address_is_refused(machine):
    assert machine.run("doctor", "--url", "mcp.example.com").status == 2
