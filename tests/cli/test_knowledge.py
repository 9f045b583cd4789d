"""`flask knowledge`, as an operator runs it."""

from __future__ import annotations

import json

import pytest

from mcp_server.cli import knowledge as commands
from mcp_server.errors import ModelMissing
from mcp_server.outbound.table_api import ServiceNowTables
from tests.knowledge_base import WordEmbedder
from tests.table_api import Instance, served

ARTICLES = [
    {"sys_id": f"a{number}", "number": f"KB000000{number}", "short_description": title, "text": text, "workflow_state": "published",
     "can_read_user_criteria": criteria, "cannot_read_user_criteria": "", "roles": ""}
    for number, title, text, criteria in (
        (1, "VPN drops", "Disable power saving.", ""), (2, "Wages", "How wages are paid.", "HR staff"), (3, "Printer", "Paper is stuck.", ""))]
MAPPED = "user_criteria:\n  HR staff: {clients: [hr-client]}\n"


class NoVectors:
    """A model server without a model for embeddings."""

    def embed(self, *_):
        raise ModelMissing("There is no embedding model.")


@pytest.fixture
def run(run):
    return lambda *arguments, **changes: run(*arguments, **{"embedder": NoVectors()} | changes)


@pytest.fixture
def export(tmp_path):
    path = tmp_path / "kb_knowledge.json"
    path.write_text(json.dumps({"result": ARTICLES}))
    return str(path)


def numbers(outcome):
    return [hit["number"] for hit in outcome.json["hits"]]


def test_before_anything_was_imported_each_command_says_how_to_begin(run):
    for arguments in (("status",), ("search", "vpn")):
        said = run("knowledge", *arguments)
        assert said.status == 0
        assert "flask knowledge import" in said.err
    assert run("knowledge", "status", "--json").json == {"imported": {"article": 0, "incident": 0, "catalog_item": 0}, "index": None}


def test_an_import_without_a_model_is_searched_by_words_and_says_what_nobody_is_shown(run, export, machine):
    said = run("knowledge", "import", export)
    assert said.status == 0
    assert "Not shown to anybody: 1 x article is restricted by HR staff, which config/knowledge.yaml does not map." in said.err
    assert "flask knowledge rebuild" in said.err
    assert "none: only words are compared" in said.out
    assert numbers(run("knowledge", "search", "vpn power", "--json")) == ["KB0000001"]
    assert machine.audit[-1]["action"] == "knowledge_imported"
    assert machine.audit[-1]["details"]["new"] == 3


def test_importing_again_changes_nothing(run, export):
    run("knowledge", "import", export)
    again = run("knowledge", "import", export, "--json").json
    assert (again["new"], again["changed"], again["removed"]) == (0, 0, 0)


def test_a_restriction_that_is_mapped_shows_the_article_to_whom_it_means(run, export, tmp_path):
    (tmp_path / "access.yaml").write_text(MAPPED)
    run("knowledge", "import", export, "--access", str(tmp_path / "access.yaml"))
    assert numbers(run("knowledge", "search", "wages", "--json")) == ["KB0000002"]
    assert numbers(run("knowledge", "search", "wages", "--as-everybody", "--json")) == []
    assert numbers(run("knowledge", "search", "wages", "--as-client", "hr-client", "--json")) == ["KB0000002"]
    assert numbers(run("knowledge", "search", "wages", "--as-client", "another", "--json")) == []


def test_a_bad_access_file_is_refused_before_anything_is_read(run, export, tmp_path):
    (tmp_path / "access.yaml").write_text("criteria: {}")
    refused = run("knowledge", "import", export, "--access", str(tmp_path / "access.yaml"))
    assert refused.status == 78
    assert "access.yaml line 1, criteria" in refused.err
    assert run("knowledge", "status", "--json").json["imported"]["article"] == 0


def test_rows_that_are_wrong_are_told_the_others_are_taken_and_the_status_says_so(run, tmp_path):
    path = tmp_path / "incident.csv"
    path.write_text("number,short_description\nINC1,No mail\nINC2\n,\nINC3,\n")
    said = run("knowledge", "import", str(path))
    assert said.status == 1
    assert "incident.csv line 3: it has 1 cells" in said.err
    assert "incident.csv line 5: it has no short_description" in said.err
    assert run("knowledge", "status", "--json").json["imported"]["incident"] == 1


def test_an_article_that_became_wrong_is_not_shown_as_it_was(run, tmp_path):
    path = tmp_path / "kb_knowledge.json"
    for changes in ({}, {"valid_to": "31/12/2026"}):
        path.write_text(json.dumps([ARTICLES[0] | changes]))
        said = run("knowledge", "import", str(path), "--json")
    assert said.json["removed"] == 1
    assert numbers(run("knowledge", "search", "vpn", "--json")) == []


def test_an_export_that_does_not_say_who_may_read_it_needs_the_operators_word(run, tmp_path):
    path = tmp_path / "kb_knowledge.csv"
    path.write_text("number,short_description,workflow_state\nKB1,VPN,Published\n")
    assert "--everybody" in run("knowledge", "import", str(path)).err
    assert numbers(run("knowledge", "search", "vpn", "--json")) == []
    run("knowledge", "import", str(path), "--everybody")
    assert numbers(run("knowledge", "search", "vpn", "--as-everybody", "--json")) == ["KB1"]


