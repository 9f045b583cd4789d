"""The audit log of a real server with several workers."""

from __future__ import annotations

import http.client
import os
import signal

from mcp_server.audit_log.chain import Keys
from mcp_server.audit_log.reading import in_order, lines, with_rotated
from mcp_server.audit_log.state import snapshot
from mcp_server.audit_log.verifying import verify
from tests.running import SECRETS, until

REQUESTS = 60


def test_all_workers_write_one_chain_also_over_a_killed_worker_and_logrotate(gateway, redis_url):
    log = gateway.folder / "audit.log"
    gateway.configured(AUDIT_LOG_PATH="audit.log", WEB_CONCURRENCY=3, REDIS_URL=redis_url)
    gateway.started()
    until(lambda: len(gateway.workers()) == 3, "three workers run")
    _be_refused(gateway)
    os.kill(gateway.workers()[0], signal.SIGKILL)
    log.rename(gateway.folder / "audit.log.1")
    until(lambda: len(gateway.workers()) == 4, "another worker runs")
    _be_refused(gateway)
    gateway.signal(signal.SIGTERM)
    gateway.ended()
    now = snapshot(log)
    report = verify(lines(in_order(with_rotated(log), now), now), Keys(SECRETS["JWT_SECRET"]), expected=[now.state.hash])
    assert report.broken is None
    assert report.records == 2 * REQUESTS + 1
    assert [notice["action"] for notice in report.notices] == ["chain_continued"]


def _be_refused(gateway):
    """Each request on a connection of its own, so that every worker gets some."""
    refused = 0
    while refused < REQUESTS:
        try:
            status, _ = gateway.request("POST", "/mcp", "{}", {"Content-Type": "application/json", "X-API-Key": "wrong"})
        except (OSError, http.client.HTTPException):  # it was sent to the worker that was killed
            continue
        assert status == 401
        refused += 1
