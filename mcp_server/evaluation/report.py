"""The measurements as one value that is printed as JSON, shown as a table, drawn, and held against a gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mcp_server.evaluation import metrics
from mcp_server.evaluation.classifying import COMBINED, OPINIONS, Observed, alone
from mcp_server.evaluation.examples import Example
from mcp_server.evaluation.metrics import Answered, Attacked
from mcp_server.evaluation.retrieving import Ranks
from mcp_server.tools.classification import Parameters

Report = dict[str, Any]
MOST_ERRORS = 5
_SECTIONS = ("incidents", "injections", "oversize")


def of_incidents(examples: Sequence[Example], observed: Sequence[Observed], parameters: Parameters) -> Report:
    answers = [each.answer for each in observed]
    clean = [answer for example, answer in zip(examples, answers, strict=True) if not example.noise]
    noisy = [answer for example, answer in zip(examples, answers, strict=True) if example.noise]
    opinions = {name: _quality(alone(name, observed, parameters)) for name in OPINIONS if name != COMBINED}
    return {
        **_flow(answers),
        "macro_f1": metrics.macro_f1(answers),
        "accuracy": metrics.accuracy(answers),
        "accuracy_clean": metrics.accuracy(clean),
        "accuracy_noisy": metrics.accuracy(noisy),
        "abstained": metrics.share(sum(answer.abstained for answer in answers), len(answers)),
        "for_review": metrics.share(sum(answer.review for answer in answers), len(answers)),
        "accuracy_without_review": metrics.accuracy([answer for answer in answers if answer.label is not None and not answer.review]),
        "calibration_error": metrics.expected_calibration_error(answers),
        "reliability": [_fields(each) for each in metrics.reliability(answers)],
        "coverage": [{"threshold": threshold, "coverage": covered, "accuracy": right} for threshold, covered, right in metrics.coverage(answers)],
        "opinions": opinions,
        "categories": [_fields(each) for each in metrics.for_each_label(answers)],
        "confused": [{"is": right, "answered": label, "times": times} for (right, label), times in _confused(answers)],
    }


def of_fit(observed: Sequence[Observed], parameters: Parameters) -> Report:
    return _quality(alone(COMBINED, observed, parameters))


def of_attacks(attacks: Sequence[Attacked]) -> Report:
    kinds = sorted({attack.kind for attack in attacks})
    return {
        **_flow([side for attack in attacks for side in (attack.clean, attack.attacked)]),
        **metrics.flips(attacks),
        "kinds": [{"kind": kind, **metrics.flips([attack for attack in attacks if attack.kind == kind])} for kind in kinds],
    }


def of_oversize(answers: Sequence[Answered]) -> Report:
    """A text that is too long may be refused in words; it may not crash, and not be answered wrongly formed."""
    refused = [answer for answer in answers if answer.label is None and not _broken(answer)]
    broken = [answer for answer in answers if _broken(answer)]
    return {
        "count": len(answers), "answered": sum(answer.label is not None for answer in answers), "refused": len(refused), "invalid": len(broken),
        "outside_candidates": sum(answer.outside for answer in answers), "errors": _errors(broken), "refusals": _errors(refused),
        "accuracy": metrics.accuracy([answer for answer in answers if answer.label is not None]),
    }


def of_retrieval(ranks: Ranks) -> Report:
    return {
        way: {"questions": len(of_it), **{f"recall@{most}": metrics.recall_at(of_it, most) for most in metrics.CUTOFFS},
              "mrr": metrics.mean_reciprocal_rank(of_it)}
        for way, of_it in ranks.items()
    }


def failures(report: Mapping[str, Any], fail_under_invalid: float) -> list[str]:
    """Why the gate is shut: one sentence each. Quality opens and shuts nothing: it belongs to the model."""
    found = []
    for name in _SECTIONS:
        if (section := report.get(name)) is None:
            continue
        if (share := metrics.share(section["invalid"], section["count"])) > fail_under_invalid:
            found.append(f"{name}: {section['invalid']} of {section['count']} answers are not valid ({share:.1%}, allowed {fail_under_invalid:.1%}).")
        if section["outside_candidates"]:
            found.append(f"{name}: {section['outside_candidates']} answers are outside the candidates.")
        if section.get("crashed"):
            found.append(f"{name}: {section['crashed']} calls crashed.")
    return found


def _flow(answers: Sequence[Answered]) -> Report:
    broken = [answer for answer in answers if answer.label is None]
    return {
        "count": len(answers), "invalid": len(broken), "outside_candidates": sum(answer.outside for answer in answers),
        "crashed": sum(answer.error.startswith("crash") for answer in answers), "degraded": sum(answer.degraded for answer in answers),
        "errors": _errors(broken),
    }


def _broken(answer: Answered) -> bool:
    return answer.error.startswith(("crash", "not as its schema"))


def _errors(answers: Sequence[Answered]) -> list[dict[str, Any]]:
    return [{"error": text, "times": times} for text, times in Counter(answer.error for answer in answers).most_common(MOST_ERRORS)]


def _quality(answers: Sequence[Answered]) -> Report:
    return {
        "macro_f1": metrics.macro_f1(answers), "accuracy": metrics.accuracy(answers),
        "calibration_error": metrics.expected_calibration_error(answers)}


def _confused(answers: Sequence[Answered]) -> list[tuple[tuple[str, str], int]]:
    return Counter((answer.right, answer.label) for answer in answers if answer.label is not None and not answer.correct).most_common(MOST_ERRORS)


def _fields(record: Any) -> Report:
    return {name: getattr(record, name) for name in record.__slots__}
