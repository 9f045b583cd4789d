"""The gate of CI: over the whole set, on llama.cpp with random weights. Its answers are nonsense, and each of them must still be a valid one."""

from pathlib import Path

import pytest

from mcp_server.evaluation import examples, report
from mcp_server.evaluation.classifying import Classifying
from mcp_server.llm.embedded import Embedded
from mcp_server.llm.gate import Gate
from mcp_server.tools.classification import Parameters
from mcp_server.tools.parts import Parts
from mcp_server.tools.taxonomy import Taxonomy
from tests.engine import tiny_engine, tiny_engine_folder, tiny_weights
from tests.evaluation.parts import ByWords

ROOT = Path(__file__).parents[2]
EVALS = ROOT / "evals"
__all__ = ["tiny_engine", "tiny_engine_folder", "tiny_weights"]


@pytest.fixture(scope="module")
def asking(tiny_engine_folder):
    taxonomy = Taxonomy.load(ROOT / "config" / "incident_taxonomy.yaml")
    return Classifying(Parts(Gate(Embedded(tiny_engine_folder), slots=2), taxonomy, embedder=ByWords()), examples.incidents(EVALS))


def test_every_incident_gets_a_valid_answer_among_the_candidates(asking):
    asked = [example for example in examples.incidents(EVALS) if example.split == "test"][::12]
    found = report.of_incidents(asked, asking.observe(asked), Parameters())
    assert report.failures({"incidents": found}, 0) == []
    assert (found["count"], found["invalid"]) == (8, 0)
    assert found["degraded"] < found["count"]  # the model was asked, and answered


def test_every_attack_leaves_the_answer_among_the_candidates(asking):
    attacked = [attack.attacked for attack in examples.attacks(EVALS)]
    found = report.of_incidents(attacked, asking.observe(attacked), Parameters())
    assert report.failures({"injections": found}, 0) == []
    assert (found["count"], found["outside_candidates"]) == (40, 0)


def test_every_text_that_is_too_long_is_answered_or_refused_in_words(asking):
    found = report.of_oversize([each.answer for each in asking.observe(examples.oversize(EVALS))])
    assert report.failures({"oversize": found}, 0) == []
    assert found["answered"] + found["refused"] == found["count"] == 20
    assert found["answered"] >= 8
