"""Whether fitting finds which opinions are worth something, and how sure to be. Incidents are drawn with a fixed seed."""

import random

import pytest

from mcp_server.tools.classification import Evidence, Parameters, decide
from mcp_server.tools.classification_fitting import calibrated, fit, loss, weighed

LABELS = ("a", "b", "c", "unknown")


def cases(count=150, *, model=0.5, neighbours=0.9, seed=7):
    """Incidents for which the model and the similar incidents are right so often."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        right = draw.choice("abc")
        said = right if draw.random() < model else draw.choice("abc")
        near = right if draw.random() < neighbours else draw.choice("abc")
        made.append((Evidence(LABELS, "unknown", {said: 0.8, "unknown": 0.1}, said, ((near, 0.8), (near, 0.6))), right))
    return made


def test_fitting_loses_less_on_incidents_that_it_has_not_seen():
    fitted = fit(cases())
    assert loss(cases(seed=8), fitted) < loss(cases(seed=8), Parameters())


def test_the_better_opinion_gets_the_greater_weight():
    first, second = (weighed(cases(model=model, neighbours=1.15 - model), Parameters()) for model in (0.2, 0.95))
    assert first.neighbours > first.model
    assert second.model > second.neighbours


def test_how_sure_it_says_it_is_comes_near_to_how_often_it_is_right():
    fitted = fit(cases(300))
    decided = [(decide(evidence, fitted), right) for evidence, right in cases(300, seed=8)]
    sure = sum(decision.probability for decision, _ in decided) / len(decided)
    correct = sum(decision.label == right for decision, right in decided) / len(decided)
    assert abs(sure - correct) < 0.06


def test_where_nothing_was_flagged_a_flag_is_worth_what_it_was():
    assert calibrated(cases(40), Parameters()).flag == Parameters().flag


def test_there_must_be_something_to_fit_to():
    with pytest.raises(ValueError, match="nothing to fit"):
        fit([])
