"""Parameters for `classification.py` from incidents whose category is known: first how the opinions are weighed, then how sure that makes.

An evaluation gathers the evidence and calls `fit`; what it prints belongs into `config/classification.yaml`. Fit on one part of the incidents
and measure on another: on those that it was fitted to it is always better than it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from mcp_server.tools.classification import Evidence, Parameters, decide, doubt_of

Case = tuple[Evidence, str]
"""What was found out, and the category that is right."""

TRIED = {
    "model": (0.0, 0.3, 0.6, 1.0, 1.5), "neighbours": (0.0, 0.3, 0.6, 1.0, 1.5), "descriptions": (0.0, 0.3, 0.6, 0.8, 1.2),
    "stated": (0.4, 0.6, 0.8, 0.9), "smoothing": (0.02, 0.05, 0.1, 0.2), "sharpness": (1.0, 2.0, 4.0, 8.0),
    "description_temperature": (0.03, 0.06, 0.1, 0.2), "unknown_similarity": (0.05, 0.12, 0.2, 0.3),
}
ROUNDS, STEPS, STEP = 2, 400, 0.2
KEPT = 0.02
"""How strongly the calibration is held to where it began: a few dozen incidents say little of how sure to be."""


def fit(cases: Sequence[Case], start: Parameters | None = None) -> Parameters:
    """Raises ValueError without cases."""
    if not cases:
        raise ValueError("There is nothing to fit to.")
    return calibrated(cases, weighed(cases, start or Parameters()))


def weighed(cases: Sequence[Case], start: Parameters) -> Parameters:
    """One parameter after the other takes the value with which the right category has the greatest share."""
    best, least = start, loss(cases, start)
    for _ in range(ROUNDS):
        for name, values in TRIED.items():
            for value in values:
                tried = replace(best, **{name: value})
                if (lost := loss(cases, tried)) < least - 1e-9:
                    best, least = tried, lost
    return best


def calibrated(cases: Sequence[Case], start: Parameters) -> Parameters:
    """Logistic regression: how often the decisions are right, by their share, agreement, doubt and flag."""
    rows = list(_rows(cases, start))
    names = ("intercept", "slope", "agreement", "doubt", "flag")
    signs = (1, 1, 1, -1, -1)
    begun = [getattr(start, name) for name in names]
    found = list(begun)
    for _ in range(STEPS if rows else 0):
        slopes = [KEPT * (value - first) for value, first in zip(found, begun, strict=True)]
        for features, right in rows:
            logit = sum(sign * value * feature for sign, value, feature in zip(signs, found, features, strict=True))
            error = 1 / (1 + math.exp(-max(-30.0, min(30.0, logit)))) - right
            for place, (sign, feature) in enumerate(zip(signs, features, strict=True)):
                slopes[place] += error * sign * feature / len(rows)
        found = [value - STEP * slope for value, slope in zip(found, slopes, strict=True)]
    fitted = dict(zip(names, found, strict=True))
    return replace(start, **{name: value if name == "intercept" else max(0.0, value) for name, value in fitted.items()})


def loss(cases: Sequence[Case], parameters: Parameters) -> float:
    """The mean of -log of the share that the right category has."""
    shares = [dict(decision.ranking).get(right, 0.0) for evidence, right in cases if (decision := decide(evidence, parameters)) is not None]
    return -sum(math.log(max(share, 1e-9)) for share in shares) / max(1, len(shares))


def _rows(cases: Sequence[Case], parameters: Parameters) -> list[tuple[tuple[float, ...], bool]]:
    rows: list[tuple[tuple[float, ...], bool]] = []
    for evidence, right in cases:
        decision = decide(evidence, parameters)
        if decision is not None:
            share = min(max(decision.ranking[0][1], 1e-6), 1 - 1e-6)
            features = (1.0, math.log(share / (1 - share)), float(decision.agreed), doubt_of(evidence), float(evidence.flagged))
            rows.append((features, decision.label == right))
    return rows
