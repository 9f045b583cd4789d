"""The back ends of the contract tests. A key costs little here, but for the test that says what it costs."""

import pytest

from mcp_server.backup import container
from tests.contract.conftest import database_url, migrated_template, now, registry, state

__all__ = ["database_url", "migrated_template", "now", "registry", "state"]


@pytest.fixture(autouse=True)
def cheap_keys(monkeypatch):
    monkeypatch.setattr(container, "COST", 2)
