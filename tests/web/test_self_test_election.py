"""One worker of all asks the model whether it works; after a start, or with other settings, it is asked again."""

from __future__ import annotations

from mcp_server.building import model
from tests.gateway import both_back_ends


def elections(gateway):
    return model._elected(gateway.services.single_use, gateway.clock, gateway.settings)


@both_back_ends
def test_one_worker_is_elected_until_the_settings_or_the_main_process_are_others(open_gateway, monkeypatch):
    gateway = open_gateway()
    assert [elections(gateway)(), elections(gateway)(), elections(open_gateway())()] == [True, False, False]
    assert elections(open_gateway(LLM_TIMEOUT="30"))()
    monkeypatch.setattr(model, "_main_process", lambda: "another start")
    assert elections(gateway)()
