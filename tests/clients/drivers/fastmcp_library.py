"""FastMCP, with the OAuth helper that it ships: a server of its own for the callback, and `webbrowser`."""

from __future__ import annotations

import asyncio
import importlib.metadata

from driving import CLIENT_ID, ERA, URL, an_hour_later, tell
from fastmcp import Client
from fastmcp.client.auth import OAuth

VERSION = importlib.metadata.version("fastmcp")
ERAS = {} if VERSION.startswith("3.") else {"mode": ERA}


async def main():
    async with Client(URL, auth=OAuth(client_id=CLIENT_ID) if CLIENT_ID else "oauth", **ERAS) as client:
        tools = [tool.name for tool in await client.list_tools()]
        said = [(await client.call_tool("echo", {"message": "at first"})).content[0].text]
        an_hour_later()
        said.append((await client.call_tool("echo", {"message": "an hour later"})).content[0].text)
        tell(version=VERSION, tools=tools, said=said)


asyncio.run(main())
