"""What is done to a request that succeeds: a few changes, each drawn from the tables here."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.fuzz.sending import Draft, encoded

MARKUP = ("<svg onload=x7>", '"><script>x7()</script>', "'><img src=x onerror=x7>", "{{7*7}}", "javascript:x7()//<a>")
INJECTION = ("a\r\nX-Injected: 1", "a\nSet-Cookie: injected=1", "a\r\n\r\n<html>", "\r\nLocation: https://evil.test/")
ELSEWHERE = ("https://evil.test/", "//evil.test/", "https://dev12345.service-now.com.evil.test/oauth_redirect.do",
             "http://127.0.0.1:9@evil.test/callback",
             "https://dev12345.service-now.com/oauth_redirect.do#x", "https://dev12345.service-now.com/oauth_redirect.do/../x", "/\\evil.test",
             "javascript:alert(1)", "http://127.0.0.1:51004/callback", "https://dev12345.service-now.com/OAUTH_redirect.do", "data:text/html,x")
SPOILED = (
    "", " ", "\0", "a\0b", "x", "0", "-1", "null", "true", "none", "None", "plain", "S256", "code", "token", "code id_token", "fragment", "approve",
    "refuse", "authorization_code", "refresh_token", "client_credentials", "password", "urn:ietf:params:oauth:grant-type:device_code", "login",
    "consent",
    "select_account", "tools:read", "tools:read tools:execute", "tools:read,openid", "admin", "*", "offline_access", "{}", "[]", "..",
    "../../etc/passwd",
    "' OR 1=1 --", "; DROP TABLE clients", "%00", "%", "%zz", "%u0041", "é", "\u2028", "\u202e", "\ufeff", "\ud800", "😀", "\uff21\uff22", "\x7f",
    "\x1b[31m",
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "..", "....", "https://mcp.acme.test/mcp",
    "http://169.254.169.254/", "file:///etc/passwd", "x" * 43, "x" * 129, "x" * 5_000, "é" * 3_000, "<" * 2_000, "A" * 70_000)
KINDS = ("client_id", "client_secret", "other_client_secret", "code", "refresh_token", "access_token", "dcr_token", "api_key", "password", "username",
         "verifier", "redirect_uri", "assertion", "registration_access_token", "managed_client", "transaction", "csrf")
SPOILS = {
    "as it is": lambda real: real, "cut": lambda real: real[:-1], "longer": lambda real: real + "A", "other case": str.swapcase,
    "twice": lambda real: real + real, "a blank before": lambda real: " " + real, "a line end": lambda real: real + "\r\n",
    "NUL": lambda real: real + "\0", "backwards": lambda real: real[::-1]}
NAMES = (
    "response_type", "client_id", "client_secret", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method", "code_verifier",
    "code",
    "grant_type", "refresh_token", "token", "token_type_hint", "resource", "client_assertion", "client_assertion_type", "prompt", "max_age", "nonce",
    "request", "request_uri", "response_mode", "iss", "audience", "username", "password", "next", "csrf", "transaction", "decision", "device_code",
    "user_code", "id_token_hint", "login_hint", "acr_values", "ui_locales", "claims", "registration", "sub", "kid", "access_token", "token_value",
    "<svg onload=x7>", "a\r\nX-Injected: 1", "é", "\0", "", "x" * 300, "__proto__", "client_id[]", "CLIENT_ID", "client_id ")
MEMBERS = (
    "client_name", "redirect_uris", "grant_types", "response_types", "token_endpoint_auth_method", "scope", "client_uri", "logo_uri", "tos_uri",
    "policy_uri", "contacts", "software_id", "software_version", "software_statement", "application_type", "jwks", "jwks_uri", "token_value",
    "client_id", "client_secret", "registration_access_token", "is_admin", "instance", "origin", "jsonrpc", "method", "id", "params", "__proto__",
    "é")
HEADERS = {
    "Authorization": ("", "Basic", "Basic ", "Basic !!!!", "Basic YQ==", "Basic Og==", "Basic YTpi", "basic /w==", "Bearer", "Bearer ",
                      "Bearer a.b.c",
                      "Bearer \xff\xfe", "Digest username=a", "DPoP x", "x" * 20_000, "Bearer " + "." * 2_000, "Basic " + "A" * 8_000, "\xe9",
                      "ApiKey x",
                      "{basic}", "{bearer}", "Bearer {dcr_token}", "{dcr_token}", "Bearer {registration_access_token}", "ApiKey {api_key}",
                      "{basic}x",
                      "Bearer {refresh_token}", "Bearer {code}", "Bearer {client_secret}", "Basic {client_secret}", "{basic}, {bearer}"),
    "Content-Type": ("", "application/json", "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-16", "text/plain",
                     "multipart/form-data; boundary=x", "multipart/form-data", "application/json; charset=utf-7", "APPLICATION/JSON", "a/b/c", ";;;",
                     "\xff", "x" * 5_000, "application/json, application/x-www-form-urlencoded", "text/html", "application/vnd.x+json"),
    "Accept": ("text/html", "*/*", "application/json", "", "text/html;q=0", "text/event-stream", "<svg onload=x7>"),
    "Host": ("evil.test", "mcp.acme.test:99999", "mcp.acme.test@evil.test", "[::1", "", "<svg onload=x7>", "a b", "x" * 3_000, "\xff"),
    "Origin": ("https://evil.test", "null", "https://mcp.acme.test", "", "file://", "https://mcp.acme.test.evil.test", "\xff", "<svg onload=x7>"),
    "Cookie": ("__Host-session=x", "__Host-session=.eJx.x.x", "__Host-session=", "=", ";;;", "a=b" * 2_000, "\xff", "__Host-session={code}",
               "{cookie}",
               "{cookie}; __Host-session=x", "session={access_token}"),
    "Sec-Fetch-Site": ("cross-site", "same-origin", "none", "\xff", ""),
    "X-Forwarded-For": ("1.2.3.4", "1.2.3.4, 5.6.7.8", "::1", "x" * 3_000, "unknown", "<svg onload=x7>", "127.0.0.1, \xff", "", "999.1.1.1"),
    "CF-Connecting-IP": ("1.2.3.4", "2001:db8::1%eth0", "", "<svg onload=x7>", "::ffff:127.0.0.1"),
    "X-Forwarded-Host": ("evil.test",), "X-Forwarded-Proto": ("http", "javascript"), "X-Forwarded-Prefix": ("//evil.test", "/x"),
    "Forwarded": ("host=evil.test",),
    "X-Original-URL": ("/health",), "X-HTTP-Method-Override": ("DELETE", "GET"), "X-API-Key": ("{api_key}", "", "\xff"),
    "Referer": ("https://evil.test/{code}",),
    "User-Agent": ("x" * 20_000, "<svg onload=x7>", "\x1b[2J{access_token}"), "X-Request-ID": ("x", "<svg onload=x7>", "\xff"),
    "MCP-Protocol-Version": ("2025-06-18", "1999-01-01", "\xff", "2026-07-28"), "Mcp-Session-Id": ("x", "{access_token}"), "Range": ("bytes=0-1",),
    "Expect": ("100-continue", "x"), "If-None-Match": ("*",), "Content-Encoding": ("gzip", "x"), "Access-Control-Request-Method": ("POST", "\xff"),
}
BODIES = (b"", b"\0", b"\xff\xfe\xfd", b"&&&&", b"=", b"=&=", b"a", b"%", b"%zz=%zz", b"a=%ff", b"{", b"[]", b"{}", b"null", b"NaN", b"1e999", b'"x"',
          b'{"a":1,"a":2}', b"[" * 5_000, b'{"x":' * 300, b'{"redirect_uris":{"a":[]}}', b'{"client_name":"\\ud800"}', b"--x\r\n\r\n--x--",
          b"\x1f\x8b\x08\0\0",
          b"x=1&" * 200, b"a=" + b"x" * 101_000, b'{"client_name":"' + b"x" * 101_000 + b'"}', b'{"a":' + b"9" * 5_000 + b"}", b"\xef\xbb\xbf{}",
          b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>")
RAW = (b"%", b"%zz", b"a=%ff", b"&&", b"=x", b"client_id=%00", b"state=%0d%0aX-Injected:%201", b"state=%c0%ae", b"scope=a%20%20b", b"\xff=\xff",
       b"}", b"client_id")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO", "get")


@dataclass(frozen=True)
class Real:
    """A real one of this kind, spoiled or as it is."""

    kind: str
    spoil: str

    def of(self, world) -> str:
        return SPOILS[self.spoil](world.value(self.kind))


texts = st.one_of(
    st.sampled_from(SPOILED), st.sampled_from((*MARKUP, *INJECTION)), st.sampled_from(ELSEWHERE), st.builds(Real, st.sampled_from(KINDS),
                                                                                                            st.sampled_from(tuple(SPOILS))),
                                                                                                            st.builds(Real,
                                                                                                                      st.sampled_from(KINDS),
                                                                                                                      st.just("as it is")),
    st.text(max_size=20), st.binary(max_size=20).map(lambda raw: raw.decode("latin-1")))
json_values = st.one_of(
    texts, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.lists(texts, max_size=3),
    st.dictionaries(st.sampled_from(MEMBERS), texts, max_size=2),
    st.just(["https://dev12345.service-now.com/oauth_redirect.do"] * 30), st.just([[]]), st.just({"keys": [{"kty": "oct", "k": "AAAA"}]}),
    st.sampled_from(["none", "private_key_jwt", "client_secret_basic", ["authorization_code"], ["client_credentials"], ["password"], ["implicit"]]))


def _headers():
    often = st.sampled_from(("Authorization", "Content-Type", "Accept", "Cookie"))
    named = st.one_of(often, st.sampled_from(tuple(HEADERS))).flatmap(lambda name: st.tuples(st.just("header"), st.just(name),
                                                                                             st.sampled_from(HEADERS[name])))
    noise = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=30)
    return st.one_of(named, st.tuples(st.just("header"), st.sampled_from(tuple(HEADERS)), noise),
                     st.tuples(st.just("no header"), st.sampled_from(("Authorization", "Cookie", "Content-Type", "Accept"))))


def changes(names, members):
    """A strategy: one change. The endpoint's own names come up more often than alien ones."""
    known = st.sampled_from(names) if names else st.sampled_from(NAMES)
    name = st.one_of(known, known, st.sampled_from(NAMES))
    options = [
        st.tuples(st.just("set"), name, texts), st.tuples(st.just("set"), name, texts), st.tuples(st.just("drop"), known),
        st.tuples(st.just("again"), name, texts),
        st.tuples(st.just("query"), name, texts), _headers(), _headers(), st.tuples(st.just("raw"), st.sampled_from(RAW)),
        st.tuples(st.just("body"), st.one_of(st.sampled_from(BODIES), st.binary(max_size=40))), st.tuples(st.just("method"),
                                                                                                          st.sampled_from(METHODS)),
        st.tuples(st.just("chunked")), st.tuples(st.just("path"), st.sampled_from(("/", "//", "/..", "/.;/", "\0", "/\xff", "%2f",
                                                                                   "/<svg onload=x7>", "/" + "x" * 3_000)))]
    options += [st.tuples(st.just("set"), st.just(each), st.sampled_from(ELSEWHERE)) for each in ("redirect_uri", "next") if each in names]
    options.append(st.just(("header", "Accept", "text/html")))
    if members:
        options += [st.tuples(st.just("member"), st.sampled_from(MEMBERS), json_values)] * 6
        options += [st.tuples(st.just("no member"), st.sampled_from(MEMBERS)), st.tuples(st.just("members"), json_values)]
    return st.one_of(options)


