"""The files in evals/: what they promise to whoever measures with them."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from evals.make import export, make
from mcp_server.tools.taxonomy import Taxonomy

ROOT = Path(__file__).parents[2]
EVALS = ROOT / "evals"
FILES = ("incidents", "articles", "catalog_items", "retrieval_articles", "retrieval_items", "injections", "oversize")
KINDS = {"plain", "work notes", "HTML comment", "base64", "template tokens", "zero-width", "other language", "authority", "outside the list"}


def rows(name):
    return [json.loads(line) for line in (EVALS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def incidents():
    return rows("incidents")


@pytest.fixture(scope="module")
def taxonomy():
    return Taxonomy.load(ROOT / "config" / "incident_taxonomy.yaml")


def test_the_files_are_what_the_texts_give_byte_for_byte(tmp_path):
    make(tmp_path)
    differing = [name for name in FILES if (tmp_path / f"{name}.jsonl").read_bytes() != (EVALS / f"{name}.jsonl").read_bytes()]
    assert not differing, "Run: python -m evals.make"


def test_it_has_the_sizes_that_are_said():
    sizes = {name: len(rows(name)) for name in FILES}
    assert sizes == {"incidents": 300, "articles": 60, "catalog_items": 60, "retrieval_articles": 100, "retrieval_items": 60,
                     "injections": 40, "oversize": 20}


def test_every_category_of_the_taxonomy_has_25_incidents_11_to_learn_6_to_fit_and_8_to_ask(incidents, taxonomy):
    parts = Counter((incident["category"], incident["split"]) for incident in incidents)
    wanted = {(category.id, split): size for category in taxonomy.categories for split, size in (("train", 11), ("calibration", 6), ("test", 8))}
    assert parts == wanted


def test_labels_are_in_the_taxonomy_and_follow_from_each_other(incidents, taxonomy):
    for incident in incidents:
        category = taxonomy.find(incident["category"])
        assert incident["subcategory"] in category.subcategories, incident["number"]
        assert incident["assignment_group"] == category.assignment_group
        assert incident["impact"] in "123"
        assert incident["urgency"] in "123"
        assert int(incident["priority"]) == int(incident["impact"]) + int(incident["urgency"]) - 1


def test_every_incident_is_described_worked_on_and_solved(incidents):
    for incident in incidents:
        assert 5 < len(incident["short_description"]) <= 160, incident["number"]
        assert len(incident["description"]) > 30, incident["number"]
        assert 1 <= incident["work_notes"].count("(Work notes)") <= 4, incident["number"]
        assert incident["close_notes"], incident["number"]


def test_one_in_five_is_noisy_and_every_noise_is_in_every_category(incidents):
    noisy = Counter((incident["category"], incident["noise"]) for incident in incidents if incident["noisy"])
    assert sum(noisy.values()) == 60
    categories = {incident["category"] for incident in incidents}
    assert noisy == {(category, noise): 2 if noise == "language" else 1
                     for category in categories for noise in ("language", "typos", "forwarded", "second topic")}
    assert Counter(incident["language"] for incident in incidents) == {"en": 276, "de": 12, "fr": 12}


def test_nothing_that_is_asked_about_was_learned_from(incidents):
    """Two people who report one problem are in the same part, so a test finds no copy among what is known."""
    split_of = {}
    for incident in incidents:
        problem = (incident["close_notes"], *sorted(note.splitlines()[1] for note in incident["work_notes"].split("\n\n")))
        assert split_of.setdefault(problem, incident["split"]) == incident["split"], incident["number"]
    texts = [incident["description"] for incident in incidents]
    assert len(set(texts)) == len(texts)


class Words(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.count = 0
        self.feed(text)

    def handle_data(self, data):
        self.count += len(data.split())


def test_articles_are_long_enough_to_be_read_and_short_enough_to_be_found():
    for article in rows("articles"):
        assert 150 <= Words(article["text"]).count <= 400, article["number"]
        assert article["text"].count("<ol>") == article["text"].count("</ol>") == 1


def test_every_question_leads_to_something_that_is_there():
    articles = {article["number"] for article in rows("articles")}
    items = {item["sys_id"] for item in rows("catalog_items")}
    asked = [number for pair in rows("retrieval_articles") for number in pair["relevant"]]
    assert set(asked) == articles  # every article is asked for
    assert {sys_id for pair in rows("retrieval_items") for sys_id in pair["relevant"]} == items
    for name in ("retrieval_articles", "retrieval_items"):
        queries = [pair["query"] for pair in rows(name)]
        assert len(set(queries)) == len(queries)


def test_ids_are_there_once(incidents):
    for name, key in (("incidents", "number"), ("incidents", "sys_id"), ("articles", "number"), ("catalog_items", "sys_id"), ("injections", "id")):
        found = [row[key] for row in rows(name)]
        assert len(set(found)) == len(found), name


def test_an_attack_differs_from_its_clean_twin_in_one_field_and_wants_another_label(taxonomy):
    attacks = rows("injections")
    assert {attack["kind"] for attack in attacks} == KINDS
    for attack in attacks:
        changed = {name for name in attack["clean"] if attack["clean"][name] != attack["attacked"][name]}
        assert changed == {attack["field"]}
        assert attack["target"] != attack["category"]
        assert (taxonomy.find(attack["target"]) is None) == (attack["kind"] == "outside the list")


def test_it_names_no_person_and_no_host_that_could_exist():
    for name in FILES:
        text = (EVALS / f"{name}.jsonl").read_text(encoding="utf-8")
        hosts = re.findall(r"[\w.-]+@([\w.-]+\w)|https?://([\w.-]+\w)", text)
        for host in (one or other for one, other in hosts):
            assert re.search(r"(^|\.)example\.(com|net|org)$", host), (name, host)
        assert not re.search(r"\b(Mr|Mrs|Ms|Herr|Frau|Dr)\.? [A-Z]", text), name


def test_the_same_records_can_be_exported_as_servicenow_does(tmp_path):
    export(tmp_path)
    exported = {path.stem: json.loads(path.read_text(encoding="utf-8"))["records"] for path in tmp_path.glob("*.json")}
    assert {table: len(records) for table, records in exported.items()} == {"incident": 300, "kb_knowledge": 60, "sc_cat_item": 60}
    assert all(article["workflow_state"] == "published" for article in exported["kb_knowledge"])
