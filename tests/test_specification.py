"""Tests cite rows that exist, and every row is proven by a test or listed as later work."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from tests.specification import LATER, REQUIREMENTS

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def cited():
    """Each id that a test cites, and the files that do."""
    found = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "requirement":
                [row] = node.args
                found[row.value].add(path.name)
    return found


def test_what_a_test_cites_is_a_row(cited):
    assert {row: files for row, files in cited.items() if row not in REQUIREMENTS} == {}


def test_each_row_is_cited_by_a_test(cited):
    assert sorted(REQUIREMENTS.keys() - cited.keys()) == []


def test_no_row_is_both_proven_and_later():
    assert sorted(REQUIREMENTS.keys() & LATER.keys()) == []
    assert all(LATER.values())
    assert all(source and behavior for source, behavior in REQUIREMENTS.values())
