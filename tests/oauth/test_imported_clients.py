"""A registered_clients.json of the guide's templates, taken over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcp_server.oauth.imported_clients import UnreadableClientFile, import_clients
from tests.gateway import REDIRECT_URI, ClientApplication

pytestmark = pytest.mark.requirement("F62")

SECRET = "nT3x-imported-secret-0123456789abcdefABCDEF+/="
JAVASCRIPT = {"mcp_client_a1": {
    "clientId": "mcp_client_a1", "clientSecret": SECRET, "clientName": "From JavaScript", "redirectUris": [REDIRECT_URI],
    "grantTypes": ["authorization_code", "refresh_token"], "createdAt": "2025-11-03T10:20:30.123Z", "tokenEndpointAuthMethod": "client_secret_post"}}
TYPESCRIPT = {"mcp_client_a1": {
    "client_id": "mcp_client_a1", "client_secret": SECRET, "client_name": "From TypeScript", "redirect_uris": [REDIRECT_URI],
    "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "created_at": 1762165230123}}
PYTHON = {"mcp_client_a1": {
    "client_id": "mcp_client_a1", "client_secret": SECRET, "client_name": "From Python", "redirect_uris": [REDIRECT_URI],
    "created_at": 1762165230, "token_endpoint_auth_method": "client_secret_basic", "use_pkce": True, "scope": "anything"}}


@pytest.fixture
def take_over(gateway, tmp_path):
    """take_over(document) → how many clients were added."""
    path = tmp_path / "registered_clients.json"

    def take_over(document=None):
        if document is not None:
            path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        services = gateway.services
        return import_clients(path, services.registry.imports, services.digests, services.clock)

    return take_over


@pytest.mark.parametrize("document", [JAVASCRIPT, TYPESCRIPT, PYTHON, list(PYTHON.values())], ids=["javascript", "typescript", "python", "list"])
def test_a_client_of_each_template_goes_the_whole_way_as_before(gateway, take_over, document):
    assert take_over(document) == 1
    client = ClientApplication("mcp_client_a1", SECRET)
    tokens = gateway.tokens(client)
    assert gateway.opens(tokens["access_token"])
    assert gateway.token({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, headers=client.basic).status_code == 200
    stored = gateway.services.clients.find("mcp_client_a1")
    assert stored.created_at == pytest.approx(1762165230, abs=1)
    assert stored.origin == "import"
    assert stored.pkce_required


def test_a_public_client_comes_without_a_secret(gateway, take_over):
    assert take_over({"p": {"client_id": "p", "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none"}}) == 1
    assert gateway.opens(gateway.tokens(ClientApplication("p"))["access_token"])


def test_secrets_become_digests_and_the_file_is_left_as_it_was(gateway, take_over, data_folder, tmp_path):
    take_over(PYTHON)
    gateway.services.close()
    for path in data_folder.iterdir():
        assert SECRET.encode() not in path.read_bytes()
    assert json.loads((tmp_path / "registered_clients.json").read_text()) == PYTHON


def test_the_same_file_is_taken_over_once_so_that_a_removed_client_stays_removed(gateway, take_over):
    assert take_over(PYTHON) == 1
    gateway.services.clients.remove("mcp_client_a1")
    assert take_over() == 0
    assert gateway.services.clients.find("mcp_client_a1") is None


def test_a_client_that_is_there_already_is_left_alone(gateway, take_over):
    take_over(PYTHON)
    before = gateway.services.clients.find("mcp_client_a1")
    assert take_over(PYTHON | {"b": {"client_id": "b", "client_secret": "other-secret", "redirect_uris": []}}) == 1
    assert gateway.services.clients.find("mcp_client_a1") == before


def test_no_file_means_no_clients(take_over):
    assert take_over() == 0


@pytest.mark.parametrize("document", [
    b"", b"{", b"null", b"5", b'"x"', b"[1]", b'{"a": 1}', b'{"a": null}', b'{"a": {}}', b'{"a": {"client_id": ""}}', b'{"a": {"client_id": 5}}',
    b'{"a": {"client_id": "a", "client_secret": 5}}', b'{"a": {"client_id": "a", "redirect_uris": [5]}}',
    b'{"a": {"client_id": "a", "redirect_uris": 5}}',
    b'{"a": {"client_id": "a", "created_at": "yesterday"}}', b'{"a": {"client_id": "a\\u0000"}}', b'{"a": {"client_id": "a", "grant_types": 5}}',
    b'{"a": {"client_id": "a", "grant_types": [5]}}', b'{"a": {"client_id": "a", "redirect_uris": "https://x.test/"}}', b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_not_of_the_templates_adds_nobody_and_says_so(gateway, take_over, document):
    mixed = document.replace(b'{"a"', b'{"good": {"client_id": "good", "redirect_uris": []}, "a"')
    with pytest.raises(UnreadableClientFile, match="CLIENT_STORAGE_PATH"):
        take_over(mixed)
    assert gateway.services.clients.all() == []


def test_a_repaired_file_is_taken_over(take_over):
    with pytest.raises(UnreadableClientFile):
        take_over(b"{")
    assert take_over(PYTHON) == 1


def test_a_file_that_cannot_be_read_is_an_error(take_over, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")  # in its place: root, as whom CI runs, reads everything

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(PermissionError):
        take_over(PYTHON)
