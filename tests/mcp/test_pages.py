from __future__ import annotations

import base64
import json

import pytest

from mcp_server.mcp.pages import PAGE
from mcp_server.tools import SHIPPED
from tests.mcp.offered import Greeting, offer

LISTS = [("resources/list", "resources"), ("resources/templates/list", "resourceTemplates"), ("prompts/list", "prompts"), ("tools/list", "tools")]


def named(name):
    prompt = Greeting()
    prompt.name = name
    return prompt


@pytest.fixture
def offered():
    return offer()


def pages_of(client, method, member):
    """The entries of each page, following the cursors."""
    pages, cursor = [], None
    while True:
        result = client.request(method, {"cursor": cursor} if cursor else {})["result"]
        pages.append(result[member])
        cursor = result.get("nextCursor")
        if cursor is None:
            return pages


def test_many_resources_come_in_pages_each_once_and_in_order(client):
    pages = pages_of(client, "resources/list", "resources")
    assert [len(page) for page in pages] == [200, 200, 52]
    uris = [resource["uri"] for page in pages for resource in page]
    assert uris == ["note://a", "note://b.png", *(f"page://{number:05}" for number in range(450))]


@pytest.mark.parametrize("count", [197, 198, 199, 398])
def test_a_page_that_is_just_full_is_followed_by_one_only_if_there_is_more(count, server, client):
    registry = offer(count)["resources"]
    sizes, cursor = [], None
    while True:
        listed, cursor = registry.page(cursor)
        sizes.append(len(listed))
        if cursor is None:
            break
    assert (sum(sizes), 0 in sizes) == (count + 2, False)


def test_a_resource_that_goes_between_two_pages_takes_no_other_with_it(client, offered):
    first = client.request("resources/list")["result"]
    [source] = [source for source in offered["resources"]._sources.values() if source.name == "pages"]
    source.uris.remove(first["resources"][-1]["uri"])
    following = client.request("resources/list", {"cursor": first["nextCursor"]})["result"]["resources"]
    assert following[0]["uri"] == "page://00198"


def test_prompts_come_in_pages_too(server, client):
    server.prompts.definitions.extend(named(f"p{number}").definition for number in range(PAGE))
    assert [len(page) for page in pages_of(client, "prompts/list", "prompts")] == [PAGE, 2]


def test_the_shipped_tools_fit_one_page_with_many_of_the_operator_s():
    assert len(SHIPPED) + 100 < PAGE


@pytest.mark.parametrize(("method", "member"), LISTS)
@pytest.mark.parametrize("cursor", ["", None])
def test_an_empty_cursor_is_that_of_the_first_page(client, method, member, cursor):
    assert client.request(method, {"cursor": cursor})["result"] == client.request(method)["result"]
    assert client.request(method)["result"][member]


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


@pytest.mark.requirement("MCP-030")
@pytest.mark.parametrize(("method", "member"), LISTS)
@pytest.mark.parametrize("cursor", [
    "junk", "0", " ", "=", 1, True, [], {}, "x" * 9000, "\x00", "é", encoded([]),
    encoded({}), encoded("pages"), encoded(["nobody"]), encoded(["nobody", ""]),
    encoded(["pages", 1]), encoded(["pages", "", ""]), encoded(["notes", "note://a"]) + "=", encoded(["notes", "note://a"]) + " "])
def test_a_cursor_that_was_never_given_out_is_refused(client, method, member, cursor):
    error = client.request(method, {"cursor": cursor})["error"]
    assert error["code"] == -32602
    assert len(error["message"]) < 200
