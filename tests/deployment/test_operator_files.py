"""What an operator writes in config/: refused before a worker starts, taken over by a reload, and told to those who listen."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal

import pytest

from tests.running import API_KEY, until

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "X-API-Key": API_KEY,
           "MCP-Protocol-Version": "2026-07-28"}


@pytest.fixture
def config(gateway):
    """The folder of this server, to be written to."""
    folder = gateway.folder / "config"
    source = folder.resolve()
    folder.unlink()
    shutil.copytree(source, folder)
    return folder


def message(method, **params):
    return json.dumps({"jsonrpc": "2.0", "id": 9, "method": method, "params": params | {"_meta": META}}), HEADERS | {"Mcp-Method": method}


def prompts(gateway):
    answer = json.loads(gateway.request("POST", "/mcp", *message("prompts/list"))[1])
    return [prompt["name"] for prompt in answer["result"]["prompts"]]


def heard(gateway):
    """The methods that a client hears which begins to listen, up to the first list that changed; nothing when the stream ends first."""
    with contextlib.closing(gateway.connection()) as connection:
        connection.request("POST", "/mcp", *message("subscriptions/listen", notifications={"promptsListChanged": True, "toolsListChanged": True}))
        for line in connection.getresponse():
            if line.startswith(b"data: ") and "list_changed" in (method := json.loads(line[6:]).get("method", "")):
                return method
    return None


def test_a_bad_file_exits_78_with_every_problem_before_a_worker_starts(gateway, config):
    (config / "tools" / "bad.yaml").write_text("name: Bad\n")
    (config / "prompts" / "triage_incident.yaml").write_text("titel: x\n")
    assert gateway.start().ended() == 78
    for problem in ("tools/bad.yaml line 1, name: must be lower case", "prompts/triage_incident.yaml line 1, titel: Unknown field."):
        assert problem in gateway.output()
    assert "Traceback" not in gateway.output()
    assert gateway.workers() == []


def test_a_reload_takes_over_a_new_prompt_and_a_client_that_listens_again_is_told(gateway, config):
    gateway.started()
    assert "handover_summary" in prompts(gateway)
    (config / "prompts" / "handover_summary.yaml").unlink()
    gateway.signal(signal.SIGHUP)
    until(lambda: "handover_summary" not in prompts(gateway), "the new workers have taken over", seconds=100)
    told = until(lambda: heard(gateway), "a client is told that listens again when its stream has ended with the old worker")
    assert told == "notifications/prompts/list_changed"


def test_a_reload_into_a_bad_file_is_refused_and_the_old_workers_go_on(gateway, config):
    gateway.started()
    (config / "tools" / "bad.yaml").write_text("name: Bad\n")
    gateway.signal(signal.SIGHUP)
    until(lambda: "Reload refused" in gateway.output(), "the reload is refused")
    assert "tools/bad.yaml line 1, name: must be lower case" in gateway.output()
    assert "triage_incident" in prompts(gateway)
