"""The official Python client, before and since 2.0, driven as a program on a person's machine would drive it."""

from __future__ import annotations

import asyncio
import importlib.metadata
from contextlib import asynccontextmanager

from driving import CLIENT_ID, ERA, URL, Loopback, an_hour_later, tell
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata

VERSION = importlib.metadata.version("mcp")
if VERSION.startswith("1."):
    import httpx
    from mcp import ClientSession
else:
    import httpx2
    from mcp import Client
    from mcp.client.auth import AuthorizationCodeResult


class InMemory:
    """What the client keeps between its requests."""

    def __init__(self, client):
        self.tokens, self.client = None, client

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


def provider(loopback):
    async def answer():
        got = await loopback.answer()
        if VERSION.startswith("1."):
            return got["code"], got["state"]
        return AuthorizationCodeResult(code=got["code"], state=got["state"], iss=got["iss"])

    metadata = {
        "client_name": "a Python program", "redirect_uris": [loopback.redirect_uri], "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"], "token_endpoint_auth_method": "none"}
    known = OAuthClientInformationFull(client_id=CLIENT_ID, **metadata) if CLIENT_ID else None
    return OAuthClientProvider(URL, OAuthClientMetadata(**metadata), InMemory(known), loopback.open_browser, answer)


@asynccontextmanager
async def connected(auth):
    """The client, and the revision that it speaks."""
    if VERSION.startswith("1."):
        async with (
            httpx.AsyncClient(auth=auth, timeout=30) as http,
            streamable_http_client(URL, http_client=http) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            yield session, (await session.initialize()).protocolVersion
    else:
        async with httpx2.AsyncClient(auth=auth, timeout=30) as http, Client(streamable_http_client(URL, http_client=http), mode=ERA) as client:
            yield client, client.protocol_version


async def main():
    async with Loopback() as loopback, connected(provider(loopback)) as (client, revision):
        tools = [tool.name for tool in (await client.list_tools()).tools]
        said = [(await client.call_tool("echo", {"message": "at first"})).content[0].text]
        an_hour_later()
        said.append((await client.call_tool("echo", {"message": "an hour later"})).content[0].text)
    tell(version=VERSION, revision=revision, tools=tools, said=said)


asyncio.run(main())
