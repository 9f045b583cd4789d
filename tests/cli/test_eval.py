"""`flask eval` as an operator and as CI run it."""

import json

import pytest

from mcp_server.errors import ModelTimeout
from tests.evaluation.parts import Says

QUICK = ("eval", "run", "--limit", "3", "--timeout", "5")


def with_model(machine, model):
    return {"app": machine.app(model=model)}


@pytest.mark.parametrize("which", ["incidents", "retrieval", "injections", "oversize"])
def test_a_set_is_measured_and_shown(run, which):
    done = run(*QUICK, "--set", which)
    assert done.status == 0, done.err
    assert "The flow holds." in done.out


def test_scripts_get_json_and_nothing_else(run):
    found = run(*QUICK, "--set", "incidents", "--json").json
    assert found["failures"] == []
    assert found["incidents"]["count"] == 3
    assert set(found["incidents"]["opinions"]) == {"model, probabilities", "model, its answer", "similar incidents", "label descriptions"}


def test_the_same_lot_is_drawn_each_time(run):
    def counted(seed):
        found = run(*QUICK, "--set", "incidents", "--seed", seed, "--json").json
        return [each["label"] for each in found["incidents"]["categories"]]

    assert counted("1") == counted("1")


def test_a_model_that_answers_nothing_ends_with_status_1_and_says_why(machine, run):
    done = run("eval", "run", "--set", "incidents", "--limit", "2", **with_model(machine, Says(error=RuntimeError("boom"))))
    assert done.status == 1
    assert "crashed" in done.err
    assert "The flow does not hold." in done.out


def test_a_picture_is_drawn(run, tmp_path):
    assert run(*QUICK, "--set", "incidents", "--plot", str(tmp_path / "figures.svg")).status == 0
    assert (tmp_path / "figures.svg").read_text().startswith("<svg")


def test_parameters_are_fitted_and_written_and_can_be_measured_with(machine, run, tmp_path):
    file = str(tmp_path / "classification.yaml")
    done = run("eval", "fit", "--limit", "6", "--write", file)
    assert done.status == 0, done.err
    assert "calibration part" in done.err
    measured = run(*QUICK, "--set", "incidents", "--parameters", file, "--json").json
    assert measured["parameters"] == run("eval", "fit", "--limit", "6", "--json").json["parameters"]
    assert {"classification_fitted", "evaluated"} <= {line["action"] for line in machine.audit}


def test_a_model_that_is_away_cannot_be_fitted_and_says_so(machine, run):
    done = run("eval", "fit", "--limit", "2", **with_model(machine, Says(error=RuntimeError("boom"))))
    assert done.status == 1
    assert "boom" in done.err


def test_the_named_model_is_the_one_that_is_asked(machine, run):
    model = Says("network")
    found = run(*QUICK, "--set", "incidents", "--model", "other:1b", "--json", **with_model(machine, model)).json
    assert found["model"]["model"] == "other:1b"
    assert {prompt.model for prompt in model.asked} == {"other:1b"}


def test_own_incidents_are_measured(run, tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("short_description,description,category\n" + "".join(
        f"number {index} of {category},it does not work,{category}\n" for category in ("network", "email") for index in range(8)))
    found = run("eval", "run", "--set", "incidents", "--incidents", str(table), "--json").json
    assert found["incidents"]["count"] == 4
    refused = run("eval", "run", "--set", "retrieval", "--incidents", str(table))
    assert (refused.status, "--set incidents" in refused.err) == (2, True)


def test_a_missing_set_is_told_in_words(run, tmp_path):
    done = run("eval", "run", "--set", "incidents", "--data", str(tmp_path))
    assert done.status == 78
    assert "incidents.jsonl cannot be read" in done.err
    assert json.dumps("Traceback") not in done.err


def test_a_slow_model_is_answered_without_and_the_flow_holds_only_if_something_was_answered(machine, run):
    done = run("eval", "run", "--set", "incidents", "--limit", "2", "--json", **with_model(machine, Says(error=ModelTimeout("Too slow."))))
    found = done.json["incidents"]
    assert found["degraded"] + found["invalid"] == 2
    assert done.status == (1 if found["invalid"] else 0)
