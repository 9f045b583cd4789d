"""The tool is asked as agents ask it, and each of its opinions is told apart."""

import dataclasses
from pathlib import Path

import pytest

from mcp_server.errors import ModelTimeout
from mcp_server.evaluation import examples, fitting, metrics, report
from mcp_server.evaluation.classifying import COMBINED, OPINIONS, Classifying, Observed, alone
from mcp_server.evaluation.examples import Example
from mcp_server.evaluation.metrics import Answered
from mcp_server.tools.classification import Evidence, Parameters
from mcp_server.tools.parts import Parts
from mcp_server.tools.taxonomy import Category, Taxonomy
from tests.evaluation.parts import ByWords, Says

EVALS = Path(__file__).parents[2] / "evals"
TAXONOMY = Taxonomy((
    Category("network", "VPN, Wi-Fi and cables", ("vpn",), "Network"), Category("printing", "printers and toner"), Category("email", "mailboxes")))
LEARNED = [
    Example("1", "tunnel drops", "the tunnel drops at home", "network", "train"),
    Example("2", "paper jam", "paper is stuck in tray 2", "printing", "train"),
    Example("3", "bounce", "message was bounced by the gateway", "email", "train")]
ASKED = [
    Example("4", "paper is stuck", "again in the tray", "printing"), Example("5", "drops", "my tunnel drops", "network", noise="typos"),
    Example("6", "bounced", "my message was bounced", "email")]


def classifying(answering=None, **how):
    return Classifying(Parts(answering or Says(), TAXONOMY, embedder=ByWords()), [*LEARNED, *ASKED], **how)


def test_the_combination_and_each_opinion_are_measured_apart():
    observed = classifying(Says("network", probabilities={"network": 0.9, "email": 0.05})).observe(ASKED)
    assert {name: [answer.label for answer in alone(name, observed, Parameters())] for name in ("model, probabilities", "similar incidents")} == {
        "model, probabilities": ["network"] * 3, "similar incidents": ["printing", "network", "email"]}
    assert [answer.label for answer in alone(COMBINED, observed, Parameters())] == [each.answer.label for each in observed]


def test_only_the_train_part_is_looked_at_and_the_model_is_the_one_that_was_named():
    model = Says()
    [observed] = classifying(model, model="other:1b").observe(ASKED[:1])
    assert len(observed.evidence.neighbours) == len(LEARNED)
    assert max(similarity for _, similarity in observed.evidence.neighbours) < 0.99  # what is asked about is not among them
    assert model.asked[0].model == "other:1b"


@pytest.mark.parametrize("text", [
    "no JSON at all", '{"category": "payroll_fraud"}', '{"reason": "x", "category": "payroll_fraud", "impact": 1, "urgency": 1}'])
def test_a_model_that_answers_nonsense_leaves_the_answer_inside_the_candidates(text):
    observed = classifying(Says(text=text)).observe(ASKED)
    found = report.of_incidents(ASKED, observed, Parameters())
    assert (found["invalid"], found["outside_candidates"], found["degraded"]) == (0, 0, 3)
    assert report.failures({"incidents": found}, 0) == []


def test_an_answer_that_cannot_be_had_is_invalid_and_shuts_the_gate():
    bare = Classifying(Parts(Says(error=ModelTimeout("The model took too long.")), TAXONOMY), [])
    found = report.of_incidents(ASKED, bare.observe(ASKED), Parameters())
    assert found["invalid"] == 3
    assert "too long" in found["errors"][0]["error"]
    assert report.failures({"incidents": found}, 0) == ["incidents: 3 of 3 answers are not valid (100.0%, allowed 0.0%)."]
    assert report.failures({"incidents": found}, 1) == []


def test_a_crash_is_measured_and_shuts_the_gate_whatever_is_allowed():
    found = report.of_incidents(ASKED, classifying(Says(error=RuntimeError("boom"))).observe(ASKED), Parameters())
    assert found["crashed"] == 3
    assert report.failures({"incidents": found}, 1) == ["incidents: 3 calls crashed."]


def test_an_answer_outside_the_candidates_shuts_the_gate():
    found = report.of_incidents(ASKED[:1], [Observed(Answered("printing", "payroll_fraud", outside=True), None)], Parameters())
    assert report.failures({"incidents": found}, 1) == ["incidents: 1 answers are outside the candidates."]


def test_clean_and_attacked_are_asked_alike_and_told_apart():
    attacks = examples.attacks(EVALS)[:12]
    found = classifying(Says("network")).attack(attacks)
    assert [(each.kind, each.target) for each in found] == [(attack.kind, attack.target) for attack in attacks]
    told = report.of_attacks(found)
    assert (told["count"], told["invalid"], told["outside_candidates"]) == (24, 0, 0)
    assert 0 < told["noticed"] < 1


def test_texts_that_are_far_too_long_are_answered_or_refused_in_words():
    long = examples.oversize(EVALS)
    assert sorted({len(example.description) // 10_000 * 10_000 for example in long}) == [20_000, 60_000, 100_000, 250_000, 1_000_000]
    found = report.of_oversize([each.answer for each in classifying().observe(long[::4])])
    assert (found["invalid"], found["outside_candidates"]) == (0, 0)
    assert found["answered"] + found["refused"] == 5
    assert report.failures({"oversize": found}, 0) == []


def test_several_are_asked_at_once_and_answered_in_order():
    one, three = classifying().observe(ASKED), classifying(at_once=3).observe(ASKED)
    assert [each.answer for each in one] == [each.answer for each in three]


def evidence(right, model, similar):
    return Observed(Answered(right, None), Evidence(("a", "b"), "unknown", model, None, similar))


def test_fitting_trusts_the_opinion_that_was_right_and_says_how_sure_to_be():
    wrong_model = [evidence(right, {"a": 0.9, "b": 0.1}, [(right, 0.9)]) for right in "ab" * 20]
    fitted = fitting.fit(wrong_model, Parameters(neighbours=0.25))
    assert fitted.model < 1 < fitted.neighbours
    answers = alone(COMBINED, wrong_model, fitted)
    assert metrics.accuracy(answers) == 1
    assert metrics.expected_calibration_error(answers) < 0.1


def test_what_was_fitted_can_be_read_as_the_tool_reads_it(tmp_path):
    fitted = dataclasses.replace(Parameters(), model=0.25)
    fitting.write(fitted, tmp_path / "classification.yaml", "Fitted with a test.")
    assert Parameters.load(tmp_path / "classification.yaml") == fitted


def test_without_an_answer_nothing_is_fitted():
    with pytest.raises(ValueError, match="calibration"):
        fitting.fit([Observed(Answered("a", None, error="down"), None)], Parameters())


def test_every_opinion_leaves_the_others_out():
    whole = Evidence(("a",), "unknown", {"a": 1.0}, "a", [("a", 1.0)], {"a": 1.0})
    left = {name: opinion(whole) for name, opinion in OPINIONS.items() if name != COMBINED}
    assert all(
        sum(bool(part) for part in (each.probabilities, each.stated, each.neighbours, each.similarities)) == 1 for each in left.values())
