"""Secrets that a manager keeps, on a real server: asked for at the start and at a reload, and by no worker."""

from __future__ import annotations

import os
import signal

import pytest

from tests.running import SECRETS, until
from tests.secret_managers import TOKEN, Vault

REFERENCE = "vault://secret/gateway#jwt"


@pytest.fixture
def vault(gateway):
    built = Vault()
    built.secrets["gateway"] = [{"jwt": SECRETS["JWT_SECRET"], "other": "x"}]
    gateway.configured(JWT_SECRET=REFERENCE, VAULT_ADDR=f"http://127.0.0.1:{built.port}", VAULT_TOKEN=TOKEN)
    yield built
    built.stop()


def told(gateway):
    return [(event["name"], event["reference"], event["version"], event["result"]) for event in gateway.events()
            if event["event"] == "a secret was asked for"]


def test_workers_have_what_the_main_process_fetched_and_ask_nobody(gateway, vault):
    gateway.started()
    assert told(gateway) == [("JWT_SECRET", REFERENCE, "1", "fetched")]
    asked = len(vault.asked)
    vault.stop()
    [worker] = gateway.workers()
    os.kill(worker, signal.SIGKILL)
    until(lambda: len(gateway.workers()) == 2 and gateway.is_up(), "another worker answers")
    assert len(vault.asked) == asked == 2  # the preparation is a process of its own
    assert SECRETS["JWT_SECRET"] not in gateway.output()


def test_a_reload_asks_again_and_is_refused_while_the_manager_is_away(gateway, vault):
    gateway.started()
    [old] = gateway.workers()
    vault.secrets["gateway"].append({"jwt": "Rw3yTb6nMk9pLq2vXs5cZd8fGh1jAe4u"})
    gateway.signal(signal.SIGHUP)
    until(lambda: len(gateway.workers()) == 2, "another worker is started")
    assert told(gateway)[-1] == ("JWT_SECRET", REFERENCE, "2", "fetched")
    vault.secrets.clear()
    gateway.signal(signal.SIGHUP)
    until(lambda: "Reload refused" in gateway.output(), "the reload is refused")
    assert "could not be fetched" in gateway.output()
    assert gateway.is_up()
    assert old != gateway.workers()[-1]
