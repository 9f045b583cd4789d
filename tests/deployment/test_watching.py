"""The alert rules and the dashboard ask for what /metrics tells, and docs/watching.md explains all of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mcp_server.metrics import Metrics

ROOT = Path(__file__).parents[2]
PROMETHEUS, DASHBOARD, DOCS = ROOT / "deploy/prometheus", ROOT / "deploy/grafana/dashboard.json", ROOT / "docs/watching.md"
CASES = sorted(PROMETHEUS.glob("*_test.yml"))
OF_PROMETHEUS = {"instance", "job", "le", "alertstate", "alertname"}
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')


def promtool(*arguments):
    """Run Prometheus's own checker; bin/test puts it beside the Python of the tests."""
    found = shutil.which("promtool", path=str(Path(sys.executable).parent)) or shutil.which("promtool")
    assert found, "promtool is missing: run bin/test, which fetches it, or install Debian's package prometheus"
    done = subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def told():
    """The labels of each name that a scrape can have."""
    collectors = Metrics()._registry._collector_to_names
    return {collector._name + suffix: set(collector._labelnames) for collector in collectors for suffix in SUFFIXES[collector._type]}


def rules():
    return [rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"] for rule in group["rules"]]


def panels():
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions():
    """Every question that Prometheus is asked, and where."""
    return [(rule["alert"], rule["expr"]) for rule in rules()] + [
        (panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]


def test_the_rules_the_scrape_and_what_the_alerts_do_are_right_by_prometheus_itself():
    promtool("check", "config", PROMETHEUS / "prometheus.yml")
    assert f"{len(rules())} rules found" in promtool("check", "rules", PROMETHEUS / "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", *CASES)


def test_each_alert_is_tested_to_fire_and_to_be_quiet():
    cases = [case for file in CASES for case in yaml.safe_load(file.read_text())["tests"]]
    found = {(case["alertname"], bool(case["exp_alerts"])) for each in cases for case in each["alert_rule_test"]}
    assert found == {(rule["alert"], fires) for rule in rules() for fires in (True, False)}


def test_what_the_panels_ask_is_promql(tmp_path):
    asked = [{"record": f"panel:{number}", "expr": re.sub(r"\$__rate_interval", "5m", expression).replace("$instance", ".*")}
             for number, (_, expression) in enumerate(expressions())]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": asked}]}))
    promtool("check", "rules", "--lint=none", tmp_path / "panels.yml")


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_every_metric_and_label_that_is_asked_for_exists(told, where, expression):
    names = set(re.findall(r"gateway_\w+", expression))
    assert names <= told.keys(), where
    allowed = OF_PROMETHEUS.union(*(told[name] for name in names))
    for name, matchers in re.findall(r"(gateway_\w+)\{([^}]*)\}", expression):
        assert set(MATCHER.findall(matchers)) <= told[name] | OF_PROMETHEUS, where
    for labels in re.findall(r"by \(([^)]*)\)", expression):
        assert {label.strip() for label in labels.split(",")} <= allowed, where


def test_every_metric_is_on_the_dashboard_or_in_an_alert_and_is_explained(told):
    asked = {name for _, expression in expressions() for name in re.findall(r"gateway_\w+", expression)}
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in told}
    assert families == {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked}
    assert families == set(re.findall(r"^\| `(gateway_\w+)`", DOCS.read_text(), re.MULTILINE))


def test_what_to_do_about_each_alert_is_written_down():
    assert re.findall(r"^\*\*(\w+)\*\*", DOCS.read_text(), re.MULTILINE) == [rule["alert"] for rule in rules()]
    assert {rule["labels"]["severity"] for rule in rules()} == {"critical", "warning"}


def test_the_panels_lie_side_by_side_and_each_has_its_own_number():
    cells, numbers = set(), [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(numbers) == len(set(numbers))
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        covered = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not covered & cells, panel["title"]
        cells |= covered
