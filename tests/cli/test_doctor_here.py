"""What `flask doctor` finds on its own machine: stores, secrets, networks, disks, clients, vectors."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from redis import Redis

from mcp_server.errors import ModelMissing
from mcp_server.llm.ports import EmbeddingModel
from mcp_server.oauth.models import Client
from tests.knowledge_base import WordEmbedder
from tests.servers import RedisServer

GOOD = "Jx3tTz9qLm4wRb"
ARTICLE = {
    "sys_id": "a1", "number": "KB0000001", "short_description": "VPN", "text": "Restart the client.", "workflow_state": "published",
    "can_read_user_criteria": "", "cannot_read_user_criteria": "", "roles": "",
}


def of(looked, check):
    return [finding for finding in looked.json if finding["check"] == check]


def levels(looked, check):
    return [finding["level"] for finding in of(looked, check)]


@pytest.fixture(scope="module")
def redis():
    """Of these tests alone: they change its settings."""
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def configure(redis, **settings):
    with Redis.from_url(redis.url) as connection:
        for name, value in settings.items():
            connection.config_set(name.replace("_", "-"), value)


@pytest.mark.parametrize(("settings", "found"), [
    ({"maxmemory_policy": "noeviction", "appendonly": "yes"}, {}),
    ({"maxmemory_policy": "allkeys-lru", "appendonly": "yes"}, {"Redis policy": "fail"}),
    ({"maxmemory_policy": "volatile-ttl", "appendonly": "yes"}, {"Redis policy": "fail"}),
    ({"maxmemory_policy": "noeviction", "appendonly": "no", "save": ""}, {"Redis on disk": "warn"}),
    ({"maxmemory_policy": "noeviction", "appendonly": "no", "save": "3600 1"}, {}),
    ({"maxmemory_policy": "noeviction", "appendonly": "yes", "maxmemory": "1mb"}, {"Redis memory": "warn"}),
])
def test_a_redis_that_forgets_is_found(machine, redis, settings, found):
    configure(redis, **{"maxmemory": "0", **settings})
    looked = machine.run("doctor", "--json", REDIS_URL=redis.url)
    seen = {finding["check"]: finding for finding in looked.json if finding["check"].startswith("Redis")}
    assert {check: finding["level"] for check, finding in seen.items()} == found
    assert all(finding["next_step"] for finding in seen.values())


@pytest.mark.parametrize(("changes", "words"), [
    ({"SERVICENOW_SYNC_PASSWORD": "changeme"}, "SERVICENOW_SYNC_PASSWORD is an example value"),
    ({"LLM_API_KEY": "your-key"}, "LLM_API_KEY is an example value"),
    ({"REDIS_URL": "redis://:password@127.0.0.1:1/0"}, "The password in REDIS_URL is an example value"),
    ({"REDIS_URL": "redis://redis.internal:6379/0"}, "REDIS_URL is missing"),
    ({"REDIS_URL": "redis://:short@redis.internal:6379/0"}, "REDIS_URL has fewer than 12"),
])
def test_secrets_that_anybody_could_guess_are_found_and_not_told(machine, changes, words):
    looked = machine.run("doctor", "--json", **changes)
    assert words in of(looked, "secrets")[0]["said"]
    assert "changeme" not in looked.out
    assert "short@" not in looked.out


def test_good_secrets_are_not_spoken_of(machine):
    assert of(machine.run("doctor", "--json", SERVICENOW_SYNC_PASSWORD=GOOD), "secrets") == []


@pytest.mark.parametrize(("changes", "check"), [
    ({"METRICS_ALLOW": "10.0.0.0/8,0.0.0.0/0"}, "metrics"), ({"METRICS_ALLOW": "::/0"}, "metrics"), ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "proxies"),
])
def test_what_lets_the_whole_world_in_fails(machine, changes, check):
    looked = machine.run("doctor", "--json", **changes)
    assert looked.status == 1
    assert levels(looked, check) == ["fail"]


@pytest.mark.parametrize(("left", "level"), [(50e6, ["fail"]), (500e6, ["warn"]), (50e9, [])])
def test_a_disk_that_is_nearly_full_is_found(machine, monkeypatch, left, level):
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=left))
    assert levels(machine.run("doctor", "--json"), "disk") == level


def test_clients_that_nobody_needs_any_more_are_told_of_with_the_command_that_removes_them(machine):
    def register(count, age):
        for number in range(count):
            machine.services.clients.add(Client(
                f"c{number}-{age}", f"AutoGen-{number}-OAuthProvider", ("https://dev1.service-now.com/oauth_redirect.do",), ("authorization_code",),
                ("code",), "client_secret_basic", created_at=time.time() - age, origin="registration"))

    register(21, 86400)
    assert of(machine.run("doctor", "--json"), "stale clients") == []
    register(21, 40 * 86400)
    [found] = of(machine.run("doctor", "--json"), "stale clients")
    assert found["level"] == "warn"
    assert found["said"].startswith("21 clients")
    assert "flask clients sweep" in found["next_step"]


class NoVectors:
    def embed(self, _texts, _deadline):
        raise ModelMissing("Ask the operator to pull one.")


class Rebuilt(WordEmbedder):
    def __init__(self):
        super().__init__()
        self.model = EmbeddingModel("words", 64, "another digest")


@pytest.mark.parametrize(("indexed_with", "now", "expected", "words"), [
    (WordEmbedder(), WordEmbedder(), "ok", "vectors of words"),
    (WordEmbedder(), WordEmbedder("others"), "fail", "EMBEDDING_MODEL=words"),
    (WordEmbedder(), Rebuilt(), "fail", "flask knowledge rebuild"),
    (WordEmbedder(), NoVectors(), "warn", "does not answer"),
    (None, WordEmbedder(), "warn", "flask knowledge rebuild"),
    (None, NoVectors(), "ok", "without vectors"),
], ids=["same", "other", "other-build", "away", "new", "none"])
def test_vectors_of_another_model_than_the_one_that_answers_are_found(machine, indexed_with, now, expected, words):
    export = Path("kb_knowledge.json")
    export.write_text(json.dumps({"result": [ARTICLE]}))
    how = () if indexed_with else ("--without-vectors",)
    assert machine.run("knowledge", "import", str(export), *how, app=machine.app(embedder=indexed_with)).status == 0
    [found] = of(machine.run("doctor", "--json", app=machine.app(embedder=now)), "knowledge")
    assert found["level"] == expected
    assert words in found["said"] + found["next_step"]
