"""What a client may use, as it finds it over HTTP."""

from __future__ import annotations

import shutil
import threading

import pytest

from mcp_server.app import CONFIG, More
from mcp_server.errors import StoreUnavailable
from mcp_server.mcp.tool import Tool
from mcp_server.tools.echo import EchoInput
from tests.gateway import API_KEY, both_back_ends

STATELESS = "2026-07-28"
POLICIES = """default:
  tools: [echo]
clients:
  api-key: {tools: ["*_incident", server_status, echo], models: [small, tiny], output_limit: 300}
  "AutoGen-*": {tools: [echo, llm_generate], calls_per_minute: 3}
"""


@pytest.fixture
def guarded(open_gateway, tmp_path):
    """guarded(text) → a gateway with this clients.yaml."""

    def guarded(text=POLICIES, **more):
        folder = tmp_path / "config"
        shutil.copytree(CONFIG, folder, dirs_exist_ok=True)
        (folder / "clients.yaml").write_text(text)
        opened = open_gateway(config=folder, **more)
        opened.add_user()
        return opened

    return guarded


def ask(gateway, method, token=None, version="2025-06-18", **params):
    headers = {"MCP-Protocol-Version": version, **({} if token else {"X-API-Key": API_KEY})}
    if version == STATELESS:
        params["_meta"] = {"io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {}}
        headers |= {"Mcp-Method": method} | ({"Mcp-Name": params["name"]} if "name" in params else {})
    return gateway.mcp({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, token=token, headers=headers).json


def listed(gateway, token=None):
    return [tool["name"] for tool in ask(gateway, "tools/list", token)["result"]["tools"]]


def say(gateway, token=None, message="x", **more):
    return ask(gateway, "tools/call", token, name="echo", arguments={"message": message}, **more)["result"]


def token_of(gateway, name):
    client = gateway.register(client_name=name)
    return gateway.tokens(client)["access_token"]


def test_each_client_sees_what_it_may_use(guarded):
    gateway = guarded()
    assert listed(gateway) == ["classify_incident", "summarize_incident", "server_status", "echo"]
    assert listed(gateway, token_of(gateway, "AutoGen-1775150937195-OAuthProvider")) == ["llm_generate", "echo"]
    assert listed(gateway, token_of(gateway, "Something else")) == ["echo"]


def test_without_the_file_everybody_sees_everything(gateway):
    assert len(listed(gateway)) > 5
    assert "cacheScope" not in ask(gateway, "tools/list")["result"]
    assert ask(gateway, "tools/list", version=STATELESS)["result"]["cacheScope"] == "public"


def test_a_list_that_is_not_everybodys_is_not_to_be_shared(guarded):
    assert ask(guarded(), "tools/list", version=STATELESS)["result"]["cacheScope"] == "private"


@pytest.mark.parametrize("version", ["2025-06-18", STATELESS])
def test_a_tool_that_a_client_may_not_use_is_to_it_one_that_is_not_there(guarded, version):
    gateway = guarded()
    hidden, none = (
        ask(gateway, "tools/call", version=version, name=name, arguments={"prompt": "x"})["error"] for name in ("llm_generate", "xlm_generate"))
    assert hidden == {**none, "message": none["message"].replace("xlm", "llm")}


def test_a_model_that_a_client_may_not_use_is_an_error_that_names_those_it_may(guarded):
    gateway = guarded("clients: {api-key: {models: [small, tiny]}}")
    result = ask(gateway, "tools/call", name="llm_generate", arguments={"prompt": "x", "model": "huge"})["result"]
    assert result["isError"]
    assert result["content"][0]["text"] == "model: 'huge' is not for you. You may use: small, tiny."


@pytest.mark.parametrize(("named", "asked"), [({}, "small"), ({"model": "tiny"}, "tiny")])
def test_the_first_of_its_models_is_the_default_of_a_client(guarded, monkeypatch, named, asked):
    gateway, prompts = guarded("clients: {api-key: {models: [small, tiny]}}"), []
    answer = gateway.model.answer
    monkeypatch.setattr(gateway.model, "answer", lambda prompt, *more: prompts.append(prompt) or answer(prompt, *more))
    ask(gateway, "tools/call", name="llm_generate", arguments={"prompt": "x", **named})
    assert [prompt.model for prompt in prompts] == [asked]


@both_back_ends
def test_calls_beyond_the_limit_of_a_minute_say_when_to_come_again(guarded, back_end):
    gateway = guarded()
    token, other = token_of(gateway, "AutoGen-1"), token_of(gateway, "AutoGen-2")
    assert [say(gateway, token).get("isError", False) for _ in range(4)] == [False, False, False, True]
    told = say(gateway, token)["content"][0]["text"]
    assert told.startswith("You may call tools 3 times a minute. Try again in ")
    assert not say(gateway, other).get("isError")
    gateway.clock.advance(61)
    assert not say(gateway, token).get("isError")


def test_a_client_gets_no_more_text_than_its_policy_allows(guarded):
    text = say(guarded(), message="x" * 1000)["content"][0]["text"]
    assert (len(text), text.endswith("[truncated: 1000 characters in all]")) == (300, True)


class Waits(Tool):
    name, title, description, input_schema = "waits", "Waits", "Waits.", EchoInput()
    quick = True

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def run(self, call, *, message):  # noqa: ARG002 - whatever it is
        self.begun.set()
        self.go.wait(10)
        return "done"


def test_calls_at_once_are_bounded_and_a_place_is_free_again(guarded):
    waits = Waits()
    gateway = guarded("clients: {api-key: {concurrent_calls: 1}}", more=More(tools=[waits]))
    first = threading.Thread(target=ask, args=(gateway, "tools/call"), kwargs={"name": "waits", "arguments": {"message": ""}})
    first.start()
    assert waits.begun.wait(10)
    assert say(gateway)["content"][0]["text"] == "You may have 1 calls at once. Wait until one of yours has ended, and call again."
    waits.go.set()
    first.join()
    assert say(gateway)["content"][0]["text"] == "x"


def test_a_failed_call_gives_its_place_back(guarded):
    gateway = guarded("clients: {api-key: {concurrent_calls: 1}}")
    for _ in range(3):
        assert ask(gateway, "tools/call", name="echo", arguments={})["result"]["content"][0]["text"] == "message: Missing data for required field."


def test_a_name_that_cannot_be_looked_up_gives_nobody_the_policy_of_another(guarded, monkeypatch):
    gateway = guarded()
    token = token_of(gateway, "AutoGen-1")
    policies = gateway.services.tools._policies

    def away(_):
        raise StoreUnavailable

    monkeypatch.setattr(policies, "_find", away)
    assert "error" in ask(gateway, "tools/list", token)
    monkeypatch.undo()
    assert listed(gateway, token) == ["llm_generate", "echo"]


def instructions_of(gateway):
    return ask(gateway, "initialize", protocolVersion="2025-06-18", capabilities={})["result"]["instructions"]


def test_the_instructions_name_the_tools_that_there_are(gateway):
    told = instructions_of(gateway)
    assert "classify_incident for" in told
    assert "answer_from_knowledge" not in told, "there is no knowledge"


def test_the_instructions_name_no_tools_where_not_everybody_has_the_same(guarded):
    assert "classify_incident" not in instructions_of(guarded())
