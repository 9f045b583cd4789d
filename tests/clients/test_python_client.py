"""The official Python client, driven as a program would drive it: it discovers, registers, is approved by a person, and calls a tool."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

from tests.person import Person

CALLBACK = "http://127.0.0.1:3000/callback"  # never listened on: the redirect is read, not followed


class InMemory:
    """What the client keeps between its requests."""

    def __init__(self):
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


def provider(url, person, storage):
    answer = {}

    async def redirect_handler(address):
        answer.update(await asyncio.to_thread(person.approve, address))

    async def callback_handler():
        return AuthorizationCodeResult(code=answer["code"], state=answer.get("state"), iss=answer.get("iss"))

    metadata = OAuthClientMetadata(
        client_name="the official Python client", redirect_uris=[CALLBACK], grant_types=["authorization_code", "refresh_token"],
        response_types=["code"], token_endpoint_auth_method="none")
    return OAuthClientProvider(url, metadata, storage, redirect_handler, callback_handler)


async def use(url, person, mode):
    storage = InMemory()
    async with (
        httpx2.AsyncClient(auth=provider(url, person, storage), timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        tools = [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("echo", {"message": "hello from a real client"})
        return client.protocol_version, tools, result, storage


@pytest.mark.parametrize(("mode", "spoken"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
def test_the_official_python_client_is_authorized_by_a_person_and_calls_a_tool(gateway, mode, spoken):
    gateway.configured(DCR_MODE="open")
    gateway.started()
    gateway.add_user("ada", "a password of some length")
    person = Person("ada", "a password of some length")
    version, tools, result, storage = asyncio.run(use(f"{gateway.url}/mcp", person, mode))
    assert version == spoken
    assert {"echo", "classify_incident", "llm_generate", "server_status"} <= set(tools)
    assert result.content[0].text == "hello from a real client"
    assert storage.tokens.refresh_token
    assert person.saw == ["the official Python client", "127.0.0.1:3000"]
