"""Whatever is sent to an endpoint of the authorization server, its promises hold: thousands of requests, the same ones in every run."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz import changes
from tests.fuzz.endpoints import ENDPOINTS, OTHERS
from tests.fuzz.promises import check

MOST_CHANGES = 4


def fuzz(world, endpoint, path, *, examples, phases=(Phase.generate, Phase.shrink)):
    """Send `examples` requests to `path`, each with up to four changes. Raises the first broken promise, of the smallest request that breaks it."""

    @seed(f"{endpoint.name} {path}")
    @settings(max_examples=examples, deadline=None, database=None, phases=phases, report_multiple_bugs=False, suppress_health_check=list(HealthCheck))
    @given(good=st.sampled_from(endpoint.good), done=st.lists(changes.changes(endpoint.names, endpoint.members), max_size=MOST_CHANGES))
    def one(good, done):
        draft = good(world, path)
        for change in done:
            changes.apply(change, draft, world)
        check(world, endpoint, *world.send(draft))

    one()


@pytest.mark.requirement("ERR-001")
@pytest.mark.requirement("ERR-002")
@pytest.mark.requirement("ERR-004")
@pytest.mark.parametrize(("endpoint", "path"), [pytest.param(row, path, id=f"{row.name} {path}") for row in ENDPOINTS for path in row.rules])
def test_whatever_is_sent_the_promises_hold(world, endpoint, path):
    fuzz(world, endpoint, path, examples=endpoint.examples)
    assert world.sent >= endpoint.examples * 0.9
    assert world.answered_well > world.sent / 20  # it gets past the first check


def test_every_endpoint_is_fuzzed(world):
    served = {rule.rule for rule in world.gateway.app.url_map.iter_rules()}
    assert served == {rule for row in ENDPOINTS for rule in row.rules} | set(OTHERS)
    assert sum(row.examples * len(row.rules) for row in ENDPOINTS) > 10_000
