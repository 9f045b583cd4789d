"""One run with a real model, fetched as production fetches it. It proves the way, not the quality: 135 million parameters."""

import pytest

from mcp_server.deadline import Deadline
from mcp_server.llm.embedded import Embedded
from mcp_server.llm.embedded_engine import MODEL
from mcp_server.llm.embedded_weights import prepare
from mcp_server.llm.gate import Gate
from mcp_server.mcp.context import CallContext
from mcp_server.mcp.tool import ToolRegistry
from mcp_server.tools import build_tools
from tests.engine import running_engine
from tests.tools.test_tools import TAXONOMY, check_proposal

INCIDENT = {
    "short_description": "VPN drops every ten minutes",
    "description": "Since 08:10 about 40 users in the Berlin office lose the VPN connection every ten minutes. They cannot work.",
}


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    folder = tmp_path_factory.mktemp("smollm2")
    weights = prepare(folder)
    try:
        with running_engine(folder, weights, MODEL):
            registry = ToolRegistry(build_tools(Gate(Embedded(folder), slots=2), TAXONOMY), output_limit=10_000)
            yield lambda name, **arguments: registry.call(registry[name], CallContext(None, Deadline.after(60)), arguments)
    finally:
        weights.unlink()


def test_a_real_model_classifies_an_incident_in_the_form_that_was_asked_for(call):
    result = call("classify_incident", **INCIDENT)
    assert not result.is_error, result.text
    check_proposal(result.structured)
    assert (result.structured["model"], result.structured["back_end"]) == (MODEL, "embedded")
    assert call("classify_incident", **INCIDENT).structured["category"] == result.structured["category"]


def test_a_real_model_writes_words(call):
    text = call("llm_generate", prompt="What is a network router? Answer in one sentence.", max_tokens=60, temperature=0).text
    assert "network" in text.lower()
