"""`config/clients.yaml`: what is read, and what is refused."""

import shutil
from pathlib import Path

import pytest

from config.settings import ConfigurationError
from mcp_server.mcp.policies import NO_POLICY, Policies, Policy
from mcp_server.mcp.tool import ToolRegistry
from mcp_server.principal import Principal
from mcp_server.tools import SHIPPED
from mcp_server.tools.echo import Echo
from mcp_server.tools.operator_files import OperatorFiles

CONFIG = Path(__file__).parents[2] / "config"
GOOD = """default:
  tools: [echo, "*_incident"]
clients:
  "AutoGen-*":
    models: [small]
    calls_per_minute: 30
    concurrent_calls: 2
    output_limit: 5000
  "https://app.example.com/client.json": {}
"""


@pytest.fixture
def folder(tmp_path):
    def folder(text):
        shutil.copy(CONFIG / "incident_taxonomy.yaml", tmp_path)
        (tmp_path / "clients.yaml").write_text(text)
        return tmp_path

    return folder


def test_a_file_is_read(folder):
    read = OperatorFiles.read(folder(GOOD), SHIPPED).clients
    assert read.default == Policy(("echo", "*_incident"))
    assert read.rules == {"AutoGen-*": Policy(None, ("small",), 30, 2, 5000), "https://app.example.com/client.json": NO_POLICY}


@pytest.mark.parametrize("text", ["", "clients: {}", "default: {}"])
def test_a_file_that_says_nothing_costs_nothing(folder, text):
    assert not OperatorFiles.read(folder(text), SHIPPED).clients


@pytest.mark.parametrize(("spoil", "by", "problem"), [
    ("[echo,", "[ecko,", "line 2, default.tools.0: there is no tool 'ecko'."), ('"*_incident"', '"*_ticket"', "there is no tool '*_ticket'."),
    ("calls_per_minute: 30", "calls_per_minute: many", "line 6, clients.AutoGen-*.calls_per_minute: Not a valid integer."),
    ("calls_per_minute: 30", "calls_per_minute: 0", "line 6, clients.AutoGen-*.calls_per_minute: Must be greater than or equal to 1"),
    ("models: [small]", "models: []", "line 5, clients.AutoGen-*.models: Length must be"),
    ("models:", "model:", "line 5, clients.AutoGen-*.model: Unknown field."), ("default:", "defaults:", "line 1, defaults: Unknown field."),
    ("output_limit: 5000", "output_limit: 5", "line 8, clients.AutoGen-*.output_limit: Must be"),
    ('  "https', '  "AutoGen-*": {}\n  "https', "the key 'AutoGen-*' is there twice."), (GOOD, "- a", "Invalid input type")])
def test_a_bad_file_is_refused_by_line_and_key(folder, spoil, by, problem):
    assert spoil in GOOD
    with pytest.raises(ConfigurationError) as caught:
        OperatorFiles.read(folder(GOOD.replace(spoil, by)), SHIPPED)
    assert any("clients.yaml" in told and problem in told for told in caught.value.problems), caught.value.problems


class Named:
    def __init__(self, client_name):
        self.client_name = client_name


def policies(names, clock, **rules):
    return Policies(rules, Policy(("default",)), find=lambda client_id: Named(names[client_id]) if client_id in names else None,
                    count=lambda *_: None, workers=1, clock=clock)


def of(found, client_id):
    return found.of(Principal(client_id, "s", frozenset(), 0, ())).tools[0]


def test_an_id_goes_before_a_pattern_and_the_first_pattern_before_the_second():
    rules = {"A*": Policy(("first",)), "App*": Policy(("second",)), "App 1": Policy(("id",))}
    found = policies({"x": "App 2", "App 1": "App 2"}, lambda: 0.0, **rules)
    assert [of(found, client_id) for client_id in ("App 1", "x", "y")] == ["id", "first", "default"]


def test_who_has_no_credential_but_a_terminal_has_no_limits():
    assert policies({}, lambda: 0.0).of(None) == NO_POLICY


def test_a_name_is_looked_up_again_after_a_minute():
    now, names = [0.0], {"x": "App"}
    found = policies(names, lambda: now[0], App=Policy(("app",)))
    assert of(found, "x") == "app"
    names["x"] = "Other"
    now[0] = 59.0
    assert of(found, "x") == "app"
    now[0] = 60.0
    assert of(found, "x") == "default"


def test_a_reload_with_other_policies_is_told_as_a_change_of_the_list():
    plain = ToolRegistry([Echo()], 1000)
    one, other = (ToolRegistry([Echo()], 1000, policies({}, lambda: 0.0, **rules)) for rules in ({}, {"a": NO_POLICY}))
    assert len({str(each.whole) for each in (plain, one, other)}) == 3
