from __future__ import annotations

import base64

import pytest

from mcp_server.errors import InsufficientScope
from mcp_server.mcp.resources import Contents, FixedResources, Resource, ResourceTemplate, is_uri
from mcp_server.mcp.shown import Annotations, Icon
from tests.mcp.offered import offer

OTHER_FORMS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]


@pytest.fixture
def offered():
    return offer()


def test_a_resource_is_listed_with_what_it_says_of_itself_and_no_empty_member(client):
    first, second = client.request("resources/list")["result"]["resources"][:2]
    assert first == {"uri": "note://a", "name": "a", "title": "The note", "description": "A note.", "mimeType": "text/plain", "size": 5}
    assert second == {"uri": "note://b.png", "name": "b", "mimeType": "image/png"}


def test_templates_are_listed(client):
    [template] = client.request("resources/templates/list")["result"]["resourceTemplates"]
    assert template == {"uriTemplate": "note://of/{who}", "name": "of", "title": "Somebody's note"}


@pytest.mark.parametrize("version", OTHER_FORMS)
@pytest.mark.parametrize(("uri", "contents"), [
    ("note://a", {"uri": "note://a", "mimeType": "text/plain", "text": "h\u00e9llo"}),
    ("note://b.png", {"uri": "note://b.png", "mimeType": "image/png", "blob": base64.b64encode(b"\x89PNG").decode()}),
    ("note://of/x%20y", {"uri": "note://of/x%20y", "text": "of x y"}),
])
def test_text_is_read_as_text_bytes_as_base64_and_what_a_template_has_as_the_rest(client, version, uri, contents):
    assert client.request("resources/read", {"uri": uri}, version=version)["result"] == {"contents": [contents]}


@pytest.mark.parametrize("version", OTHER_FORMS)
@pytest.mark.parametrize("method", ["resources/read", "resources/subscribe"])
def test_a_resource_that_is_not_there_is_told_with_its_uri_and_the_code_of_the_handshake_era(client, method, version):
    error = client.request(method, {"uri": "note://none"}, version=version)["error"]
    assert (error["code"], error["data"]) == (-32002, {"uri": "note://none"})
    assert "resources/list" in error["message"]


BAD_URIS = [
    "", "note", "note:", "/etc/passwd", "../note", "note://../a", "note://a/..", "note://a/%2e%2e/b", "note://a/%2E./b", "note://a%2f..%2fb", "note://a/..%5cb",
    "note://a\\..\\b", "note://a b", "note://a\n", "note://\u00e9", "note://%ff", "note://a%00", "note://a%0a", "note://%zz", "note://%", "1note://a",
    "note://" + "a" * 3000, "note://a/./b", "note://a?x=/../y"]


@pytest.mark.parametrize("uri", BAD_URIS)
@pytest.mark.parametrize("method", ["resources/read", "resources/subscribe"])
def test_what_is_no_uri_or_climbs_is_refused_before_any_source_sees_it(client, server, monkeypatch, method, uri):
    for source in server.resources._sources.values():
        monkeypatch.setattr(source, "has", lambda uri: pytest.fail(f"asked for {uri!r}"))
    error = client.request(method, {"uri": uri})["error"]
    assert error["code"] == -32602
    assert len(error["message"]) < 200


@pytest.mark.parametrize("params", [{}, {"uri": 1}, {"uri": None}, {"uri": ["note://a"]}])
@pytest.mark.parametrize("method", ["resources/read", "resources/subscribe", "resources/unsubscribe"])
def test_a_uri_is_needed_and_is_text(client, method, params):
    assert client.request(method, params)["error"]["code"] == -32602


@pytest.mark.parametrize("uri", ["note://a", "https://x.test/a?b=c#d", "urn:isbn:0451450523", "file:///var/data", "note://a..b/c...d", "note://100%25"])
def test_these_are_uris(uri):
    assert is_uri(uri)


@pytest.mark.parametrize("method", ["resources/list", "resources/templates/list", "resources/read", "resources/subscribe", "resources/unsubscribe"])
def test_reading_needs_the_scope_of_lists_and_no_other(client, principal_with, method):
    client.principal = principal_with("tools:read")
    assert "result" in client.request(method, {"uri": "note://a"})
    client.principal = principal_with("tools:execute")
    with pytest.raises(InsufficientScope):
        client.request(method, {"uri": "note://a"})


def test_what_is_empty_is_said_to_be_gone(client, server, monkeypatch):
    monkeypatch.setattr(server.resources["note://a"], "read", lambda *_: [])
    assert client.request("resources/read", {"uri": "note://a"})["error"]["code"] == -32002


def test_a_source_that_needs_an_answer_nobody_can_give_is_an_error_in_words(client):
    error = client.request("resources/read", {"uri": "page://00001"})["error"]
    assert error["code"] == -32602
    assert "elicitation" in error["message"]


