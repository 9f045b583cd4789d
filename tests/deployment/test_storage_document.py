"""docs/storage.md names what there is, and nothing else."""

from __future__ import annotations

import re

import pytest

from mcp_server.storage import knowledge_corpus, redis, sqlite_schema
from mcp_server.storage.registry_tables import metadata
from tests.running import ROOT

TEXT = (ROOT / "docs/storage.md").read_text()


def section(title):
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def named_in_the_table_of(title):
    rows = re.findall(r"^\| (`.*?) \|", section(title), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}


def tables_of(statements):
    return set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", "\n".join(statements)))


@pytest.mark.parametrize(("title", "there"), [
    ("The registry", set(metadata.tables)), ("The state in SQLite", tables_of(sqlite_schema.SCHEMA)),
    ("The knowledge", tables_of(knowledge_corpus.SCHEMA))])
def test_the_tables_are_those_that_there_are(title, there):
    assert named_in_the_table_of(title) == there


def test_the_keys_in_redis_are_those_that_there_are():
    there = set(re.findall(r"^    ([a-z-]+)[: ]", redis.__doc__, re.MULTILINE))
    listed = section("The state in Redis").split("all with one prefix:")[1].split(". Flask")[0]
    assert set(re.findall(r"`([a-z-]+)`", listed)) == there
