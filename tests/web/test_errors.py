"""What a failure looks like where, and what it never tells."""

from __future__ import annotations

import pytest

from mcp_server.oauth.credentials import Passwords
from tests.gateway import API_KEY, DCR_TOKEN, FORM, Browser, registration_body

KEY = {"X-API-Key": API_KEY}
SECRET = "wrapped in an exception: hunter2"


class Unexpected(RuntimeError):
    pass


@pytest.fixture
def broken(gateway, monkeypatch):
    """A gateway that fails in an unexpected way wherever it asks for a client, a credential or a person."""
    def fail(*_, **__):
        raise Unexpected(SECRET)

    services = gateway.services
    monkeypatch.setattr(type(services.clients), "find", fail)
    monkeypatch.setattr(type(services.clients), "add", fail)
    monkeypatch.setattr(type(services.users), "find", fail)
    monkeypatch.setattr(type(services.bearer), "principal", fail)
    monkeypatch.setattr(type(services.registry), "ping", fail)
    return gateway


REQUESTS = [
    # method, path, what else, the form of the answer
    ("POST", "/oauth/token", {"data": {"grant_type": "refresh_token", "client_id": "x"}}, "oauth"),
    ("POST", "/oauth/revoke", {"data": {"token": "x", "client_id": "x"}}, "oauth"),
    ("POST", "/oauth/register", {"json": registration_body(), "headers": {"Authorization": f"Bearer {DCR_TOKEN}"}}, "oauth"),
    ("GET", "/oauth/authorize", {"query_string": {"client_id": "x"}}, "oauth"),
    ("GET", "/oauth/authorize", {"query_string": {"client_id": "x"}, "headers": {"Accept": "text/html"}}, "page"),
    ("POST", "/mcp", {"json": {"jsonrpc": "2.0", "id": 1, "method": "ping"}}, "json-rpc"),
    ("GET", "/health", {}, "elsewhere"),
    ("GET", "/health", {"headers": {"Accept": "text/html"}}, "page"),
]


@pytest.mark.requirement("ERR-001")
@pytest.mark.parametrize(("method", "path", "kwargs", "form"), REQUESTS)
def test_what_nobody_expected_is_answered_blandly_and_logged_whole(*, broken, log, method, path, kwargs, form):
    response = broken.send(method, path, **kwargs)
    request_id = response.headers["X-Request-ID"]
    assert response.status_code == 500
    for told in (SECRET, "hunter2", "Unexpected", "Traceback", ".py", "line "):
        assert told not in response.text
    if form == "oauth":
        assert response.json["error"] == "server_error"
    elif form == "json-rpc":
        assert (response.json["jsonrpc"], response.json["error"]["code"]) == ("2.0", -32603)
    elif form == "page":
        assert request_id in response.text
    else:
        assert response.json["request_id"] == request_id
    [line] = [line for line in log.lines() if line["event"] == "unexpected failure"]
    assert line["request_id"] == request_id
    assert f"Unexpected: {SECRET}" in line["exception"]
    assert "test_errors.py" in line["exception"]
    assert [access["status"] for access in log.accesses() if access["request_id"] == request_id] == [500]


def test_a_failure_while_signing_in_is_a_page(broken):
    response = Browser(broken).sign_in()
    assert response.status_code == 500
    assert "hunter2" not in response.text
    assert response.headers["X-Request-ID"] in response.text


@pytest.mark.requirement("ERR-002")
def test_an_error_in_authlib_or_a_tool_does_not_stop_the_next_request(broken, monkeypatch):
    for method, path, kwargs, _ in REQUESTS:
        broken.send(method, path, **kwargs)
    monkeypatch.undo()
    assert broken.get("/health").status_code == 200
    assert broken.mcp("ping", headers=KEY).status_code == 200


EVERYWHERE = [("GET", "/"), ("GET", "/nothing"), ("GET", "/health"), ("GET", "/login"), ("POST", "/login"), ("GET", "/mcp"), ("POST", "/mcp"),
    ("OPTIONS", "/mcp"),
              ("GET", "/oauth/token"), ("POST", "/oauth/token"), ("GET", "/oauth/authorize"), ("GET", "/.well-known/oauth-authorization-server"),
              ("TRACE", "/mcp"),
              ("GET", "/static/style.css"), ("GET", "/static/nothing"), ("FOO", "/health"), ("OPTIONS", "*")]


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
def test_every_answer_has_an_id_of_its_own_and_says_nothing_of_what_runs_here(gateway, method, path):
    ids = set()
    for given in ({}, {"X-Request-ID": "chosen-by-the-caller"}, {"Accept": "text/html"}):
        response = gateway.send(method, path, headers=given)
        assert response.status_code < 500
        assert len(response.headers.get_all("X-Request-ID")) == 1
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "X-Powered-By" not in response.headers
        assert "python" not in response.headers.get("Server", "").lower()
        ids.add(response.headers["X-Request-ID"])
    assert len(ids) == 3
    assert "chosen-by-the-caller" not in ids


@pytest.mark.requirement("HTP-016")
@pytest.mark.parametrize("path", [
    "/.env", "/.git/config", "/data/registry.db", "/data/state.db", "/registry.db", "/console", "/docs", "/swagger.json", "/openapi.json", "/debug",
    "/admin",
    "/static/../app.py", "/static/..%2f..%2fapp.py", "/static/%2e%2e/%2e%2e/app.py", "/static/", "/static//etc/passwd", "/static/....//app.py",
    "/templates/login.html",
    "/mcp_server/app.py", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/wsgi.py", "/config/settings.py", "/robots.txt", "/server-status",
    "/actuator/health"])
def test_nothing_of_the_machine_is_served(gateway, path):
    response = gateway.get(path)
    assert response.status_code == 404
    assert set(response.json) == {"error", "request_id", "timestamp"}


@pytest.mark.requirement("HTP-013")
@pytest.mark.parametrize("path", ["/x\r\nSet-Cookie: a=b", "/login\r\nX: y", "/%0d%0aSet-Cookie:%20a=b", "/oauth/authorize\n", "/\r\n\r\n<html>"])
def test_a_line_break_in_a_path_gets_into_no_header(gateway, path):
    response = gateway.get("/", environ_overrides={"PATH_INFO": path})
    assert response.status_code in (404, 400)
    assert "a=b" not in str(response.headers)


@pytest.mark.parametrize("body", [b"%", b"a=\xff"])
def test_an_error_for_a_program_has_a_description_in_plain_ascii(gateway, body):
    response = gateway.post("/oauth/token", data=body, content_type=FORM)
    assert set(response.json) == {"error", "error_description"}
    assert all(" " <= letter <= "~" and letter not in '"\\' for letter in response.json["error_description"])


def test_too_many_passwords_at_once_are_told_to_come_back(gateway, monkeypatch):
    monkeypatch.setattr(Passwords, "WAITING_AT_MOST", 0)
    gateway.services.passwords.__init__(4)
    response = Browser(gateway).sign_in()
    assert response.status_code == 503
    assert response.headers["Retry-After"]


@pytest.mark.parametrize("host", ["x" * 3_000, "x" * 64 + ".test", "[::1"])
def test_a_browser_that_names_an_impossible_host_gets_a_page(gateway, host):
    response = gateway.get("/login", headers={"Accept": "text/html", "Host": host})
    assert response.status_code in (200, 400)
    assert 'href="/static/style.css"' in response.text
