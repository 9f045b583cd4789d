"""Each promise is broken once, by a fault of the kind that it is there for; the fuzzer finds it and names the promise."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import Phase

from mcp_server.oauth import parameters, redirect_uris
from mcp_server.oauth.credentials import Digests
from mcp_server.oauth.grants import authorization_code
from mcp_server.web import error_handlers, sessions
from tests.fuzz.endpoints import ENDPOINTS
from tests.fuzz.promises import PROMISES, Broken
from tests.fuzz.test_fuzz import fuzz

EXAMPLES = 1_500


def _no_care_for_bytes(monkeypatch, world):
    monkeypatch.setattr(parameters, "_decoded", lambda encoded: unquote_to_bytes(encoded.replace(b"+", b" ")).decode())


def _pages_for_programs(monkeypatch, world):
    monkeypatch.setattr(error_handlers, "FOR_PROGRAMS", frozenset())


def _any_secret_will_do(monkeypatch, world):
    monkeypatch.setattr(Digests, "matches", lambda self, kind, secret, stored: True)


def _any_verifier_will_do(monkeypatch, world):
    monkeypatch.setattr(authorization_code.S256Challenge, "validate_code_verifier", lambda *_, **__: None)


def _errors_name_what_was_sent(monkeypatch, world):
    told = error_handlers._oauth_body
    monkeypatch.setattr(error_handlers, "_oauth_body", lambda code, text: told(code, f"{text} {_sent()}"))


def _sent():
    return error_handlers.request.environ["wsgi.input"].getvalue().decode("latin-1")


def _errors_name_the_file(monkeypatch, world):
    told = error_handlers._oauth_body
    monkeypatch.setattr(error_handlers, "_oauth_body", lambda code, text: told(code, f"{text} ({__file__})"))


def _nothing_is_escaped(monkeypatch, world):
    monkeypatch.setattr(world.gateway.app.jinja_env, "autoescape", False)
    world.gateway.app.jinja_env.cache.clear()


def _parameters_become_headers(monkeypatch, world):
    application = world.gateway.app.wsgi_app

    def spoilt(environ, start_response):
        def start(status, headers, *rest):
            asked = unquote_to_bytes(environ["QUERY_STRING"]).decode("latin-1")
            return start_response(status, [*headers, ("X-Asked", asked)], *rest)

        return application(environ, start)

    monkeypatch.setattr(world.gateway.app, "wsgi_app", spoilt)


def _any_redirect_will_do(monkeypatch, world):
    monkeypatch.setattr(redirect_uris, "matches", lambda requested, registered: True)


def _any_page_comes_next(monkeypatch, world):
    monkeypatch.setattr(sessions, "local", lambda after: after if after and after.isascii() and after.isprintable() else "/logout")


def _the_log_has_the_query(monkeypatch, world):
    built = world.gateway.services
    write = built.write_access_line
    object.__setattr__(built, "write_access_line", lambda record: write({**record, "query": error_handlers.request.query_string.decode("latin-1")}))


def _the_log_has_the_credential(monkeypatch, world):
    built = world.gateway.services
    write = built.write_access_line
    object.__setattr__(built, "write_access_line", lambda record: write({**record, "by": error_handlers.request.headers.get("Authorization")}))


FAULTS = (
    (_no_care_for_bytes, "/oauth/token", "no_server_error"),
    (_pages_for_programs, "/oauth/token", "the_right_form"),
    (_any_secret_will_do, "/oauth/introspect", "nothing_unearned"),
    (_any_secret_will_do, "/oauth/register/<client_id>", "nothing_unearned"),
    (_any_verifier_will_do, "/oauth/token", "nothing_unearned"),
    (_errors_name_what_was_sent, "/oauth/token", "no_error_echoes_a_secret"),
    (_errors_name_the_file, "/oauth/token", "nothing_of_the_inside"),
    (_nothing_is_escaped, "/login", "no_markup"),
    (_parameters_become_headers, "/oauth/authorize", "no_injected_header"),
    (_any_redirect_will_do, "/oauth/authorize", "redirects_go_home"),
    (_any_page_comes_next, "/login", "redirects_go_home"),
    (_the_log_has_the_query, "/oauth/authorize", "the_log_is_silent"),
    (_the_log_has_the_credential, "/oauth/token", "the_log_is_silent"),
)


@pytest.mark.parametrize(("fault", "path", "promise"), FAULTS)
def test_a_fault_is_found_and_named(world, monkeypatch, fault, path, promise):
    fault(monkeypatch, world)
    [endpoint] = [row for row in ENDPOINTS if path in row.rules]
    with pytest.raises(Broken) as found:
        fuzz(world, endpoint, path, examples=EXAMPLES, phases=(Phase.generate,))
    assert found.value.promise == promise


def test_each_promise_has_a_fault():
    assert {promise.__name__ for promise in PROMISES} == {promise for _, _, promise in FAULTS}
