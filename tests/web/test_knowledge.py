"""Agents search the knowledge and read articles over HTTP, each only what it may."""

from __future__ import annotations

import json

import pytest

from mcp_server.knowledge.access import Policy
from mcp_server.knowledge.building import Builder
from mcp_server.knowledge.documents import Document, Restriction
from mcp_server.tools.knowledge_resources import telling

STATELESS = "2026-07-28"


def article(number, title="A title", text="Some text.", **changes):
    return Document(**{"kind": "article", "id": number, "number": number, "title": title, "text": text} | changes)


@pytest.fixture
def holding(gateway):
    """holding(documents, **readers) → the gateway's index has them; `readers` maps a criterion to labels."""

    def build(*documents, **readers):
        knowledge = gateway.services.knowledge
        knowledge.corpus.put(documents, "test")
        policy = Policy(user_criteria={name: frozenset(labels) for name, labels in readers.items()})
        return Builder(knowledge.corpus, knowledge.index, None, policy, gateway.clock).build(lambda *_: None)

    return build


@pytest.fixture
def asks(gateway, client, flow):
    """asks(method, **params) → the answer to a client that has both scopes."""
    token = flow()["access_token"]

    def ask(method, /, **params):
        return gateway.mcp({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, token).json

    return ask


@pytest.fixture
def calls(asks):
    return lambda name, **arguments: asks("tools/call", name=name, arguments=arguments)["result"]


def test_articles_are_found_and_can_be_read_and_cited(holding, calls, asks):
    holding(article("KB1", "VPN drops", "Disable power saving.", url="https://dev1.service-now.com/kb", facts={"category": "Network"}),
            article("KB2", "Printer"))
    result = calls("search_knowledge", query="my vpn drops", limit="3")
    (found,) = result["structuredContent"]["articles"]
    assert found == {
        "number": "KB1", "title": "VPN drops", "passage": "Disable power saving.", "url": "https://dev1.service-now.com/kb", "category": "Network",
        "resource": "knowledge://article/KB1", "score": 1.0}
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    (contents,) = asks("resources/read", uri=found["resource"])["result"]["contents"]
    assert contents["text"].startswith("# VPN drops\n\n- Number: KB1\n- Category: Network\n")


def test_an_empty_knowledge_and_an_answer_without_articles_say_what_to_do(holding, calls):
    for tool, wanted in (("search_knowledge", {"query": "vpn"}), ("find_similar_incidents", {"short_description": "vpn"})):
        result = calls(tool, **wanted)
        assert "flask knowledge import" in result["structuredContent"]["note"]
        assert "isError" not in result
    holding(article("KB1", "VPN"))
    assert "other words" in calls("search_knowledge", query="zebra")["structuredContent"]["note"]


def test_incidents_come_with_how_they_were_solved_and_without_the_one_that_is_asked_about(holding, calls):
    facts = {"category": "Network", "assignment_group": "Net", "state": "Closed", "resolution": "Changed the adapter."}
    holding(*(article(number, "VPN drops", "Every ten minutes.", kind="incident", facts=facts) for number in ("INC1", "INC2")))
    found = calls("find_similar_incidents", short_description="VPN drops", number="inc1", limit=1)["structuredContent"]["incidents"]
    assert [each["number"] for each in found] == ["INC2"]
    assert found[0]["resolution"] == "Changed the adapter."
    assert calls("find_similar_incidents", short_description="VPN", assignment_group="NET")["structuredContent"]["incidents"]
    assert not calls("find_similar_incidents", short_description="VPN", assignment_group="Other")["structuredContent"]["incidents"]


@pytest.mark.parametrize("arguments", [
    {}, {"query": ""}, {"query": "x", "limit": 0}, {"query": "x", "limit": "11"}, {"query": "x" * 2001}, {"query": 3}])
def test_bad_arguments_are_told_by_their_names(calls, arguments):
    result = calls("search_knowledge", **arguments)
    assert result["isError"]
    assert ("query" if "limit" not in arguments else "limit") in result["content"][0]["text"]


def test_a_long_answer_stays_json(holding, calls):
    address = "https://x.example.com/" + "u" * 100
    holding(*(article(f"KB{number}", f"vpn {'w' * 400}", "vpn " + "text " * 300, url=address) for number in range(10)))
    result = calls("search_knowledge", query="vpn", limit=10)
    assert len(json.loads(result["content"][0]["text"])["articles"]) == 10


@pytest.mark.requirement("KNO-001")
def test_each_caller_finds_and_reads_what_it_may_and_hears_nothing_of_the_rest(holding, gateway, client, asks, calls):
    other = gateway.register()
    token = gateway.tokens(other)["access_token"]
    holding(article("KB1", "Wages", "secret", restriction=Restriction(can_read=("HR",))), article("KB2", "VPN"), hr=[f"client:{client.client_id}"])
    assert [each["number"] for each in calls("search_knowledge", query="wages")["structuredContent"]["articles"]] == ["KB1"]
    assert asks("resources/read", uri="knowledge://article/KB1")["result"]["contents"]

    def others(method, **params):
        return gateway.mcp({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, token).json

    assert others("tools/call", name="search_knowledge", arguments={"query": "wages"})["result"]["structuredContent"]["articles"] == []
    hidden = others("resources/read", uri="knowledge://article/KB1")["error"]
    absent = others("resources/read", uri="knowledge://article/KB9")["error"]
    assert hidden["code"] == absent["code"]
    assert hidden["message"] == absent["message"]
    for ask in (asks, others):
        listed = [each["uri"] for each in ask("resources/list")["result"]["resources"] if each["uri"].startswith("knowledge:")]
        assert listed == ["knowledge://article/KB2"]
        completed = ask("completion/complete", ref={"type": "ref/resource", "uri": "knowledge://article/{number}"},
                        argument={"name": "number", "value": "kb"})["result"]["completion"]
        assert completed["values"] == ["KB2"]


def test_the_list_of_articles_comes_in_pages(holding, asks):
    wanted = [f"KB{number:04}" for number in range(450)]
    holding(*map(article, wanted))
    listed, cursor = [], None
    while True:
        result = asks("resources/list", **({"cursor": cursor} if cursor else {}))["result"]
        listed += [each["name"] for each in result["resources"] if each["uri"].startswith("knowledge:")]
        if (cursor := result.get("nextCursor")) is None:
            break
    assert listed == wanted


@pytest.mark.parametrize("number", ["handbook/vpn.md", "ü", "a b", "%", "x" * 300])
def test_any_number_makes_an_address_that_can_be_read(holding, asks, calls, number):
    holding(article(number, "zebra"))
    (found,) = calls("search_knowledge", query="zebra")["structuredContent"]["articles"]
    assert asks("resources/read", uri=found["resource"])["result"]["contents"][0]["uri"] == found["resource"]


def test_a_new_generation_is_noticed_and_told_once_by_one_of_the_workers(holding, gateway, open_gateway):
    told = []
    gateway.services.mcp_server.changes.publish = lambda method, params: told.append((method, dict(params)))
    workers = [telling(gateway.services.knowledge.index, gateway.services.state.listings, gateway.services.mcp_server.changes, gateway.clock)
               for _ in range(3)]
    for look in workers:
        look()
    told.clear()
    secret = Restriction(can_read=("HR",))
    holding(article("KB1", "one"), article("KB2", "two"), article("KB3", "three", restriction=secret), hr=["client:x"])
    for look in workers:
        look()
    assert told == [("notifications/resources/list_changed", {})]
    told.clear()
    holding(article("KB1", "one, changed"), article("KB3", "three, changed", restriction=secret), hr=["client:x"])
    for look in (*workers, *workers):
        look()
    assert told == [("notifications/resources/list_changed", {}), ("notifications/resources/updated", {"uri": "knowledge://article/KB1"})]
