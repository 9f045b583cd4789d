"""`flask audit`: whether the audit log is what was written, and parts of it for others to read."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import click

from mcp_server.audit_log import selecting
from mcp_server.audit_log.chain import Keys
from mcp_server.audit_log.reading import Line, in_order, lines, with_rotated
from mcp_server.audit_log.selecting import COLUMNS, Selection
from mcp_server.audit_log.state import Snapshot, snapshot
from mcp_server.audit_log.verifying import Report
from mcp_server.audit_log.verifying import verify as verified
from mcp_server.cli.command import FAILED, Group, services
from mcp_server.cli.output import as_json, error_line, plain, print_json, remark

Write = Callable[[Line, dict[str, Any]], Any]

audit = Group("audit", help="Verify and export the audit log.")
NO_LOG = "AUDIT_LOG_PATH is not set: audit lines are on stdout, and are not chained. Name the files to look at others."
files_given = click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(exists=True, dir_okay=False, path_type=Path))


class Chosen(NamedTuple):
    files: list[Path]
    now: Snapshot | None


def _moment(_context: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    try:
        return selecting.moment(value) if value else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time in ISO 8601, such as 2026-11-21 or 2026-11-21T13:37:00Z.") from None


@audit.command("verify")
@files_given
@click.option("--expect-last", metavar="HASH", help="The hash that an earlier run called the last one: it must still be in the log.")
@as_json
@click.pass_context
def verify(context: click.Context, *, files: Sequence[Path], expect_last: str | None, as_json: bool) -> None:
    """Walk the audit log, and name the first line that was changed, removed, inserted or moved. Exit status 1 if there is one.

    Without FILE: AUDIT_LOG_PATH with what logrotate has made of it, .gz too; then it must also be as long as the writers left it.
    The files may be named in any order. Whoever knows JWT_SECRET can write a new log that fits: keep the last hash elsewhere,
    and give it back with --expect-last.
    """
    settings = services().settings
    chosen = _chosen(files)
    keys = Keys(settings.jwt_secret, settings.jwt_secret_previous)
    report = verified(lines(*chosen), keys, expected=_expected(expect_last, chosen, whole=not files))
    if as_json:
        print_json(_told(report, chosen.files))
    else:
        _say(report, chosen.files)
    if report.broken:
        context.exit(FAILED)


@audit.command("export")
@files_given
@click.option("--since", metavar="ISO", callback=_moment, help="From this time on. UTC, unless it says otherwise.")
@click.option("--until", metavar="ISO", callback=_moment, help="Before this time.")
@click.option("--event-type", "event_types", multiple=True, metavar="TYPE", help="oauth, mcp, security, operator, audit_chain. May be repeated.")
@click.option("--client", "clients", multiple=True, metavar="ID", help="Only what this client did. May be repeated.")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True,
              help="jsonl: the lines as they were written. csv: for a spreadsheet; what could be a formula begins with an apostrophe.")
def export(*, files: Sequence[Path], since: datetime | None, until: datetime | None, event_types: Sequence[str], clients: Sequence[str],
           form: str) -> None:
    """Print records, oldest first. Without FILE: AUDIT_LOG_PATH with what logrotate has made of it. Does not verify them."""
    chosen = _chosen(files)
    selection = Selection(since, until, frozenset(event_types), frozenset(clients))
    write = _as_csv(sys.stdout.buffer) if form == "csv" else _as_lines(sys.stdout.buffer)
    unreadable = 0
    for line, record in selecting.records(lines(*chosen)):
        if record is None:
            unreadable += 1
        elif selection.takes(record):
            write(line, record)
    if unreadable:
        remark(f"{unreadable} lines are no records and were left out. flask audit verify says where.")


def _as_lines(stream: BinaryIO) -> Write:
    return lambda line, _record: stream.write(line.text.removesuffix(b"\n") + b"\n")


def _as_csv(stream: BinaryIO) -> Write:
    class Encoding:
        def write(self, text: str) -> None:
            stream.write(text.encode("utf-8", "backslashreplace"))

    table = csv.writer(Encoding(), lineterminator="\r\n")  # so a carriage return in a value is quoted too
    table.writerow(COLUMNS)
    return lambda _line, record: table.writerow(selecting.row(record))


def _chosen(files: Sequence[Path]) -> Chosen:
    """What to read, and how long the log was before: it is written to meanwhile."""
    log = services().settings.audit_log_path
    now = snapshot(log) if log and (not files or any(file.samefile(log) for file in files if log.exists())) else None
    if files:
        return Chosen(in_order(files, now), now)
    if log is None:
        raise click.ClickException(NO_LOG)
    return Chosen(in_order(with_rotated(log), now), now)


def _expected(given: str | None, chosen: Chosen, *, whole: bool) -> Iterator[str]:
    """What must be found: the given hash, and the last one that was written, unless it is in a file that was not asked for."""
    if given:
        yield given
    if chosen.now and (state := chosen.now.state) and (whole or state.is_of(chosen.now.file)):
        yield state.hash


def _told(report: Report, files: Sequence[Path]) -> dict[str, Any]:
    broken = None if report.broken is None else asdict(report.broken) | {"file": str(report.broken.file)}
    return {
        "ok": report.broken is None, "files": [str(file) for file in files], "records": report.records, "first": _place(report.first),
        "last": _place(report.last), "unchained_lines": report.unchained,
        "keys": report.keys, "notices": report.notices, "broken": broken}


def _say(report: Report, files: Sequence[Path]) -> None:
    if (first := _place(report.first)) and (last := _place(report.last)):
        click.echo(f"{report.records} records in {len(files)} files, number {first['sequence']} of {plain(first['timestamp'])} to number "
                   f"{last['sequence']} of {plain(last['timestamp'])}, {'are as they were written' if report.broken is None else 'were good'}.")
        click.echo(f"Last hash: {last['hash']}")
        if first["sequence"] != 1:
            remark(f"Record {first['sequence']} continues a file that was not looked at; its last hash was {first['previous']}.")
    elif report.broken is None:
        remark("There is no record yet.")
    if report.unchained and report.broken is None:
        remark(f"{report.unchained} lines are from before the log was chained: nothing can be said of them.")
    for notice in report.notices:
        remark(f"{plain(notice['file'])}, line {notice['line']}: {notice['action']} {json.dumps(notice['details'])}")
    if report.broken:
        error_line(f"BROKEN: {plain(str(report.broken.file))}, line {report.broken.line}: {report.broken.kind}. {report.broken.said}")


def _place(line: Line | None) -> dict[str, Any] | None:
    if line is None:
        return None
    parts = json.loads(line.text)
    return {name: parts.get(name) for name in ("sequence", "timestamp", "previous", "hash")}
