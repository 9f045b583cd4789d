"""The notebook, executed cell by cell against a real gateway with a person at the browser.

By a runner of our own: it needs `input` to be a person who reads pages, which a Jupyter kernel cannot have, and forty packages less.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re

import nbformat
import pytest

from tests.person import Person
from tests.running import ROOT, SECRETS, Gateway

FILE = ROOT / "docs/oauth-and-mcp.ipynb"
INSTANCE = "https://dev12345.service-now.com"
PASSWORD = "correct horse battery"


def code_cells():
    return ["".join(cell["source"]) for cell in json.loads(FILE.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    built = Gateway(tmp_path_factory.mktemp("gateway"))
    built.configured(SERVICENOW_INSTANCE=INSTANCE, LLM_BACKEND="ollama")
    try:
        built.started()
        built.add_user("jo", PASSWORD)
        yield built
    finally:
        built.stop()


def execute(gateway, monkeypatch, cells):
    """What all of the cells print, by their place."""
    monkeypatch.setenv("GATEWAY_URL", gateway.url)
    monkeypatch.setenv("SERVICENOW_INSTANCE", INSTANCE)
    monkeypatch.setenv("DCR_AUTH_TOKEN", SECRETS["DCR_AUTH_TOKEN"])
    jo = Person("jo", PASSWORD)
    names, printed = {"__name__": "__main__", "input": lambda prompt: jo.redirect_of(re.search(r"https?://\S+", prompt)[0])}, []
    for number, source in enumerate(cells, 1):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(source, f"cell {number}", "exec"), names)
        printed.append(out.getvalue())
    return printed


def test_every_cell_works_against_a_real_gateway_and_nothing_stays_behind(gateway, monkeypatch):
    printed = "".join(execute(gateway, monkeypatch, code_cells()))
    for step in ("-> 401", "resource_metadata", "-> 201", "-> 202", '"protocolVersion": "2025-06-18"', "classify_incident", "invalid_grant"):
        assert step in printed
    assert json.loads(gateway.flask("clients", "list", "--json").stdout) == []
    assert json.loads(gateway.flask("tokens", "list", "--json").stdout) == []


def test_what_the_cells_print_may_be_shown_to_a_colleague(gateway, monkeypatch):
    printed = "".join(execute(gateway, monkeypatch, code_cells()))
    assert SECRETS["DCR_AUTH_TOKEN"] not in printed
    assert '"access_token": "(hidden)"' in printed
    assert not re.search(r"eyJ[\w-]+\.[\w-]+\.", printed)


def test_a_cell_that_finds_something_wrong_stops(gateway, monkeypatch):
    cells = [source.replace("code_verifier=verifier", "code_verifier='another'") for source in code_cells()]
    with pytest.raises(AssertionError):
        execute(gateway, monkeypatch, cells)


def test_the_notebook_keeps_to_its_format_and_holds_no_outputs():
    notebook = nbformat.read(FILE, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert [cell["id"] for cell in notebook.cells if cell["cell_type"] == "code" and (cell["outputs"] or cell["execution_count"])] == []


def test_every_step_is_explained_before_it_is_done():
    kinds = [cell["cell_type"] for cell in json.loads(FILE.read_text())["cells"]]
    assert kinds[0] == "markdown"
    assert not any(pair == ("code", "code") for pair in itertools.pairwise(kinds))
