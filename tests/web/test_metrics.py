"""Who may read the metrics, and what they count."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mcp_server import __version__
from tests.gateway import API_KEY

TOKEN = "Zp4v9QeT2mXw7LkN"


def figures(gateway, name, **labels):
    """The values of the samples with these labels, among others."""
    answer = gateway.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.content_type.startswith("text/plain; version=")
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return [sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()]


@pytest.mark.parametrize(("settings", "sent", "status"), [
    ({}, {}, 200),
    ({}, {"CF-Connecting-IP": "203.0.113.9"}, 403),
    ({}, {"X-Forwarded-For": "203.0.113.9"}, 403),
    ({}, {"Authorization": f"Bearer {TOKEN}", "CF-Connecting-IP": "203.0.113.9"}, 403),
    ({"METRICS_ALLOW": "203.0.113.0/24"}, {"CF-Connecting-IP": "203.0.113.9"}, 200),
    ({"METRICS_ALLOW": "203.0.113.0/24"}, {}, 403),
    ({"METRICS_ALLOW": "2001:db8::/32"}, {"CF-Connecting-IP": "2001:db8::9"}, 200),
    ({"METRICS_TOKEN": TOKEN}, {"Authorization": f"Bearer {TOKEN}", "CF-Connecting-IP": "203.0.113.9"}, 200),
    ({"METRICS_TOKEN": TOKEN}, {"Authorization": f"bearer {TOKEN}", "CF-Connecting-IP": "203.0.113.9"}, 403),
    ({"METRICS_TOKEN": TOKEN}, {"Authorization": f"Bearer {TOKEN}x", "CF-Connecting-IP": "203.0.113.9"}, 403),
    ({"METRICS_TOKEN": TOKEN}, {"Authorization": "Bearer \u00e9", "CF-Connecting-IP": "203.0.113.9"}, 403),
    ({"METRICS_TOKEN": TOKEN}, {"X-API-Key": API_KEY, "CF-Connecting-IP": "203.0.113.9"}, 403),
])
def test_the_metrics_are_for_allowed_networks_and_for_who_knows_the_token(open_gateway, settings, sent, status):
    answer = open_gateway(**settings).get("/metrics", headers=sent)
    assert answer.status_code == status
    if status == 403:
        assert "METRICS_ALLOW" in answer.json["error"]


def test_requests_are_counted_by_route_method_and_status(gateway):
    for path in ("/health/live", "/health/live", "/nowhere", "/also-nowhere", "/static/style.css"):
        gateway.get(path)
    gateway.send("BREW", "/health/live")
    assert figures(gateway, "gateway_http_requests_total", route="/health/live", method="GET", status="200") == [2]
    assert figures(gateway, "gateway_http_requests_total", route="none", status="404") == [2]
    assert figures(gateway, "gateway_http_requests_total", method="other") == [1]


def test_calls_are_counted_by_method_tool_and_outcome_with_their_durations(gateway):
    headers = {"X-API-Key": API_KEY}
    for arguments in ({"message": "x"}, {"message": "y"}, {}):
        gateway.mcp({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": arguments}}, headers=headers)
    for name in ("no_such_tool", "another"):
        gateway.mcp({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name}}, headers=headers)
    for uri in ("taxonomy://incident", "taxonomy://incident.md"):
        gateway.mcp({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}}, headers=headers)
    count = "gateway_mcp_call_duration_seconds_count"
    assert figures(gateway, count, method="tools/call", tool="echo", outcome="ok") == [2]
    assert figures(gateway, count, method="tools/call", tool="echo", outcome="tool_error") == [1]
    assert figures(gateway, count, method="tools/call", tool="", outcome="protocol_error") == [2]
    assert figures(gateway, count, method="resources/read", tool="", outcome="ok") == [2]
    assert figures(gateway, "gateway_mcp_call_duration_seconds_bucket", tool="echo", outcome="ok", le="+Inf") == [2]


def test_tokens_that_were_issued_and_refused_are_counted(gateway, flow):
    flow()
    gateway.mcp(token="no token")
    assert figures(gateway, "gateway_audit_events_total", action="token_issued", result="success") == [1]
    assert figures(gateway, "gateway_audit_events_total", action="authentication_failed", result="denied") == [1]


def test_what_a_limit_refused_is_counted_by_the_part_of_the_server(open_gateway):
    gateway = open_gateway(RATE_LIMIT_MCP_MAX="1")
    statuses = [gateway.mcp(headers={"X-API-Key": API_KEY}).status_code for _ in range(3)]
    assert statuses == [200, 429, 429]
    assert figures(gateway, "gateway_rate_limited_total", part="mcp") == [2]


def test_the_version_is_told(gateway):
    assert figures(gateway, "gateway_info", version=__version__) == [1]
