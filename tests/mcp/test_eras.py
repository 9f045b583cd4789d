from __future__ import annotations

import pytest

from mcp_server.errors import (
    HeaderMismatch,
    InternalError,
    InvalidMessage,
    InvalidParams,
    MethodNotFound,
    MissingCapability,
    ParseError,
    ResourceNotFound,
    UnsupportedVersion,
)
from mcp_server.mcp import eras
from mcp_server.mcp.jsonrpc import Request

PING = Request(1, "ping", {})


@pytest.mark.requirement("MCP-028")
@pytest.mark.parametrize(
    ("requested", "answered"),
    [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("2099-01-01", "2025-06-18"),
        ("1.0", "2025-06-18"),
        ("", "2025-06-18"),
        ("2025-06-18 ", "2025-06-18"),
        ("x" * 5_000, "2025-06-18"),
    ],
)
def test_initialize_agrees_on_a_version_that_is_served(requested, answered):
    assert eras.agreed_version(requested) == answered


@pytest.mark.parametrize(
    ("header", "version"),
    [
        (None, "2025-03-26"),
        ("", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        (" 2025-11-25 ", "2025-11-25"),
        ("2026-07-28", "2026-07-28"),
    ],
)
def test_the_header_names_the_revision(header, version):
    assert eras.era_of(header, PING).version == version


@pytest.mark.parametrize("header", ["2099-01-01", "latest", "2025-06-18,2025-11-25", "x" * 5_000, "\r\n1"])
def test_a_header_that_no_handshake_revision_owns_is_the_stateless_eras_to_answer(header):
    assert eras.era_of(header, PING).stateless


@pytest.mark.parametrize("header", [None, "2025-06-18", "2026-07-28"])
@pytest.mark.parametrize("version", ["2026-07-28", "1999-01-01", None])
def test_a_request_that_names_its_version_itself_is_stateless(header, version):
    assert eras.era_of(header, Request(1, "initialize", {"_meta": {"io.modelcontextprotocol/protocolVersion": version}})).stateless


@pytest.mark.parametrize("params", [{}, {"_meta": {}}, {"_meta": {"progressToken": 1}}, {"_meta": []}, {"protocolVersion": "2026-07-28"}])
def test_other_members_of_meta_say_nothing_of_the_era(params):
    assert not eras.era_of("2025-06-18", Request(1, "tools/call", params)).stateless


@pytest.mark.parametrize(
    ("version", "batches"),
    [(None, True), ("2024-11-05", True), ("2025-03-26", True), ("2025-06-18", False), ("2025-11-25", False), ("2026-07-28", False)],
)
def test_batches_ended_with_2025_06_18(version, batches):
    assert eras.era_of(version, PING).batches is batches


@pytest.mark.parametrize(
    ("error", "status"),
    [(ParseError(), 400), (InvalidMessage(), 400), (MethodNotFound(), 200), (InvalidParams(), 200), (InternalError(), 200)],
)
def test_in_the_handshake_era_only_what_is_no_request_gets_an_http_error(error, status):
    assert eras.era_of("2025-06-18", PING).status_of(error) == status


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ParseError(), 400), (InvalidMessage(), 400), (MethodNotFound(), 404), (InvalidParams(), 400), (HeaderMismatch(), 400),
        (MissingCapability(), 400), (UnsupportedVersion(), 400), (InternalError(), 200),
    ],
)
def test_in_the_stateless_era_an_error_has_a_status(error, status):
    assert eras.STATELESS.status_of(error) == status


@pytest.mark.parametrize(("version", "code"), [("2024-11-05", -32002), ("2025-11-25", -32002), ("2026-07-28", -32602)])
def test_a_missing_resource_has_the_code_of_its_era(version, code):
    assert eras.era_of(version, PING).code_of(ResourceNotFound()) == code
