"""Is it alive, can it serve, and what does it miss."""

from __future__ import annotations

import pytest
import redis

from mcp_server import __version__
from mcp_server.web import health
from tests.servers import free_port


@pytest.fixture
def without_registry(open_gateway, tmp_path):
    (tmp_path / "file").touch()
    return open_gateway(DATABASE_URL=f"sqlite:///{tmp_path}/file/registry.db")


@pytest.fixture
def without_redis(open_gateway):
    return open_gateway(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")


@pytest.mark.requirement("MET-013")
def test_a_healthy_gateway_says_so(gateway):
    response = gateway.get("/health")
    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert set(response.json) == {"status", "timestamp", "version", "services"}
    assert response.json["status"] == "healthy"
    assert response.json["version"] == __version__
    assert response.json["services"] == {"state": "up", "registry": "up", "model": "up"}


def test_without_a_model_it_can_still_serve(gateway):
    gateway.model.available = False
    response = gateway.get("/health")
    assert (response.status_code, response.json["status"], response.json["services"]["model"]) == (200, "degraded", "down")
    assert gateway.get("/health/ready").status_code == 200


def test_readiness_tells_what_the_self_test_found_and_takes_no_instance_out_for_it(gateway):
    assert gateway.get("/health/ready").json["services"]["model"] == "checking"
    gateway.services.self_test.follow()  # NoModel answers {} to everything
    told = gateway.get("/health/ready")
    assert (told.status_code, told.json["status"], told.json["services"]["model"]) == (200, "ready", "down")
    assert any("does not keep to the form" in problem and "Set DEFAULT_LLM_MODEL" in problem for problem in told.json["problems"])
    gateway.model.available = False
    gateway.services.self_test.follow()
    told = gateway.get("/health/ready").json
    assert told["services"]["model"] == "down"
    assert len(told["problems"]) == 1
    assert "127.0.0.1" not in str(told["problems"])


@pytest.mark.requirement("MET-013")
@pytest.mark.parametrize(("fault", "service"), [("without_registry", "registry"), ("without_redis", "state")])
def test_without_one_store_it_serves_calls_is_not_ready_and_names_it_without_its_address(request, fault, service, tmp_path):
    gateway = request.getfixturevalue(fault)
    for path, code, status in (("/health", 200, "degraded"), ("/health/ready", 503, "not ready")):
        response = gateway.get(path)
        assert (response.status_code, response.json["status"]) == (code, status)
        assert ("Retry-After" in response.headers) == (code == 503)
        assert response.json["services"][service] == "down"
        assert str(tmp_path) not in response.text
        assert "127.0.0.1" not in response.text
    assert gateway.get("/health/live").status_code == 200


def test_without_any_store_it_cannot_serve(open_gateway, tmp_path):
    (tmp_path / "file").touch()
    gateway = open_gateway(DATABASE_URL=f"sqlite:///{tmp_path}/file/registry.db", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    response = gateway.get("/health")
    assert (response.status_code, response.json["status"]) == (503, "unhealthy")
    assert response.headers["Retry-After"]


class Stopwatch:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def stopwatch(monkeypatch):
    made = Stopwatch()
    monkeypatch.setattr(health, "elapsed", made)
    return made


@pytest.mark.requirement("MET-013")
def test_a_store_that_answers_and_takes_nothing_is_read_only_until_it_takes_writes_again(open_gateway, redis_url, stopwatch):
    gateway = open_gateway(REDIS_URL=f"{redis_url.rpartition('/')[0]}/9")
    with redis.Redis.from_url(redis_url) as connection:
        connection.config_set("maxmemory", 1)
        try:
            ready, serves = gateway.get("/health/ready"), gateway.get("/health")
        finally:
            connection.config_set("maxmemory", 0)
    assert (ready.status_code, ready.json["status"], ready.headers["Retry-After"]) == (503, "not ready", "5")
    assert (serves.status_code, serves.json["status"]) == (200, "degraded")
    assert ready.json["services"]["state"] == serves.json["services"]["state"] == "read-only"
    stopwatch.seconds += health.PROBE_SECONDS
    assert gateway.get("/health/ready").status_code == 200


def test_however_often_it_is_asked_a_store_is_written_to_once_a_second(gateway, stopwatch, monkeypatch):
    written, write = [], gateway.services.state.write
    monkeypatch.setattr(gateway.services.state, "write", lambda now: written.append(write(now)))
    for _ in range(5):
        assert gateway.get("/health/ready").status_code == 200
    assert len(written) == 1
    stopwatch.seconds += 1
    gateway.get("/health")
    assert len(written) == 2


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_health_is_only_asked_and_kept_by_nobody(gateway, path):
    assert gateway.get(path).headers["Cache-Control"] == "no-store"
    assert gateway.send("HEAD", path).status_code == 200
    for method in ("POST", "PUT", "DELETE"):
        assert gateway.send(method, path).status_code == 405
