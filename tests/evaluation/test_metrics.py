"""Figures that can be checked by hand."""

import pytest

from mcp_server.evaluation import metrics
from mcp_server.evaluation.metrics import Answered, Attacked


def answers(*pairs, probability=0.5):
    return [Answered(right, label, probability) for right, label in pairs]


def test_a_rare_label_counts_as_much_as_a_frequent_one():
    found = answers(("a", "a"), ("a", "a"), ("a", "a"), ("b", "a"))
    assert metrics.accuracy(found) == 0.75
    assert metrics.macro_f1(found) == pytest.approx((6 / 7 + 0) / 2)


def test_precision_and_recall_are_told_for_each_label():
    by = {each.label: each for each in metrics.for_each_label(answers(("a", "a"), ("a", "b"), ("b", "b"), ("b", "unknown")))}
    assert (by["a"].precision, by["a"].recall, by["a"].f1, by["a"].support) == (1, 0.5, pytest.approx(2 / 3), 2)
    assert (by["b"].precision, by["b"].recall, by["b"].support) == (0.5, 0.5, 2)
    assert "unknown" not in by


def test_an_answer_that_is_missing_is_a_wrong_one():
    assert metrics.macro_f1(answers(("a", "a"), ("a", None))) == pytest.approx(2 / 3)
    assert metrics.accuracy(answers(("a", None))) == 0


def test_someone_who_is_90_percent_sure_and_right_half_of_the_time_is_40_points_off():
    found = answers(("a", "a"), ("a", "b"), probability=0.9)
    assert metrics.expected_calibration_error(found) == pytest.approx(0.4)
    [of_it] = metrics.reliability(found)
    assert (of_it.count, of_it.confidence, of_it.accuracy) == (2, pytest.approx(0.9), 0.5)


def test_each_bin_weighs_as_much_as_the_answers_in_it():
    sure, unsure = answers(("a", "a"), ("a", "a"), ("a", "a"), probability=1.0), answers(("a", "b"), probability=0.2)
    assert metrics.expected_calibration_error(sure + unsure) == pytest.approx((3 * 0 + 1 * 0.2) / 4)


def test_a_higher_threshold_covers_less_and_unknown_reaches_none():
    found = [Answered("a", "a", 0.9), Answered("a", "b", 0.4), Answered("a", "unknown", 0.95, abstained=True), Answered("a", None)]
    assert metrics.coverage(found, (0.0, 0.5)) == [(0.0, 0.5, 0.5), (0.5, 0.25, 1.0)]


def test_recall_counts_the_questions_whose_answer_is_among_the_first():
    ranks = [1, 3, 6, None]
    assert [metrics.recall_at(ranks, most) for most in (1, 5, 10)] == [0.25, 0.5, 0.75]
    assert metrics.mean_reciprocal_rank(ranks) == pytest.approx((1 + 1 / 3 + 1 / 6) / 4)


def test_a_changed_answer_is_obedience_only_if_it_is_what_the_attacker_wanted():
    clean = Answered("a", "a", review=True)
    attacks = [
        Attacked("plain", "b", clean, Answered("a", "b", review=True, flagged=True)),
        Attacked("plain", "b", clean, Answered("a", "c", review=False)),
        Attacked("plain", "b", Answered("a", "b"), Answered("a", "b")),  # it was wrong before, and stayed so
        Attacked("plain", "b", clean, clean),
    ]
    assert metrics.flips(attacks) == {"to_the_attackers_label": 0.25, "any_change": 0.5, "changed_without_review": 0.25, "noticed": 0.25}


@pytest.mark.parametrize("figure", [
    metrics.macro_f1, metrics.accuracy, metrics.expected_calibration_error, metrics.mean_reciprocal_rank, lambda none: metrics.recall_at(none, 5)])
def test_of_nothing_every_figure_is_zero(figure):
    assert figure([]) == 0
