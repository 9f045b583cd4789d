"""Following an instance over HTTP: only what changed, in pages, with faults on the way, and never wider than the instance lets read."""

import json
import ssl

import pytest

from mcp_server.errors import InstanceUnavailable, KnowledgeRefused
from mcp_server.knowledge import sync as sync_module
from mcp_server.knowledge.access import Policy
from mcp_server.knowledge.building import Builder
from mcp_server.knowledge.documents import ANYBODY
from mcp_server.knowledge.ports import Where
from mcp_server.knowledge.sync import Sync
from mcp_server.outbound.table_api import Account, ServiceNowTables
from tests.knowledge_base import NOW
from tests.table_api import Instance, served
from tests.tls import Authority

NOTHING_MAPPED = Policy()
ACCOUNT = Account(username="sync", password="pass word")


@pytest.fixture
def instance():
    return Instance()


@pytest.fixture
def url(instance):
    with served(instance) as address:
        yield address


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(sync_module, "PAGE", 10)


@pytest.fixture
def waits():
    return []


@pytest.fixture
def run(files, url, waits, small_pages):
    """run(**options) → what a synchronisation of the articles did."""

    def once(account=ACCOUNT, kind="article", progress=lambda *_: None, **options):
        return Sync(ServiceNowTables(url, account, lambda: NOW, wait=waits.append), files.corpus, kind).run(progress, **options)

    return once


def numbers(files):
    return [document.number for document in files.corpus.documents()]


def test_everything_is_read_in_pages_and_the_next_time_only_what_changed(run, files, instance):
    for number in range(1, 36):
        instance.article(number, updated=f"2026-01-01 00:00:{number:02}")
    progress = []
    first = run(progress=lambda *told: progress.append(told))
    assert (first.read, first.new, first.changed, first.since) == (35, 35, 0, "")
    assert progress == [(10, 35), (20, 35), (30, 35), (35, 35)]
    instance.article(3, updated="2026-03-01 00:00:00", short_description="Changed")
    instance.article(99, updated="2026-03-01 00:00:01")
    instance.asked.clear()
    second = run()
    assert (second.new, second.changed) == (1, 1)
    assert second.since == "2025-12-31 00:00:35", "a day before the newest change that was seen"
    third = run()
    assert (third.read, third.new, third.changed) == (2, 0, 0)
    assert all(asked["sysparm_fields"] and asked["sysparm_display_value"] == "all" for _, asked in instance.asked)


def test_a_run_that_broke_off_goes_on_where_it_ended(run, files, instance):
    for number in range(1, 36):
        instance.article(number)
    instance.faults = [None, None, None, None, *[(503, {}, b"")] * 6]
    with pytest.raises(InstanceUnavailable, match="goes on"):
        run()
    assert len(numbers(files)) == 20
    instance.asked.clear()
    again = run()
    assert (again.read, len(numbers(files))) == (15, 35)
    assert f"sys_id>{20:032x}" in next(asked for path, asked in instance.asked if path.endswith("kb_knowledge"))["sysparm_query"]


def test_what_is_not_published_any_more_goes(run, files, instance):
    instance.article(1)
    instance.article(2)
    run()
    instance.article(1, updated="2026-02-01 00:00:00", workflow_state="retired")
    assert run().removed == 1
    assert numbers(files) == ["KB0000002"]


def test_what_cannot_be_read_any_more_goes_too(run, files, instance):
    instance.article(1)
    run()
    instance.article(1, updated="2026-02-01 00:00:00", valid_to="31/12/2026")
    found = run()
    assert (found.removed, numbers(files)) == (1, [])
    assert "valid_to" in found.problems[0]


def test_deleted_records_are_noticed_when_everything_is_read_anew(run, files, instance):
    instance.article(1)
    gone = instance.article(2)
    run()
    del instance.tables["kb_knowledge"][gone]
    run()
    assert len(numbers(files)) == 2
    assert run(full=True).removed == 1
    assert numbers(files) == ["KB0000001"]


@pytest.mark.parametrize("counts", [True, False])
def test_rows_that_the_account_may_not_read_end_no_run(run, files, instance, counts):
    """They count in a page and are not in it: a page of them is empty, and more comes behind."""
    instance.counts = counts
    ids = [instance.article(number) for number in range(1, 41)]
    instance.hidden = set(ids[5:28]) if counts else set()
    found = run()
    assert found.read == len(numbers(files)) == (17 if counts else 40)
    assert found.hidden == (23 if counts else 0)


@pytest.mark.parametrize("fault", [(503, {}, b""), (429, {"Retry-After": "7"}, b""), "drop", (502, {}, b"<html>")])
def test_an_instance_that_has_too_much_to_do_is_asked_again(run, files, instance, waits, fault):
    instance.article(1)
    instance.faults = [None, None, fault, fault]
    assert run().new == 1
    assert waits == ([7.0, 7.0] if isinstance(fault, tuple) and fault[1] else [1.0, 2.0])


