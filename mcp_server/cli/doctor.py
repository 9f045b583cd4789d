"""`flask doctor`: what is wrong, why, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

import click
from flask.cli import with_appcontext

from config import convert
from mcp_server.cli.checks import CHECKS
from mcp_server.cli.checks.finding import Finding
from mcp_server.cli.checks.outside import seen_from_outside
from mcp_server.cli.checks.settings import env_file, refused
from mcp_server.cli.command import FAILED, Command, refusal, services
from mcp_server.cli.output import as_json, plain, print_json

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command("doctor", cls=Command)
@click.option("--url", metavar="URL", help="Look at this public address only, from where you are: its name, TLS, proxies, metadata, streams.")
@as_json
@with_appcontext
def doctor(*, url: str | None, as_json: bool) -> None:
    """Look for what is wrong: settings, stores, model, clock, disk, the running server, its public address.

    With --url it may run anywhere, also on a machine without the gateway's settings. Exit status 0 unless something fails. Changes nothing.
    """
    findings = list(_of_everything() if url is None else _of_the_address(url))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    if any(finding.level == "fail" for finding in findings):
        click.get_current_context().exit(FAILED)


def _of_everything() -> Iterator[Finding]:
    if (error := refusal()) is not None:
        yield from refused(error)
        yield from env_file()
        return
    for check in CHECKS:
        yield from check(services())


def _of_the_address(url: str) -> Iterator[Finding]:
    try:
        address = convert.origin(url.rstrip("/").removesuffix("/mcp"))
    except ValueError:
        raise click.BadParameter(f"{url} is no address of a server, such as https://mcp.example.com.", param_hint="--url") from None
    yield from seen_from_outside(address, services() if refusal() is None else None)


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        click.echo(f"{click.style(finding.level.ljust(4), COLOURS[finding.level])}  {finding.check.ljust(width)}  {plain(finding.said)}")
        if finding.next_step:
            click.echo(f"{' ' * (width + 8)}-> {plain(finding.next_step)}")
    counted = Counter(finding.level for finding in findings)
    click.echo(f"\n{counted['ok']} ok, {counted['warn']} to look at, {counted['fail']} failed")