def apply(change, draft: Draft, world) -> None:
    what, *rest = change
    APPLY[what](draft, world, *rest)


def _text(value, world):
    if isinstance(value, Real):
        return value.of(world)
    if isinstance(value, list):
        return [_text(each, world) for each in value]
    if isinstance(value, dict):
        return {name: _text(each, world) for name, each in value.items()}
    return value


def _member(draft, world, name, value):
    if isinstance(draft.members, dict):
        draft.members[name] = _text(value, world)


def _header(draft, world, name, value):
    """`{kind}` in a header of the tables is a real one."""
    if value.count("{") == value.count("}") and not value.startswith("{{"):
        for kind in (*KINDS, "basic", "bearer", "cookie"):
            if f"{{{kind}}}" in value:
                value = value.replace(f"{{{kind}}}", world.value(kind))
    draft.headers[name] = value


APPLY = {
    "set": lambda draft, world, name, value: draft.form.__setitem__(name, [_text(value, world)]),
    "drop": lambda draft, world, name: draft.form.pop(name, None),
    "again": lambda draft, world, name, value: draft.form.setdefault(name, []).append(_text(value, world)),
    "query": lambda draft, world, name, value: setattr(draft, "query", _query(draft, name, _text(value, world))),
    "header": _header,
    "no header": lambda draft, world, name: draft.headers.pop(name, None),
    "raw": lambda draft, world, raw: setattr(draft, "appended", raw),
    "body": lambda draft, world, body: setattr(draft, "body", body),
    "method": lambda draft, world, method: setattr(draft, "method", method),
    "chunked": lambda draft, world: setattr(draft, "chunked", True),
    "path": lambda draft, world, more: setattr(draft, "path", draft.path + more),
    "member": _member,
    "no member": lambda draft, world, name: isinstance(draft.members, dict) and draft.members.pop(name, None),
    "members": lambda draft, world, value: setattr(draft, "members", _text(value, world)),
}


def _query(draft, name, value):
    return "&".join(part for part in (draft.query, encoded({name: [value]}).decode()) if part)
