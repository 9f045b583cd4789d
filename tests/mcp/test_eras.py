from __future__ import annotations

import pytest

from mcp_server.errors import InternalError, InvalidMessage, InvalidParams, MethodNotFound, ParseError
from mcp_server.mcp import eras


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
    ],
)
def test_the_header_names_the_revision(header, version):
    assert eras.revision(header).version == version


@pytest.mark.requirement("MCP-020")
@pytest.mark.parametrize("header", ["2026-07-28", "2099-01-01", "latest", "2025-06-18,2025-11-25", "x" * 5_000, "\r\n1"])
def test_a_header_that_names_no_served_revision_is_refused_with_the_served_ones(header):
    with pytest.raises(InvalidMessage) as raised:
        eras.revision(header)
    assert raised.value.data["supported"] == ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
    assert len(raised.value.message) < 200
    assert len(raised.value.data["requested"]) <= 32


@pytest.mark.parametrize(
    ("version", "batches"),
    [(None, True), ("2024-11-05", True), ("2025-03-26", True), ("2025-06-18", False), ("2025-11-25", False)],
)
def test_batches_ended_with_2025_06_18(version, batches):
    assert eras.revision(version).batches is batches


@pytest.mark.parametrize(
    ("error", "status"),
    [(ParseError(), 400), (InvalidMessage(), 400), (MethodNotFound(), 200), (InvalidParams(), 200), (InternalError(), 200)],
)
def test_only_what_is_no_request_gets_an_http_error(error, status):
    assert eras.status_of(error) == status
