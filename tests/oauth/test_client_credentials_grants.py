"""What a client gets for itself is a grant like any other: listed while its token works, and ended with it."""

from __future__ import annotations

import pytest

from tests.gateway import both_back_ends


@pytest.fixture
def robot(gateway):
    return gateway.add_client("a secret of some length", grant_types=("client_credentials",))


@pytest.fixture
def ask(gateway, robot):
    return lambda: gateway.token({"grant_type": "client_credentials"} | robot.proof).json


@both_back_ends
def test_it_is_listed_for_as_long_as_its_token_is_accepted(gateway, robot, ask, clock):
    token = ask()["access_token"]
    [grant] = gateway.services.grants_in_force.all()
    assert (grant.client_id, grant.subject) == (robot.client_id, f"client:{robot.client_id}")
    assert grant.grant_id == gateway.services.access_tokens.read(token)["grant_id"]
    clock.advance(3600 + 29)
    assert gateway.opens(token)
    assert gateway.services.grants_in_force.all() == [grant]
    clock.advance(1)
    assert gateway.services.grants_in_force.all() == []


@both_back_ends
def test_ending_it_ends_its_token_on_every_worker_and_the_next_token_works(gateway, ask, open_gateway):
    first, other_worker = ask(), open_gateway()
    assert first["expires_in"] == 3600
    assert other_worker.opens(first["access_token"])
    gateway.services.grants_in_force.end(gateway.services.grants_in_force.all())
    assert not gateway.opens(first["access_token"])
    assert not other_worker.opens(first["access_token"])
    assert gateway.opens(ask()["access_token"])
