"""How three opinions become one label and a confidence that means something: pure functions, so that an evaluation can fit and run them.

The opinions: what the model finds likely, how similar incidents were labelled, and which label's description is nearest. Each becomes
a distribution over the labels; the product of their powers, made to sum to 1, is the answer (a logarithmic opinion pool). The confidence is
then a logistic function of that answer, of whether the opinions agree, and of what was noticed in the text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from marshmallow import Schema, validate
from marshmallow import fields as checked

from mcp_server.tools.yaml_file import read

MODEL, NEIGHBOURS, DESCRIPTIONS = "model", "similar incidents", "label descriptions"
CONFIDENCES = ("low", "medium", "high")
_LEAST = 1e-9
MOST_SURE = 0.98
"""No more than that was ever measured on a few hundred incidents."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The defaults do well on the calibration part of evals/ with the embedded models; `config/classification.yaml` has those that were fitted.

    `model`, `neighbours`, `descriptions`: the powers. `stated`: what a label is worth that the model only named. `smoothing`: what every
    label is given. `sharpness`: how much a nearer neighbour counts for more. `description_temperature`: of the softmax over cosines.
    `unknown_similarity`: the cosine below which no description fits. `slope`, `intercept`, `agreement`, `doubt`, `flag`: of the logistic
    function; `doubt` is for what the model put on no label at all. `medium`, `high`: where the words begin.
    """

    model: float = 1.0
    neighbours: float = 0.75
    descriptions: float = 1.0
    stated: float = 0.6
    smoothing: float = 0.05
    sharpness: float = 6.0
    description_temperature: float = 0.06
    unknown_similarity: float = 0.12
    slope: float = 0.4
    intercept: float = 0.2
    agreement: float = 0.9
    doubt: float = 1.0
    flag: float = 1.5
    medium: float = 0.5
    high: float = 0.8

    @classmethod
    def load(cls, path: Path) -> Parameters:
        """The defaults where there is no file. Raises ConfigurationError with every problem."""
        return cls(**read(path, _SCHEMA).values) if path.is_file() else cls()

    def dump(self) -> dict[str, float]:
        return asdict(self)


_SCHEMA = Schema.from_dict({
    each.name: checked.Float(validate=validate.Range(0.001 if "temperature" in each.name else -50, 50)) for each in fields(Parameters)})()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found out about one incident. `labels` in the order in which a tie is decided.

    `probabilities`: the model's, which sum to 1 at most. `stated`: the label that it named. `neighbours`: label and similarity, 0 to 1, of
    labelled incidents. `similarities`: the cosine to each label's description. `flagged`: the text speaks to the model.
    """

    labels: Sequence[str]
    unknown: str
    probabilities: Mapping[str, float] | None = None
    stated: str | None = None
    neighbours: Sequence[tuple[str, float]] = ()
    similarities: Mapping[str, float] = field(default_factory=dict)
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`probability`: how often a decision like this one is right. `review`: a person should look. `method`: the opinions that there were."""

    label: str
    probability: float
    confidence: str
    review: bool
    agreed: bool
    method: str
    ranking: tuple[tuple[str, float], ...]


def decide(evidence: Evidence, parameters: Parameters) -> Decision | None:
    """None when there is no opinion at all."""
    opinions = opinions_of(evidence, parameters)
    if not opinions:
        return None
    powers = {MODEL: parameters.model, NEIGHBOURS: parameters.neighbours, DESCRIPTIONS: parameters.descriptions}
    pooled = {
        label: sum(powers[name] * math.log(max(opinion[label], _LEAST)) for name, opinion in opinions.items()) for label in evidence.labels}
    shares = _softmax(pooled, 1.0)
    ranking = tuple(sorted(shares.items(), key=lambda share: -share[1]))
    label = ranking[0][0]
    agreed = len(opinions) > 1 and all(_first(opinion) == label for opinion in opinions.values())
    probability = _calibrated(evidence, parameters, share=ranking[0][1], agreed=agreed)
    confidence = _in_words(parameters, probability, best="high" if agreed and not evidence.flagged else "medium")
    return Decision(label, probability, confidence, confidence != "high", agreed, " + ".join(opinions), ranking)


def opinions_of(evidence: Evidence, parameters: Parameters) -> dict[str, dict[str, float]]:
    """Each opinion that there is, as a distribution over the labels."""
    opinions = {}
    if evidence.probabilities is not None or evidence.stated is not None:
        opinions[MODEL] = _of_the_model(evidence, parameters)
    known = [(label, similarity) for label, similarity in evidence.neighbours if label in evidence.labels and similarity > 0]
    if known:
        votes = dict.fromkeys(evidence.labels, 0.0)
        for label, similarity in known:
            votes[label] += min(1.0, similarity) ** parameters.sharpness
        opinions[NEIGHBOURS] = _smoothed(votes, parameters.smoothing)
    if evidence.similarities:
        cosines = {
            label: parameters.unknown_similarity if label == evidence.unknown else evidence.similarities.get(label, 0.0) for label in evidence.labels}
        opinions[DESCRIPTIONS] = _smoothed(_softmax(cosines, parameters.description_temperature), parameters.smoothing)
    return opinions


def _of_the_model(evidence: Evidence, parameters: Parameters) -> dict[str, float]:
    if evidence.probabilities is not None and sum(evidence.probabilities.values()) > 0:
        return _smoothed({label: evidence.probabilities.get(label, 0.0) for label in evidence.labels}, max(parameters.smoothing, doubt_of(evidence)))
    rest = (1 - parameters.stated) / max(1, len(evidence.labels) - 1)
    return {label: parameters.stated if label == evidence.stated else rest for label in evidence.labels}


def doubt_of(evidence: Evidence) -> float:
    """What the model put on no label. Never all of it, or its opinion would be none."""
    return 0.0 if evidence.probabilities is None else min(0.95, max(0.0, 1 - sum(evidence.probabilities.values())))


def _calibrated(evidence: Evidence, parameters: Parameters, *, share: float, agreed: bool) -> float:
    share = min(max(share, 1e-6), 1 - 1e-6)
    logit = parameters.intercept + parameters.slope * math.log(share / (1 - share)) + parameters.agreement * agreed
    logit -= parameters.doubt * doubt_of(evidence) + parameters.flag * evidence.flagged
    return min(MOST_SURE, 1 / (1 + math.exp(-max(-30.0, min(30.0, logit)))))


def _in_words(parameters: Parameters, probability: float, best: str) -> str:
    word = "high" if probability >= parameters.high else "medium" if probability >= parameters.medium else "low"
    return min(word, best, key=CONFIDENCES.index)


def _softmax(values: Mapping[str, float], temperature: float) -> dict[str, float]:
    most = max(values.values())
    powers = {label: math.exp((value - most) / temperature) for label, value in values.items()}
    whole = sum(powers.values())
    return {label: power / whole for label, power in powers.items()}


def _smoothed(shares: Mapping[str, float], given: float) -> dict[str, float]:
    whole = sum(shares.values()) or 1.0
    return {label: (1 - given) * share / whole + given / len(shares) for label, share in shares.items()}


def _first(opinion: Mapping[str, float]) -> str:
    return max(opinion, key=opinion.__getitem__)
