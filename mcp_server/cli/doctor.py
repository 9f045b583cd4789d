"""`flask doctor`: what is wrong, why, and what to do about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

import click
from flask.cli import with_appcontext

from mcp_server.cli import checks
from mcp_server.cli.checks import Finding
from mcp_server.cli.command import FAILED, Command, refusal, services
from mcp_server.cli.output import as_json, plain, print_json

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command("doctor", cls=Command)
@as_json
@with_appcontext
def doctor(*, as_json: bool) -> None:
    """Look for what is wrong: settings, stores, model, clock, the running server, its address.

    Exit status 0 unless something fails. Changes nothing.
    """
    if (error := refusal()) is not None:
        findings = [*checks.refused(error), *checks.env_file()]
    else:
        findings = [finding for check in checks.CHECKS for finding in check(services())]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    if any(finding.level == "fail" for finding in findings):
        click.get_current_context().exit(FAILED)


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        click.echo(f"{click.style(finding.level.ljust(4), COLOURS[finding.level])}  {finding.check.ljust(width)}  {plain(finding.said)}")
        if finding.next_step:
            click.echo(f"{' ' * (width + 8)}-> {plain(finding.next_step)}")
    counted = Counter(finding.level for finding in findings)
    click.echo(f"\n{counted['ok']} ok, {counted['warn']} to look at, {counted['fail']} failed")
