from __future__ import annotations

import os
import time

import pytest

from mcp_server.errors import ModelMissing
from mcp_server.llm.ports import Answer, ModelStatus


def found(outcome):
    return {finding["check"]: finding for finding in outcome.json}


class Missing:
    def status(self, _deadline):
        return ModelStatus("ollama", available=False, problem="Run: ollama pull qwen3:4b")


def test_a_healthy_machine_has_no_failure(machine):
    machine.run("users", "add", "jo", "--generate")
    with machine.serving():
        looked = machine.run("doctor", "--json")
    assert looked.status == 0
    assert {name: finding["level"] for name, finding in found(looked).items() if finding["level"] != "ok"} == {"issuer": "warn", "instance": "warn"}
    assert machine.url in found(looked)["server"]["said"]


def test_people_read_what_to_do_next(machine):
    looked = machine.run("doctor")
    assert looked.status == 0
    assert "-> Start it: bin/serve" in looked.out
    assert "-> Run: flask users add NAME" in looked.out


def test_a_server_with_another_issuer_fails(machine):
    with machine.serving(OAUTH_ISSUER="https://other.example.com"):
        looked = machine.run("doctor", "--json")
    assert looked.status == 1
    assert "https://other.example.com" in found(looked)["server"]["said"]


def test_missing_tables_fail_with_the_command_that_makes_them(new_machine):
    looked = new_machine.run("doctor", "--json")
    assert looked.status == 1
    assert "mcp_server.prepare" in found(looked)["registry"]["next_step"]


def test_a_missing_model_fails_with_what_the_back_end_says(machine):
    looked = machine.run("doctor", "--json", app=machine.app(model=Missing()))
    assert looked.status == 1
    assert "ollama pull" in found(looked)["model"]["next_step"]


class NoVectors:
    def embed(self, _texts, _deadline):
        raise ModelMissing("Ask the operator to pull one, such as: ollama pull all-minilm")


class Rambles:
    def answer(self, *_):
        return Answer("Sure! I am working.", "rambler", complete=True)

    def status(self, _deadline):
        return ModelStatus("ollama", available=True, model="rambler", facts={"context": 2048})


def test_a_model_that_cannot_do_what_the_tools_need_fails_by_what_it_cannot_do(machine):
    looked = machine.run("doctor", "--json", app=machine.app(model=Rambles(), embedder=NoVectors()))
    assert looked.status == 1
    checks = found(looked)
    assert [checks[name]["level"] for name in ("model", "schema", "context", "embeddings")] == ["ok", "fail", "warn", "warn"]
    assert "DEFAULT_LLM_MODEL" in checks["schema"]["next_step"]
    assert "LLM_CONTEXT=2048" in checks["context"]["next_step"]
    assert "ollama pull all-minilm" in checks["embeddings"]["next_step"]


@pytest.mark.parametrize(("url", "warned"), [
    ("http://127.0.0.1:11434", []), ("http://gpu.internal:11434", ["readable"]), ("https://gpu.internal", []), ("https://10.1.2.3:8000/v1", []),
    ("https://llm.example.com/v1", ["may leave yours"]), ("http://8.8.8.8:11434", ["may leave yours", "readable"]),
    ("http://[fd00::1]:80", ["readable"]),
])
def test_a_model_server_that_may_be_outside_is_warned_of(machine, url, warned):
    looked = machine.run("doctor", "--json", OLLAMA_API_URL=url)
    said = [finding["said"] for finding in looked.json if finding["check"] == "model address"]
    assert len(said) == len(warned)
    assert all(words in text and "OLLAMA_API_URL" in text for words, text in zip(warned, said, strict=True))


def test_a_state_store_that_does_not_answer_fails(machine):
    looked = machine.run("doctor", "--json", REDIS_URL=f"redis://127.0.0.1:{machine.port}/0")
    assert looked.status == 1
    assert found(looked)["state store"]["level"] == "fail"


def test_a_file_from_the_future_fails_the_clock(machine, tmp_path):
    later = time.time() + 3600
    os.utime(tmp_path / "registry.db", (later, later))
    looked = machine.run("doctor", "--json", DATABASE_URL=f"sqlite:///{tmp_path}/registry.db")
    assert found(looked)["clock"]["level"] == "fail"


def test_an_env_file_that_others_may_read_is_warned_of(machine, tmp_path):
    (tmp_path / ".env").write_text("")
    (tmp_path / ".env").chmod(0o644)
    assert found(machine.run("doctor", "--json"))[".env"]["next_step"] == "Run: chmod 600 .env"
    (tmp_path / ".env").chmod(0o600)
    assert ".env" not in found(machine.run("doctor", "--json"))


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_the_server_is_looked_for_where_this_machine_reaches_it(machine, host):
    with machine.serving():
        assert found(machine.run("doctor", "--json", HOST=host))["server"]["level"] == "ok"
