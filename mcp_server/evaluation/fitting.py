"""The parameters of the combination, found on the calibration part alone: first how the opinions are weighed, then what the confidence is worth."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml

from mcp_server.evaluation.classifying import Observed
from mcp_server.tools.classification import Parameters, decide

WEIGHING: Mapping[str, Sequence[float]] = {
    "model": (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5),
    "neighbours": (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0),
    "descriptions": (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0),
    "smoothing": (0.01, 0.02, 0.05, 0.1, 0.2, 0.4),
    "sharpness": (1.0, 2.0, 4.0, 6.0, 8.0),
    "description_temperature": (0.03, 0.045, 0.06, 0.08, 0.1, 0.15),
}
"""Few values, far apart: with some seventy incidents finer ones would fit their accidents."""
CONFIDING: Mapping[str, Sequence[float]] = {
    "slope": (0.25, 0.4, 0.5, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0),
    "intercept": tuple(step / 4 for step in range(-8, 9)),
    "agreement": (0.0, 0.3, 0.6, 0.9, 1.2, 1.6, 2.0),
}
ROUNDS = 4
LEAST = 1e-6
FLOOR = 0.05  # so that nothing is not infinitely far
HEAD = """# How classify_incident weighs its opinions and what its confidence is worth: measured, not guessed.
# Written by `flask eval fit`. Without this file the defaults in mcp_server/tools/classification.py hold.
# {told}
"""


def fit(observed: Sequence[Observed], start: Parameters) -> Parameters:
    """Raises ValueError when there is nothing to fit on."""
    known = [each for each in observed if each.evidence is not None]
    if not known:
        raise ValueError("No incident of the calibration part was answered.")
    weighed = _descend(start, WEIGHING, lambda parameters: _surprise(known, parameters) + _far(parameters, start, len(known)))
    return _descend(weighed, CONFIDING, lambda parameters: _misjudged(known, parameters))


def write(parameters: Parameters, path: Path, told: str) -> None:
    path.write_text(HEAD.format(told=told) + yaml.safe_dump(parameters.dump(), sort_keys=False), encoding="utf-8")


def _descend(start: Parameters, grids: Mapping[str, Sequence[float]], loss: Callable[[Parameters], float]) -> Parameters:
    """One parameter after the other to its best value, until nothing gets better. The first of equal ones stays."""
    best, least = start, loss(start)
    for _ in range(ROUNDS):
        before = least
        for name, values in grids.items():
            for value in values:
                tried = dataclasses.replace(best, **{name: value})
                if (found := loss(tried)) < least - LEAST:
                    best, least = tried, found
        if least == before:
            break
    return best


def _far(parameters: Parameters, start: Parameters, count: int) -> float:
    """A normal prior around where it began, a factor of e wide: few incidents may not say more than they know."""
    return sum(
        math.log((getattr(parameters, name) + FLOOR) / (getattr(start, name) + FLOOR)) ** 2 / 2 for name in WEIGHING) / count


def _surprise(observed: Sequence[Observed], parameters: Parameters) -> float:
    """The mean negative logarithm of the share that the right label got."""
    total = 0.0
    for each in observed:
        decision = decide(each.evidence, parameters) if each.evidence is not None else None
        shares = dict(decision.ranking) if decision is not None else {}
        total -= math.log(max(shares.get(each.answer.right, 0.0), LEAST))
    return total / len(observed)


def _misjudged(observed: Sequence[Observed], parameters: Parameters) -> float:
    """The same of the confidence: how surprising it is that the answer is right, or wrong."""
    total = 0.0
    for each in observed:
        decision = decide(each.evidence, parameters) if each.evidence is not None else None
        if decision is not None:
            probability = decision.probability if decision.label == each.answer.right else 1 - decision.probability
            total -= math.log(max(probability, LEAST))
    return total / len(observed)