def test_what_left_a_folder_leaves_the_knowledge_when_it_is_asked_for(run, tmp_path):
    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "vpn.md").write_text("# VPN\n\nOne")
    (folder / "mail.md").write_text("# Mail\n\nTwo")
    run("knowledge", "import", str(folder))
    (folder / "mail.md").unlink()
    assert run("knowledge", "import", str(folder), "--json").json["removed"] == 0
    assert run("knowledge", "import", str(folder), "--prune", "--json").json["removed"] == 1
    assert numbers(run("knowledge", "search", "mail", "--json")) == []


def test_a_table_that_is_not_read_is_told_with_those_that_are(run, tmp_path):
    path = tmp_path / "things.json"
    path.write_text('[{"short_description": "?"}]')
    refused = run("knowledge", "import", str(path))
    assert refused.status == 1
    assert "kb_knowledge, incident or sc_cat_item" in refused.err
    assert run("knowledge", "import", str(path), "--kind", "incident").status == 1, "it has no number"


def test_with_a_model_meaning_is_found_too_and_without_it_that_is_told(run, export):
    run("knowledge", "import", export, embedder=WordEmbedder())
    assert run("knowledge", "status", "--json").json["index"]["embedding_model"] == "words (64 numbers)"
    found = run("knowledge", "search", "tunnel", "--json", embedder=WordEmbedder()).json
    assert (found["method"], found["hits"][0]["number"]) == ("lexical+vectors", "KB0000001")
    without = run("knowledge", "search", "vpn", "--json").json
    assert (without["method"], without["hits"][0]["number"]) == ("lexical", "KB0000001")
    assert "no embedding model" in without["degraded"]
    assert "flask knowledge rebuild" in run("knowledge", "search", "vpn", embedder=WordEmbedder("another")).err


def test_a_model_that_fails_costs_the_import_and_says_how_to_go_on(run, export):
    failed = run("knowledge", "import", export, embedder=WordEmbedder(fails_after=1))
    assert failed.status == 1
    assert "flask knowledge rebuild" in failed.err
    assert "--without-vectors" in failed.err
    assert run("knowledge", "rebuild", "--without-vectors", embedder=WordEmbedder(fails_after=0)).status == 0
    assert numbers(run("knowledge", "search", "vpn", "--json")) == ["KB0000001"]


def test_documents_are_taken_out_by_their_numbers(run, export):
    run("knowledge", "import", export)
    removed = run("knowledge", "remove", "kb0000001", "KB9")
    assert removed.status == 1
    assert "KB9: there is no such document" in removed.err
    assert numbers(run("knowledge", "search", "vpn", "--json")) == []


def test_clearing_asks_first(run, export):
    run("knowledge", "import", export)
    assert run("knowledge", "clear", input="n\n").status == 1
    assert run("knowledge", "status", "--json").json["imported"]["article"] == 3
    assert run("knowledge", "clear", "--yes").status == 0
    assert run("knowledge", "status", "--json").json["index"] is None


def test_while_another_command_changes_the_knowledge_this_one_is_refused(machine, export):
    with machine.services.knowledge.corpus.exclusively():
        refused = machine.run("knowledge", "import", export)
    assert refused.status == 1
    assert "Another command is changing the knowledge" in refused.err


SYNC = {"SERVICENOW_INSTANCE": "https://dev1.service-now.com,https://dev2.service-now.com"}
ACCOUNT = {"SERVICENOW_SYNC_USERNAME": "sync", "SERVICENOW_SYNC_PASSWORD": "pass word"}


@pytest.mark.parametrize(("changes", "arguments", "told"), [
    ({}, (), "SERVICENOW_INSTANCE"), (SYNC, (), "SERVICENOW_SYNC_USERNAME"),
    (SYNC | ACCOUNT, ("--instance", "https://evil.example.com"), "not one of SERVICENOW_INSTANCE")])
def test_only_an_instance_that_is_configured_is_asked_and_only_with_an_account(run, changes, arguments, told):
    refused = run("knowledge", "sync", *arguments, **changes)
    assert refused.status == 1
    assert told in refused.err


def test_a_synchronisation_brings_what_the_instance_has(run, machine, monkeypatch):
    instance = Instance()
    instance.article(1, short_description="VPN drops")
    with served(instance) as url:
        monkeypatch.setattr(commands, "ServiceNowTables", lambda chosen, account, clock: ServiceNowTables(url, account, clock))
        said = run("knowledge", "sync", "--json", **SYNC, **ACCOUNT)
    assert said.status == 0
    assert (said.json["new"], said.json["problems"]) == (1, [])
    assert numbers(run("knowledge", "search", "vpn", "--json")) == ["KB0000001"]
    assert machine.audit[-1]["action"] == "knowledge_synced"
    assert "pass word" not in json.dumps(machine.audit)
