"""No confirmed revocation is ever forgotten, and none is confirmed that is not kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import redis

from tests.gateway import both_back_ends
from tests.servers import free_port


@pytest.fixture
def nothing_listens():
    return f"redis://127.0.0.1:{free_port()}/0"


@pytest.fixture
def lose_the_ledger(data_folder):
    """Make every question to the ledger of revocations fail, and nothing else."""
    def lose(*, back=False):
        names = ("revocations", "mislaid")
        with closing(sqlite3.connect(data_folder / "registry.db")) as connection:
            connection.execute("ALTER TABLE {} RENAME TO {}".format(*(reversed(names) if back else names)))
            connection.commit()

    return lose


def is_outage(response):
    assert response.status_code == 503, response.text
    assert int(response.headers["Retry-After"]) > 0
    assert "WWW-Authenticate" not in response.headers
    return True


@pytest.mark.requirement("F05")
@pytest.mark.parametrize("back_end", ["redis"], indirect=True)
def test_a_redis_that_was_wiped_after_the_revocation_revives_nothing(gateway, client, flow, open_gateway, back_end):
    other_worker = open_gateway()
    revoked, kept = flow()["access_token"], flow()["access_token"]
    assert gateway.opens(revoked)
    assert other_worker.opens(revoked)
    assert gateway.revoke({"token": revoked} | client.proof).status_code == 200
    with redis.Redis.from_url(back_end["REDIS_URL"]) as connection:
        connection.flushall()
    for worker in (other_worker, gateway, open_gateway()):
        assert not worker.opens(revoked)
        assert worker.opens(kept)
    with redis.Redis.from_url(back_end["REDIS_URL"]) as connection:
        assert list(connection.scan_iter("mcp:revoked:*"))  # filled again


@pytest.mark.parametrize("back_end", ["redis"], indirect=True)
@pytest.mark.requirement("F01")
def test_while_redis_is_down_the_ledger_answers(gateway, client, flow, open_gateway, nothing_listens):
    revoked, kept = flow()["access_token"], flow()["access_token"]
    assert gateway.revoke({"token": revoked} | client.proof).status_code == 200
    cut_off = open_gateway(REDIS_URL=nothing_listens)
    for _ in range(5):  # more than it takes to open the breaker
        assert not cut_off.opens(revoked)
        assert cut_off.opens(kept)
    assert cut_off.revoke({"token": kept} | client.proof).status_code == 200
    assert not cut_off.opens(kept)
    assert gateway.services.revocations.follow() is None
    assert not gateway.opens(kept)


@pytest.mark.parametrize("back_end", ["redis"], indirect=True)
@pytest.mark.parametrize(("mode", "followed_before", "served"),
    [("closed", 0, False), ("bounded", 30, True), ("bounded", 90, False), ("bounded", None, False),
                                                                  ("open", None, True)])
def test_when_nothing_can_be_asked_the_mode_decides(*, gateway, client, flow, open_gateway, lose_the_ledger, clock, mode, followed_before, served,
    nothing_listens):
    revoked, kept = flow()["access_token"], flow()["access_token"]
    assert gateway.revoke({"token": revoked} | client.proof).status_code == 200
    cut_off = open_gateway(REDIS_URL=nothing_listens, REVOCATION_FAIL_MODE=mode)
    if followed_before is not None:
        cut_off.services.revocations.follow()
        clock.advance(followed_before)
    lose_the_ledger()
    response = cut_off.mcp(token=kept)
    if served:
        assert response.status_code == 200
    else:
        assert is_outage(response)
        assert response.json["jsonrpc"] == "2.0"
        assert response.json["error"]["code"] == -32603
    if followed_before is not None:
        assert not cut_off.opens(revoked)  # memory knows
    cut_off.services.revocations.follow()  # never raises
    lose_the_ledger(back=True)
    assert cut_off.opens(kept)
    assert not cut_off.opens(revoked)


@both_back_ends
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_a_revocation_that_cannot_be_kept_is_not_confirmed(gateway, client, flow, lose_the_ledger, kind):
    tokens = flow()
    lose_the_ledger()
    response = gateway.revoke({"token": tokens[kind]} | client.proof)
    assert is_outage(response)
    assert response.json["error"] == "temporarily_unavailable"
    lose_the_ledger(back=True)
    assert gateway.opens(tokens["access_token"])
    assert gateway.revoke({"token": tokens[kind]} | client.proof).status_code == 200
    assert not gateway.opens(tokens["access_token"])


@both_back_ends
def test_without_the_ledger_nothing_is_issued(gateway, client, flow, lose_the_ledger):
    tokens, code = flow(), gateway.code(client)
    lose_the_ledger()
    assert is_outage(gateway.token(client.redeems(code)))
    assert is_outage(gateway.refresh(client, tokens["refresh_token"]))
    lose_the_ledger(back=True)
    assert gateway.token(client.redeems(code)).status_code == 200
    assert gateway.refresh(client, tokens["refresh_token"]).status_code == 200


@pytest.mark.requirement("F14")
def test_without_redis_or_registry_each_endpoint_answers_503(*, gateway, client, flow, open_gateway, nothing_listens, registration, tmp_path):
    code, tokens = gateway.code(client), flow()
    cut_off = open_gateway(REDIS_URL=nothing_listens)
    for response in (cut_off.token(client.redeems(code)), cut_off.refresh(client, tokens["refresh_token"])):
        assert is_outage(response)
        assert response.json["error"] == "temporarily_unavailable"
    (tmp_path / "file").touch()
    cut_off = open_gateway(DATABASE_URL=f"sqlite:///{tmp_path}/file/registry.db", DCR_MODE="open")
    for response in (cut_off.post("/register", json=registration()), cut_off.token(client.redeems(code)), cut_off.authorize(client.asks()),
                     cut_off.revoke({"token": "x"} | client.proof)):
        assert is_outage(response)
        assert response.json["error"] == "temporarily_unavailable"
    page = cut_off.authorize(client.asks(), headers={"Accept": "text/html"})
    assert is_outage(page)
    assert str(tmp_path) not in page.text


@pytest.mark.requirement("F13")
@pytest.mark.parametrize("back_end", ["redis"], indirect=True)
@pytest.mark.parametrize("garbage", ["not json", "", "[]"])
def test_garbage_in_redis_is_an_outage_and_not_a_missing_token(gateway, client, flow, back_end, garbage):
    tokens = flow()
    with redis.Redis.from_url(back_end["REDIS_URL"]) as connection:
        for key in connection.scan_iter("mcp:refresh:*"):
            connection.hset(key, "record", garbage)
    assert is_outage(gateway.refresh(client, tokens["refresh_token"]))
