"""The discovery documents say what is served, and nothing that a request could put into them."""

from __future__ import annotations

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from mcp_server.oauth.models import DEVICE_CODE
from tests.gateway import HOST, INSTANCE, ISSUER, registration_body

SERVER = ["/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/mcp", "/.well-known/openid-configuration",
          "/.well-known/openid-configuration/mcp"]
RESOURCE = ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"]


@pytest.fixture
def metadata(gateway):
    return gateway.get(SERVER[0]).json


@pytest.mark.requirement("MET-001")
@pytest.mark.requirement("MET-004")
def test_the_server_metadata_is_valid_and_names_s256_and_codes_only(metadata):
    AuthorizationServerMetadata(metadata).validate()
    assert metadata["issuer"] == ISSUER
    assert metadata["response_types_supported"] == ["code"]
    assert metadata["response_modes_supported"] == ["query"]
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["grant_types_supported"] == ["authorization_code", "refresh_token", "client_credentials", DEVICE_CODE]
    assert metadata["authorization_response_iss_parameter_supported"] is True
    for endpoint in ("token", "revocation", "introspection"):
        assert "private_key_jwt" in metadata[f"{endpoint}_endpoint_auth_methods_supported"]
        assert metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] == ["ES256", "ES384", "RS256", "PS256", "Ed25519"]


@pytest.mark.requirement("MET-001")
@pytest.mark.requirement("MET-014")
@pytest.mark.parametrize("path", SERVER)
def test_the_server_metadata_is_the_same_under_every_path(gateway, metadata, path):
    response = gateway.get(path)
    assert (response.status_code, response.content_type, response.json) == (200, "application/json", metadata)


@pytest.mark.requirement("MET-002")
@pytest.mark.requirement("MET-005")
@pytest.mark.requirement("MET-014")
@pytest.mark.parametrize("path", RESOURCE)
def test_the_resource_metadata_names_us_and_no_offline_access(gateway, path):
    response = gateway.get(path)
    assert response.content_type == "application/json"
    assert response.json["resource"] == f"{ISSUER}/mcp"
    assert response.json["authorization_servers"] == [ISSUER]
    assert response.json["scopes_supported"] == ["tools:read", "tools:execute"]
    assert response.json["bearer_methods_supported"] == ["header"]


@pytest.mark.requirement("MET-008")
def test_every_endpoint_that_is_named_exists(gateway, metadata):
    endpoints = {name: url for name, url in metadata.items() if name.endswith(("_endpoint", "_uri"))}
    assert set(endpoints) == {"authorization_endpoint", "token_endpoint", "revocation_endpoint", "introspection_endpoint", "registration_endpoint",
                              "device_authorization_endpoint"}
    for url in endpoints.values():
        assert url.startswith(f"{ISSUER}/oauth/")
        assert gateway.send("DELETE", url.removeprefix(ISSUER)).status_code == 405
        assert gateway.post(url.removeprefix(ISSUER)).status_code in (400, 401, 415)


@pytest.mark.requirement("MET-015")
@pytest.mark.parametrize("method", [None, "client_secret_basic", "client_secret_post", "private_key_jwt", "none"])
def test_the_method_that_a_registration_gives_is_an_advertised_one(gateway, metadata, method):
    response = gateway.post("/register", json=registration_body(token_endpoint_auth_method=method, jwks_uri="https://keys.acme.test/"),
                            headers={"Authorization": f"Bearer {gateway.settings.dcr_auth_token}"})
    assert response.json["token_endpoint_auth_method"] in metadata["token_endpoint_auth_methods_supported"]
    assert set(response.json["grant_types"]) <= set(metadata["grant_types_supported"])


@pytest.mark.requirement("CIM-001")
def test_client_id_metadata_documents_are_not_announced_while_they_are_not_served(metadata):
    assert "client_id_metadata_document_supported" not in metadata


@pytest.mark.requirement("MET-006")
@pytest.mark.parametrize("path", [*SERVER, *RESOURCE, "/mcp", "/login", "/oauth/authorize", "/nothing"])
@pytest.mark.parametrize("headers", [
    {"Host": "elsewhere.test"}, {"X-Forwarded-Host": "elsewhere.test"}, {"Forwarded": "host=elsewhere.test;proto=http"},
    {"X-Forwarded-Proto": "elsewhere"},
    {"X-Forwarded-Prefix": "/elsewhere"}, {"X-Original-URL": "/elsewhere"}, {"X-Forwarded-Server": "elsewhere.test"}, {"Host": f"{HOST}:elsewhere"}])
def test_no_header_gets_into_a_document_a_challenge_or_a_redirect(gateway, client, path, headers):
    query = client.asks() if path == "/oauth/authorize" else None
    response = gateway.get(path, headers=headers, query_string=query)
    assert "elsewhere" not in response.text
    assert "elsewhere" not in str(response.headers)
    challenged = gateway.mcp(headers=headers).headers["WWW-Authenticate"]
    assert f'"{ISSUER}/.well-known/oauth-protected-resource/mcp"' in challenged


@pytest.mark.requirement("MET-010")
@pytest.mark.parametrize("path", [SERVER[0], RESOURCE[0]])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_documents_are_only_read(gateway, path, method):
    response = gateway.send(method, path)
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


def test_the_documents_may_be_kept_for_a_while_and_read_by_the_instance(gateway):
    response = gateway.get(SERVER[0], headers={"Origin": INSTANCE})
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert response.headers["Access-Control-Allow-Origin"] == INSTANCE


@pytest.mark.parametrize("path", ["/.well-known/", "/.well-known/oauth-authorization-server/x", "/.well-known/oauth-protected-resource/mcp/x",
    "/.well-known/jwks.json",
                                  "/oauth/jwks.json", "/.well-known/oauth-authorization-server/../../etc/passwd"])
def test_other_documents_are_not_there(gateway, path):
    assert gateway.get(path).status_code == 404
