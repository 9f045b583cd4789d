"""Is it alive, can it serve, and what does it miss."""

from __future__ import annotations

import pytest

from mcp_server import __version__
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


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_health_is_only_asked_and_kept_by_nobody(gateway, path):
    assert gateway.get(path).headers["Cache-Control"] == "no-store"
    assert gateway.send("HEAD", path).status_code == 200
    for method in ("POST", "PUT", "DELETE"):
        assert gateway.send(method, path).status_code == 405
