"""`flask tools`: what agents can have done, trying it without a server, and checking what an operator declares."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from config.settings import ConfigurationError
from mcp_server.cli.command import FAILED, Group, record, services
from mcp_server.cli.output import as_json, print_json, print_rows, remark
from mcp_server.cli.terminal import Terminal
from mcp_server.deadline import Deadline
from mcp_server.mcp.context import CallContext
from mcp_server.tools import SHIPPED
from mcp_server.tools.declared import DeclaredTool
from mcp_server.tools.declared_examples import Tried, try_examples
from mcp_server.tools.operator_files import OperatorFiles, check

CONFIG = Path(__file__).parents[2] / "config"
STDIN = "-"

tools = Group("tools", help="List the tools of this server, call one, and check the files that declare them.")


@tools.command("list")
@as_json
def list_tools(*, as_json: bool) -> None:
    """Show the tools. With --json, as tools/list shows them."""
    registry = services().tools
    if as_json:
        print_json(registry.definitions)
        return
    rows = [{"name": tool.name, "title": tool.title, "scope": tool.scope, "arguments": _arguments(tool.definition["inputSchema"]),
             "file": tool.declared_in and _short(Path(tool.declared_in))} for tool in registry]
    columns = ("name", "title", "scope", "arguments", *(("file",) if any(row["file"] for row in rows) else ()))
    print_rows(rows, columns, as_json=False, none="There is no tool.")


@tools.command("call")
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--timeout", type=click.FloatRange(1, 90), help="Seconds in all. Default: LLM_TIMEOUT.")
@as_json
def call(name: str, arguments: Sequence[str], *, timeout: float | None, as_json: bool) -> None:
    """Call a tool here, without a server. Values are sent as strings, as ServiceNow sends them.

    KEY=@FILE takes the value from a file, KEY=- from stdin; a value that begins with @ is written with two. Progress is shown on stderr,
    and what the tool asks is asked here.

    Example: flask tools call classify_incident short_description="VPN drops every ten minutes"
    """
    built = services()
    tool, given = built.tools[name], pairs(arguments)
    terminal = Terminal(can_ask=STDIN not in given.values())
    given = {key: _value(key, value) for key, value in given.items()}
    context = CallContext(None, Deadline.after(timeout or built.settings.llm_timeout), conversation=terminal, progress_token="terminal")  # noqa: S106 not a secret
    result = built.tools.call(tool, context, given)
    record("tool_called", tool=name, is_error=result.is_error)
    if as_json:
        print_json({"text": result.text, "structuredContent": result.structured, "isError": result.is_error})
    elif result.is_error:
        remark(result.text)
    else:
        click.echo(result.text)
    if result.is_error:
        click.get_current_context().exit(FAILED)


@tools.command("test")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--timeout", type=click.FloatRange(1, 600), help="Seconds for each example. Default: LLM_TIMEOUT.")
@as_json
def test(names: Sequence[str], *, timeout: float | None, as_json: bool) -> None:
    """Ask the model the examples of the declared tools, of all or of those named, and compare what it answers.

    An example is left out of the prompt while it is tested. An answer fails that is not in the form of the output, or in which a choice, a flag or a
    number is another than the example's; texts are not compared.
    """
    built = services()
    declared = {tool.name: tool for tool in built.tools if isinstance(tool, DeclaredTool)}
    if unknown := [name for name in names if name not in declared]:
        raise click.UsageError(f"{unknown[0]!r} is not declared in config/tools/. Those that are: {', '.join(declared) or 'none'}.")
    tried: list[Tried] = []
    for name in names or declared:
        tried += try_examples(declared[name], lambda: CallContext(None, Deadline.after(timeout or built.settings.llm_timeout)))
    rows = [{"tool": each.tool, "example": each.number, "result": each.problem or "good", "seconds": round(each.seconds, 1)} for each in tried]
    print_rows(rows, ("tool", "example", "result", "seconds"), as_json=as_json, none="No declared tool has an example. Add `examples` to its file.")
    if any(each.problem for each in tried):
        click.get_current_context().exit(FAILED)


@tools.command("lint")
@click.option("--config", type=click.Path(exists=True, file_okay=False, path_type=Path), default=CONFIG, help="The folder. Default: config/.")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="[FILE]...")
@as_json
def lint(files: Sequence[Path], *, config: Path, as_json: bool) -> None:
    """Check the YAML files in config/: tools, prompts, the taxonomy and what clients may use; or single tools and prompts.

    Needs no settings. A running server takes them over when it is reloaded (SIGHUP).
    """
    try:
        found = check(files, config, SHIPPED) if files else OperatorFiles.read(config, SHIPPED).summary()
    except ConfigurationError as error:
        if as_json:
            print_json({"problems": error.problems})
        else:
            for problem in error.problems:
                remark(problem)
        click.get_current_context().exit(FAILED)
    rows = [{"kind": kind, "name": name, "file": _short(path)} for kind, name, path in found]
    print_rows(rows, ("kind", "name", "file"), as_json=as_json, none="No tool and no prompt is declared; the taxonomy is good.")


def pairs(arguments: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE each."""
    split = [argument.partition("=") for argument in arguments]
    if wrong := [key for key, equals, _ in split if not key or not equals]:
        raise click.UsageError(f"Write each argument as KEY=VALUE: {wrong[0]!r} is not.")
    return {key: value for key, _, value in split}


def _value(key: str, written: str) -> str:
    try:
        if written == STDIN:
            return sys.stdin.read()
        if written.startswith("@@"):
            return written[1:]
        return Path(written[1:]).read_text(encoding="utf-8") if written.startswith("@") else written
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        what = f"{key}: the file {written[1:]!r} cannot be read: {reason}."
        raise click.UsageError(f"{what} A value that begins with @ is written with two.") from error


def _arguments(schema: dict[str, Any]) -> list[str]:
    required = schema.get("required", ())
    return [name if name in required else f"[{name}]" for name in schema.get("properties", {})]


def _short(path: Path) -> str:
    """As an operator knows it: from the folder of the installation."""
    return str(path.relative_to(CONFIG.parent)) if path.is_relative_to(CONFIG.parent) else str(path)