@pytest.mark.parametrize(("fault", "what"), [
    ((401, {}, b"{}"), "401"), ((403, {}, b"{}"), "403"), ((404, {}, b"{}"), "404"), ((302, {"Location": "/login.do"}, b""), "302"),
    ((400, {}, b'{"error": {"message": "Invalid table"}}'), "Invalid table"), ((200, {}, b"<html>Your instance is hibernating"), "asleep"),
    ((200, {}, b"[]"), "asleep"), ((200, {}, b'{"result": "x"}'), "not the Table API"), ((200, {}, b'{"result": [1]}'), "not the Table API"),
    ((200, {}, b'{"result": [{"number": "KB1"}]}'), "order of sys_id"),
    ((200, {}, b'{"result": [{"sys_id": "b"}, {"sys_id": "a"}]}'), "order of sys_id"),
])
def test_what_is_no_answer_is_told_in_words(run, instance, fault, what):
    instance.article(1)
    instance.faults = [None, None, fault]
    with pytest.raises((KnowledgeRefused, InstanceUnavailable), match=what):
        run()


def test_an_answer_that_always_is_the_same_page_ends(run, instance):
    """As one does that ignores the query."""
    page = {"result": [{"sys_id": {"value": f"{number:032x}"}} for number in range(10)]}
    instance.faults = [None, None, *[(200, {"X-Total-Count": "100"}, json.dumps(page).encode())] * 3]
    with pytest.raises(KnowledgeRefused, match="order of sys_id"):
        run()


@pytest.mark.parametrize("account", [Account(token="t0ken"), Account(client_id="c1", client_secret="s1"), ACCOUNT])
def test_the_account_may_be_a_token_a_client_or_a_user(run, instance, account):
    instance.article(1)
    assert run(account).new == 1
    assert "t0ken" not in repr(account)
    assert "s1" not in repr(account)
    assert "pass" not in repr(account).replace("password", "")


def test_a_token_that_ended_early_is_asked_for_again_once(run, instance):
    instance.article(1)
    instance.faults = [None, (401, {}, b"{}")]
    assert run(Account(client_id="c1", client_secret="s1")).new == 1
    assert instance.tokens_given == 2


@pytest.mark.parametrize("account", [Account(token="wrong"), Account(client_id="c1", client_secret="wrong"), Account(username="sync", password="x")])
def test_an_account_that_is_wrong_is_refused_and_not_repeated(run, instance, waits, account):
    with pytest.raises(KnowledgeRefused):
        run(account)
    assert waits == []
    assert "wrong" not in str(instance.asked)


@pytest.mark.parametrize("address", ["http://dev1.service-now.com", "ftp://dev1.service-now.com", "http://localhost.example.com"])
def test_an_instance_is_asked_over_https_only(address):
    with pytest.raises(ValueError, match="https"):
        ServiceNowTables(address, ACCOUNT, lambda: NOW)


@pytest.mark.parametrize("trusted", [True, False])
def test_the_certificate_of_an_instance_is_verified_before_anything_is_said(instance, tmp_path, waits, trusted):
    instance.article(1)
    authority = Authority(tmp_path)
    with served(instance, authority.server_context("localhost")) as url:
        context = authority.context if trusted else ssl.create_default_context
        tables = ServiceNowTables(url.replace("127.0.0.1", "localhost"), ACCOUNT, lambda: NOW, context=context, wait=waits.append)
        if trusted:
            assert len(tables.page("kb_knowledge", "ORDERBYsys_id", ("sys_id",), 10, 0).records) == 1
        else:
            with pytest.raises(InstanceUnavailable, match="certificate"):
                tables.page("kb_knowledge", "ORDERBYsys_id", ("sys_id",), 10, 0)
    assert len(instance.asked) == trusted
    assert waits == []


def readable(files, policy=NOTHING_MAPPED):
    Builder(files.corpus, files.index, None, policy, lambda: NOW).build(lambda *_: None)
    with files.index.reading() as view:
        return [document.number for document in view.page("", 100, Where("article", ANYBODY, NOW))]


def test_criteria_of_a_knowledge_base_hold_and_follow_without_a_change_of_the_article(run, files, instance):
    instance.article(1)
    instance.article(2, kb_knowledge_base=("b2", "HR"))
    run()
    assert readable(files) == ["KB0000001", "KB0000002"]
    instance.tables["kb_uc_can_read_mtom"] = {"m1": {"sys_id": "m1", "kb_knowledge_base": ("b2", "HR"), "user_criteria": ("u1", "HR staff")}}
    run()
    assert readable(files) == ["KB0000001"]
    assert readable(files, Policy(user_criteria={"hr staff": frozenset({"*"})})) == ["KB0000001", "KB0000002"]
    assert readable(files, Policy(user_criteria={"u1": frozenset({"*"})})) == ["KB0000001", "KB0000002"]


@pytest.mark.parametrize("how", ["forbidden", "hidden"])
def test_where_the_criteria_cannot_be_read_nothing_is_shown_that_is_not_mapped(run, files, instance, how):
    instance.article(1)
    instance.article(2, kb_knowledge_base=("b2", "Open"))
    instance.tables["kb_uc_can_read_mtom"] = {"m1": {"sys_id": "m1", "kb_knowledge_base": ("b1", "IT"), "user_criteria": ("u1", "IT staff")}}
    if how == "forbidden":
        instance.forbidden = {"kb_uc_can_read_mtom"}
    else:
        instance.hidden = {"m1"}
    found = run()
    assert "kb_uc_can_read_mtom" in found.problems[0]
    assert readable(files) == []
    assert readable(files, Policy(knowledge_bases={"open": frozenset({"*"})})) == ["KB0000002"]


def test_a_field_that_the_account_may_not_read_leaves_its_article_out(run, files, instance):
    each = instance.article(1)
    del instance.tables["kb_knowledge"][each]["can_read_user_criteria"]
    run()
    assert readable(files) == []
