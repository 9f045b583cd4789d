"""Who may read what: nothing is guessed, and what is not known is not shown."""

import dataclasses

import pytest

from config.settings import ConfigurationError
from mcp_server.app import CONFIG
from mcp_server.knowledge.access import ANY_CONTAINER, UNREAD, Container, Policy
from mcp_server.knowledge.documents import ANYBODY, OPERATOR, Reader, Restriction, reader_of
from mcp_server.principal import Principal
from mcp_server.tools.knowledge_policy import read_policy
from tests.knowledge_base import article

HR, IT = frozenset({"client:hr"}), frozenset({"client:it"})
CRITERIA = {"hr staff": HR, "it staff": IT, "everyone": frozenset({"*"}), "nobody": frozenset()}
POLICY = Policy(knowledge_bases={"hr handbook": HR, "b2": IT}, user_criteria=CRITERIA, roles={"itil": IT})
READERS = {"anybody": ANYBODY, "hr": Reader(frozenset({"*", "client:hr"})), "it": Reader(frozenset({"*", "client:it"})),
           "both": Reader(frozenset({"*", "client:hr", "client:it"}))}


def admitted(document, policy=POLICY, containers=None):
    readers = policy.readers(document, containers or {})
    return set() if isinstance(readers, str) else {name for name, reader in READERS.items() if readers.admit(reader)}


@pytest.mark.parametrize(("restriction", "expected"), [
    ({}, {"anybody", "hr", "it", "both"}),
    ({"known": False}, set()),
    ({"can_read": ("HR Staff",)}, {"hr", "both"}),
    ({"can_read": ("HR STAFF [3f]",)}, {"hr", "both"}),
    ({"can_read": ("Somebody [hr staff]",)}, {"hr", "both"}),
    ({"can_read": ("Somebody else",)}, set()),
    ({"can_read": ("HR Staff", "Somebody else")}, {"hr", "both"}),
    ({"can_read": ("HR Staff", "IT Staff")}, {"hr", "it", "both"}),
    ({"can_read": ("everyone",)}, {"anybody", "hr", "it", "both"}),
    ({"can_read": ("nobody",)}, set()),
    ({"roles": ("itil",)}, {"it", "both"}),
    ({"roles": ("admin",)}, set()),
    ({"can_read": ("HR Staff",), "roles": ("itil",)}, {"both"}),
    ({"cannot_read": ("HR Staff",)}, {"anybody", "it"}),
    ({"cannot_read": ("nobody",)}, {"anybody", "hr", "it", "both"}),
    ({"cannot_read": ("everyone",)}, set()),
    ({"cannot_read": ("Somebody else",)}, set()),
    ({"can_read": ("IT Staff",), "cannot_read": ("HR Staff",)}, {"it"}),
])
def test_everything_that_is_said_must_hold(restriction, expected):
    assert admitted(article("KB1", restriction=Restriction(**restriction))) == expected


@pytest.mark.parametrize(("facts", "restriction", "expected"), [
    ({"knowledge_base": "HR Handbook"}, {}, {"hr", "both"}),
    ({"knowledge_base": "another", "knowledge_base_id": "b2"}, {}, {"it", "both"}),
    ({"knowledge_base": "HR Handbook"}, {"known": False}, {"hr", "both"}),
    ({"knowledge_base": "HR Handbook"}, {"can_read": ("IT Staff",)}, {"both"}),
])
def test_a_knowledge_base_that_is_mapped_narrows_what_is_in_it(facts, restriction, expected):
    assert admitted(article("KB1", facts=facts, restriction=Restriction(**restriction))) == expected


@pytest.mark.parametrize(("container", "expected"), [
    (Container(), {"anybody", "hr", "it", "both"}), (Container(("HR Staff [x]",)), {"hr", "both"}), (Container(("Unknown [x]",)), set()),
    (Container((), ("HR Staff [x]",)), {"anybody", "it"}), (Container((), ("Unknown [x]",)), set())])
def test_what_the_instance_says_of_a_knowledge_base_holds_for_what_is_in_it(container, expected):
    document = article("KB1", facts={"knowledge_base_id": "b1"})
    assert admitted(document, containers={"article": {"b1": container}}) == expected
    assert "anybody" in admitted(document, containers={"article": {"b7": container}}), "of another knowledge base"


@pytest.mark.requirement("KNO-002")
def test_where_the_instance_did_not_tell_only_what_is_mapped_is_shown():
    containers = {"article": {ANY_CONTAINER: UNREAD}}
    assert admitted(article("KB1"), containers=containers) == set()
    assert admitted(article("KB1", facts={"knowledge_base": "HR Handbook"}), containers=containers) == {"hr", "both"}


def test_a_kind_can_be_narrowed_as_a_whole():
    policy = dataclasses.replace(POLICY, kinds={"incident": IT})
    assert admitted(article("INC1", kind="incident"), policy) == {"it", "both"}
    assert admitted(article("KB1"), policy) == set(READERS)


def test_why_nobody_can_read_it_is_said_with_the_name_to_map():
    assert "by Contractors, which config/knowledge.yaml" in POLICY.readers(article("KB1", restriction=Restriction(can_read=("Contractors [9]",))), {})


def test_an_operator_reads_what_nobody_else_does():
    readers = POLICY.readers(article("KB1", restriction=Restriction(can_read=("HR Staff",))), {})
    assert readers.admit(OPERATOR)


def test_a_caller_has_the_labels_of_its_client_its_subject_and_its_scopes():
    principal = Principal("c1", "u1", frozenset({"tools:read"}), 0.0, ())
    assert reader_of(principal).labels == {"*", "client:c1", "subject:u1", "scope:tools:read"}
    assert reader_of(None) == ANYBODY


def test_the_shipped_file_maps_nothing_and_without_a_file_nothing_is_mapped(tmp_path):
    assert read_policy(CONFIG / "knowledge.yaml") == read_policy(tmp_path / "none.yaml") == Policy({}, {}, {}, {})


def test_a_file_says_whom_of_the_callers_is_meant(tmp_path):
    path = tmp_path / "knowledge.yaml"
    criteria = "user_criteria:\n  HR Staff: {clients: [c1], subjects: [u1], scopes: [s1]}\n"
    path.write_text(f"{criteria}roles:\n  itil: {{everybody: true}}\n  none: {{nobody: true}}\n")
    policy = read_policy(path)
    assert policy.user_criteria == {"hr staff": frozenset({"client:c1", "subject:u1", "scope:s1"})}
    assert policy.roles == {"itil": frozenset({"*"}), "none": frozenset()}


@pytest.mark.parametrize("text", [
    "user_criteria: {HR: {}}", "user_criteria: {HR: {everybody: true, clients: [a]}}", "user_criteria: {HR: {clients: []}}", "user_criteria: [HR]",
    "criteria: {}", "kinds: {change: {everybody: true}}", "user_criteria: {HR: {everybody: true, nobody: true}}", "]",
    "user_criteria: {HR: {groups: [a]}}"])
def test_a_file_that_is_wrong_is_refused_by_its_name(tmp_path, text):
    path = tmp_path / "knowledge.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"knowledge\.yaml"):
        read_policy(path)