def test_only_what_asks_back_is_read_beside_its_connection(dispatcher, server):
    def at_once(uri):
        return next(row for row in dispatcher._handshake.values() if row.name == "resources/read").at_once(server, {"uri": uri})

    assert [at_once(uri) for uri in ("note://a", "note://none", None, 1, "page://00001")] == [True, True, True, True, False]


# Watching, which belongs to a session.


@pytest.fixture
def session(sessions, client):
    return sessions.find(sessions.begin("2025-06-18", {"roots": {}}, client.principal), client.principal)


def watch(client, session, uri, method="resources/subscribe"):
    return client.send({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"uri": uri}}, session=session)


def test_a_session_remembers_what_it_watches_until_it_no_longer_does(client, sessions, session, clock):
    watch(client, session, "note://a")
    watch(client, session, "note://b.png")
    assert sessions.store.find(session.name, clock()).subscriptions == {"note://a", "note://b.png"}
    watch(client, session, "note://a", "resources/unsubscribe")
    assert sessions.store.find(session.name, clock()).subscriptions == {"note://b.png"}


def test_a_session_watches_a_hundred_resources_and_is_told_when_it_wants_more(client, session):
    for number in range(100):
        assert b"error" not in watch(client, session, f"page://{number:05}").body
    refused = watch(client, session, "page://00100")
    assert refused.error_code == -32602
    assert b"Unsubscribe" in refused.body


@pytest.mark.parametrize("method", ["resources/subscribe", "resources/unsubscribe"])
def test_without_a_session_it_is_answered_and_nothing_is_kept(client, method):
    assert client.request(method, {"uri": "note://a"})["result"] == {}


# What a source may say.


@pytest.mark.parametrize("uri", BAD_URIS)
def test_a_source_cannot_offer_what_nobody_could_read(uri):
    with pytest.raises(ValueError, match="is not an absolute URI"):
        Resource(uri, "x")


@pytest.mark.parametrize("template", [
    "note://a", "note://{+a}", "note://{a}/{a}", "note://{a,b}", "note://{a*}", "note://{}", "{a}", "note://{a}/../b", "x {a}"])
def test_a_template_has_names_in_braces_and_nothing_else(template):
    with pytest.raises(ValueError, match="is not a URI with"):
        ResourceTemplate(template, "x")


def test_a_template_gives_back_the_values_that_were_put_into_it():
    template = ResourceTemplate("note://{a}/of.it/{b}", "x")
    uri = template.expand(a="x/y ?&\u00e9", b="..%")
    assert template.match(uri) == {"a": "x/y ?&\u00e9", "b": "..%"}
    assert template.match("note://a/ofxit/b") is None
    assert template.match("note://a/b/of.it/c") is None
    assert template.match("note:///of.it/c") is None


def test_icons_and_annotations_are_shown_as_the_protocol_has_them():
    icon = Icon("data:image/png;base64,AA==", "image/png", ("48x48",), "dark")
    resource = Resource("note://a", "a", icons=(icon,), annotations=Annotations(("user",), 0.0, "2026-07-28T00:00:00Z"))
    assert resource.definition == {
        "uri": "note://a", "name": "a", "icons": [{"src": icon.src, "mimeType": "image/png", "sizes": ["48x48"], "theme": "dark"}],
        "annotations": {"audience": ["user"], "priority": 0.0, "lastModified": "2026-07-28T00:00:00Z"}}


@pytest.mark.parametrize("src", ["http://x.test/a.png", "https://x.test/a.png", "javascript:alert(1)", "file:///a.png", "data:text/html,x", "/a.png"])
def test_an_icon_is_an_image_that_clients_may_load(src):
    with pytest.raises(ValueError, match="An icon is"):
        Icon(src)


@pytest.mark.parametrize("priority", [-0.1, 1.1])
def test_a_priority_is_between_0_and_1(priority):
    with pytest.raises(ValueError, match="A priority is"):
        Annotations(priority=priority)


def test_digests_tell_which_contents_and_whether_the_list_are_others():
    def digests(text="x", title="t"):
        return FixedResources("n", [Resource("note://a", "a", title)], [Contents("note://a", text)]).digests()

    assert digests() == digests()
    assert {uri for uri, value in digests(text="y").items() if value != digests()[uri]} == {"note://a"}
    assert {uri for uri, value in digests(title="u").items() if value != digests()[uri]} == {""}


def test_a_fixed_source_goes_on_behind_what_was_shown_last_also_when_that_is_gone():
    source = FixedResources("n", [Resource(f"note://{name}", name) for name in "cab"], [])
    assert [resource.name for resource in source.page("", 2)] == ["a", "b"]
    assert [resource.name for resource in source.page("note://b", 2)] == ["c"]
    assert [resource.name for resource in source.page("note://aa", 9)] == ["b", "c"]
