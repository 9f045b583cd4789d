"""The whole main job as ServiceNow plays it, against the server as it is really started; the model is a real engine with a tiny model."""

import json
import subprocess
import sys

import pytest

from tests.running import environment

STEPS = 14


@pytest.fixture(params=["one worker on SQLite", "four workers on Redis"])
def started(request, gateway, ollama):
    shared = {}
    if request.param == "four workers on Redis":
        shared = {"REDIS_URL": request.getfixturevalue("redis_url"), "WEB_CONCURRENCY": 4}
    gateway.configured(OLLAMA_API_URL=ollama.url, SERVICENOW_INSTANCE="https://dev12345.service-now.com", **shared)
    return gateway.started()


def test_every_step_of_servicenows_client_passes(started):
    command = [sys.executable, "-m", "flask", "servicenow", "simulate", "--json"]
    played = subprocess.run(
        command, cwd=started.folder, env={**environment(), "FLASK_APP": "mcp_server.command_line"}, capture_output=True, text=True, check=False)
    assert played.returncode == 0, played.stdout + played.stderr
    told = json.loads(played.stdout)
    assert [step["passed"] for step in told["steps"]] == [True] * STEPS
    [classified] = [step for step in told["steps"] if step["step"] == "tools/call"]
    assert "classify_incident: " in classified["said"]
    assert "Traceback" not in started.output()
