"""`flask tools`: what agents can have done, and trying it without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from mcp_server.cli.command import FAILED, Group, record, services
from mcp_server.cli.output import as_json, print_json, print_rows, remark
from mcp_server.deadline import Deadline
from mcp_server.mcp.context import CallContext

tools = Group("tools", help="List the tools of this server, and call one.")


@tools.command("list")
@as_json
def list_tools(*, as_json: bool) -> None:
    """Show the tools. With --json, as tools/list shows them."""
    registry = services().tools
    if as_json:
        print_json(registry.definitions)
        return
    rows = [{"name": tool.name, "title": tool.title, "scope": tool.scope, "arguments": _arguments(tool.definition["inputSchema"])}
            for tool in registry]
    print_rows(rows, ("name", "title", "scope", "arguments"), as_json=False, none="There is no tool.")


@tools.command("call")
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--timeout", type=click.FloatRange(1, 90), help="Seconds in all. Default: LLM_TIMEOUT.")
@as_json
def call(name: str, arguments: Sequence[str], *, timeout: float | None, as_json: bool) -> None:
    """Call a tool here, without a server. Values are sent as strings, as ServiceNow sends them.

    Example: flask tools call classify_incident short_description="VPN drops every ten minutes"
    """
    built = services()
    tool, given = built.tools[name], pairs(arguments)
    result = built.tools.call(tool, CallContext(None, Deadline.after(timeout or built.settings.llm_timeout)), given)
    record("tool_called", tool=name, is_error=result.is_error)
    if as_json:
        print_json({"text": result.text, "structuredContent": result.structured, "isError": result.is_error})
    elif result.is_error:
        remark(result.text)
    else:
        click.echo(result.text)
    if result.is_error:
        click.get_current_context().exit(FAILED)


def pairs(arguments: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE each."""
    split = [argument.partition("=") for argument in arguments]
    if wrong := [key for key, equals, _ in split if not key or not equals]:
        raise click.UsageError(f"Write each argument as KEY=VALUE: {wrong[0]!r} is not.")
    return {key: value for key, _, value in split}


def _arguments(schema: dict[str, Any]) -> list[str]:
    required = schema.get("required", ())
    return [name if name in required else f"[{name}]" for name in schema.get("properties", {})]
