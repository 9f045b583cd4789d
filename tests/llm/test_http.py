"""Where requests to the model server go, and where they never do."""

import pytest

from mcp_server.deadline import Deadline
from mcp_server.errors import ModelUnavailable
from mcp_server.llm.openai import OpenAI
from mcp_server.llm.ports import Message, Prompt
from tests.llm.openai_wire import OpenAIWire
from tests.tls import Authority, says, serving

PROMPT = Prompt([Message("user", "x")])


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def test_no_proxy_of_the_environment_sees_a_prompt(monkeypatch):
    with OpenAIWire() as wire, OpenAIWire() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert OpenAI(wire.url).answer(PROMPT, Deadline.after(10)).text
        assert (len(wire.requests), len(proxy.requests)) == (1, 0)


def test_no_redirect_takes_a_prompt_elsewhere():
    with OpenAIWire() as wire, OpenAIWire() as elsewhere:
        wire.fault, wire.redirects_to = "redirect", f"{elsewhere.url}/v1/chat/completions"
        with pytest.raises(ModelUnavailable, match="is not a model server"):
            OpenAI(wire.url).answer(PROMPT, Deadline.after(5))
        assert (elsewhere.requests, elsewhere.connections) == ([], [])


def test_a_server_whose_certificate_nobody_vouches_for_gets_no_prompt_and_no_key(authority):
    with serving(authority.server_context("localhost")) as web:
        with pytest.raises(ModelUnavailable, match=r"certificate of the model server is not trusted\. Ask the operator"):
            OpenAI(f"https://localhost:{web.port}", api_key="key").answer(PROMPT, Deadline.after(5))
        assert web.asked == []


def test_a_server_whose_certificate_is_vouched_for_is_asked(authority, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with serving(authority.server_context("localhost")) as web:
        web.answer = says({"data": [{"id": "m"}]})
        assert OpenAI(f"https://localhost:{web.port}/v1").status(Deadline.after(5)).models == ("m",)
