"""`flask knowledge`: what search_knowledge and the tools beside it know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mcp_server.cli.command import FAILED, Group, record, services
from mcp_server.cli.knowledge_report import Imported, shown, tell, tell_left_out
from mcp_server.cli.output import as_json, plain, print_json, print_record, print_rows, remark
from mcp_server.cli.progress import Bars
from mcp_server.deadline import Deadline
from mcp_server.errors import KnowledgeRefused, ModelError
from mcp_server.knowledge.access import Policy
from mcp_server.knowledge.building import Builder
from mcp_server.knowledge.documents import ANYBODY, KINDS, OPERATOR, Document, Kind, Reader, Restriction
from mcp_server.knowledge.ports import Embedder, IndexState
from mcp_server.knowledge.readers.outcome import Problem, Read
from mcp_server.knowledge.readers.paths import NAMES, files_of, read_file
from mcp_server.knowledge.records import TABLES
from mcp_server.knowledge.sync import Sync
from mcp_server.outbound.table_api import Account, ServiceNowTables
from mcp_server.tools.knowledge_policy import read_policy

CONFIG = Path(__file__).parents[2] / "config"
AT_ONCE = 200
SEARCH_SECONDS = 20.0
EMBEDDER_SECONDS = 60.0
EXAMPLE = "flask knowledge import FILE, or flask knowledge sync"
TABLE_OF = {kind: table for table, kind in TABLES.items()}

knowledge = Group("knowledge", help="Import articles, incidents and catalogue items, keep them in step with an instance, and search them.")
words_only = click.option("--without-vectors", is_flag=True, help="Make an index of words alone. It needs no model.")
policy_file = click.option(
    "--access", type=click.Path(dir_okay=False, path_type=Path), default=CONFIG / "knowledge.yaml",
    help="Whom of the callers a restriction means. Default: config/knowledge.yaml.")


@knowledge.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--kind", type=click.Choice(KINDS), help="What an export holds. Default: what it says, or its name.")
@click.option("--format", "form", type=click.Choice(NAMES), help="What the files are. Default: by their endings.")
@click.option("--everybody", is_flag=True, help="Articles of exports that do not say who may read them may be read by every caller.")
@click.option("--prune", is_flag=True, help="Remove what an earlier import of the same PATH brought and is not there any more.")
@policy_file
@words_only
@as_json
def import_(
    paths: Sequence[Path], *, kind: Kind | None, form: str | None, everybody: bool, prune: bool, access: Path, without_vectors: bool, as_json: bool,
) -> None:
    """Read exports of ServiceNow (JSON, CSV, XML of kb_knowledge, incident, sc_cat_item) and folders of Markdown, HTML and text.

    What was imported before and is the same costs nothing; an import that broke off goes on when it is run again. Only what is published and
    may be read by the callers of this server is found afterwards: what is left out is told, and why.
    """
    policy, counted = read_policy(access), Imported()
    built = services()
    instance = next(iter(built.settings.servicenow_instances), None)
    with built.knowledge.corpus.exclusively(), Bars() as bars:
        for path in paths:
            files = files_of(path)
            seen: set[tuple[Kind, str]] = set()
            for number, file in enumerate(files, 1):
                outcomes = read_file(file, path, form=form, table=kind and TABLE_OF[kind], instance=instance)
                seen |= _take(outcomes, str(path.resolve()), counted, everybody=everybody)
                bars.show(f"Reading {plain(path.name)}", number, len(files))
            if prune and not counted.problems:
                gone = built.knowledge.corpus.ids_from(str(path.resolve())) - seen
                counted.removed += sum(built.knowledge.corpus.remove(each_kind, [each]) for each_kind, each in gone)
        state = _build(policy, bars, without_vectors=without_vectors)
    record("knowledge_imported", paths=[str(path) for path in paths], new=counted.new, changed=counted.changed, removed=counted.removed,
           documents=sum(state.documents.values()))
    tell(counted, state, as_json=as_json)
    if counted.problems:
        click.get_current_context().exit(FAILED)


@knowledge.command("sync")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="What to read; may be repeated. Default: article and catalog_item.")
@click.option("--instance", help="One of SERVICENOW_INSTANCE. Default: the first.")
@click.option("--full", is_flag=True, help="Read everything anew, and remove what the instance does not have any more.")
@policy_file
@words_only
@as_json
def sync(*, kinds: Sequence[Kind], instance: str | None, full: bool, access: Path, without_vectors: bool, as_json: bool) -> None:
    """Read what changed on the instance since the last time, by its Table API. Run it from a timer.

    The account needs to read kb_knowledge, the two tables of user criteria of knowledge bases, and what else is asked for: SERVICENOW_SYNC_USERNAME
    and its password, an OAuth client, or a token. A run that broke off goes on where it ended. Deleted records are only noticed with --full.
    """
    policy, counted, built = read_policy(access), Imported(), services()
    api = _tables(instance)
    runs = []
    with built.knowledge.corpus.exclusively(), Bars() as bars:
        for kind in kinds or ("article", "catalog_item"):
            run = Sync(api, built.knowledge.corpus, kind).run(
                lambda done, total, table=TABLE_OF[kind]: bars.show(f"Reading {table}", done, total), full=full)  # type: ignore[misc]
            runs.append(run)
            counted.add(run.new, run.changed, run.removed, run.skipped, run.problems)
            counted.hidden += run.hidden
        state = _build(policy, bars, without_vectors=without_vectors)
    record("knowledge_synced", instance=api.instance, tables=[run.table for run in runs], new=counted.new, changed=counted.changed,
           removed=counted.removed, documents=sum(state.documents.values()))
    tell(counted, state, as_json=as_json)
    if counted.problems:
        click.get_current_context().exit(FAILED)


@knowledge.command("rebuild")
@policy_file
@words_only
@as_json
def rebuild(*, access: Path, without_vectors: bool, as_json: bool) -> None:
    """Make the index anew of what was imported: after a change of config/knowledge.yaml or of the embedding model."""
    policy = read_policy(access)
    with services().knowledge.corpus.exclusively(), Bars() as bars:
        state = _build(policy, bars, without_vectors=without_vectors)
    record("knowledge_rebuilt", documents=sum(state.documents.values()))
    tell(Imported(), state, as_json=as_json)


@knowledge.command("status")
@as_json
def status(*, as_json: bool) -> None:
    """Show what was imported, what the index holds, and what it was made with."""
    built = services()
    with built.knowledge.index.reading() as view:
        state = view.state if view else None
    imported = built.knowledge.corpus.counts()
    if as_json:
        print_json({"imported": imported, "index": shown(state) if state else None})
        return
    rows = [{"kind": kind, "imported": imported[kind], "in_the_index": state.documents.get(kind, 0) if state else 0} for kind in KINDS]
    print_rows(rows, ("kind", "imported", "in_the_index"), as_json=False, none="")
    if state is None:
        remark(f"\nThere is no index. Begin with: {EXAMPLE}")
        return
    print_record(shown(state) | {"documents": None, "left_out": None}, as_json=False)
    tell_left_out(state)


@knowledge.command("search")
@click.argument("query")
@click.option("--kind", type=click.Choice(KINDS), default="article", show_default=True)
@click.option("--limit", type=click.IntRange(1, 50), default=5, show_default=True)
@click.option("--as-everybody", is_flag=True, help="Only what every caller may read. Default: everything.")
@click.option("--as-client", metavar="CLIENT_ID", help="Only what this client may read.")
@as_json
def search(query: str, *, kind: Kind, limit: int, as_everybody: bool, as_client: str | None, as_json: bool) -> None:
    """Search as the tools do."""
    reader = Reader(ANYBODY.labels | {f"client:{as_client}"}) if as_client else ANYBODY if as_everybody else OPERATOR
    found = services().knowledge.search.search(query, kind=kind, limit=limit, reader=reader, deadline=Deadline.after(SEARCH_SECONDS))
    rows = [{"number": hit.document.number, "score": hit.score, "ranks": dict(hit.ranks), "title": hit.document.title, "passage": hit.passage,
             "url": hit.document.url} for hit in found.hits]
    if as_json:
        print_json({"method": found.method, "degraded": found.degraded or None, "hits": rows})
        return
    lines = [row | {"score": f"{row['score']:.3f}", "passage": " ".join(str(row["passage"]).split())[:80]} for row in rows]
    print_rows(lines, ("number", "score", "title", "passage"), as_json=False,
               none=f"There is nothing of this kind. Begin with: {EXAMPLE}" if found.empty else "Nothing fits.")
    if found.degraded:
        remark(found.degraded)


@knowledge.command("remove")
@click.argument("numbers", nargs=-1, required=True, metavar="NUMBER...")
@policy_file
@words_only
def remove(numbers: Sequence[str], *, access: Path, without_vectors: bool) -> None:
    """Take documents out, by their numbers. The next import or sync that finds them brings them back."""
    policy, corpus = read_policy(access), services().knowledge.corpus
    with corpus.exclusively(), Bars() as bars:
        removed = corpus.remove_numbers(numbers)
        if any(removed.values()):
            _build(policy, bars, without_vectors=without_vectors)
    record("knowledge_removed", numbers=[number for number, count in removed.items() if count])
    for number, count in removed.items():
        remark(f"{plain(number)}: removed." if count else f"{plain(number)}: there is no such document. flask knowledge search finds them.")
    if not all(removed.values()):
        click.get_current_context().exit(FAILED)


@knowledge.command("clear")
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear(*, yes: bool) -> None:
    """Forget everything that was imported, and the index."""
    if not yes:
        click.confirm("All of the knowledge is removed: what was imported and the index. Go on?", abort=True, err=True)
    built = services()
    with built.knowledge.corpus.exclusively():
        built.knowledge.index.clear()
        built.knowledge.corpus.clear()
    record("knowledge_cleared")
    remark(f"There is no knowledge any more. Begin with: {EXAMPLE}")


def _take(outcomes: Any, source: str, counted: Imported, *, everybody: bool) -> set[tuple[Kind, str]]:
    """Kept a few at a time: what was read before a failure stays. The ids of what is kept."""
    corpus, seen = services().knowledge.corpus, set()
    waiting: list[Document] = []

    def keep() -> None:
        new, changed = corpus.put(waiting, source)
        counted.add(new, changed, 0, Counter(), ())
        waiting.clear()

    for outcome in outcomes:
        if isinstance(outcome, Read):
            waiting.append(_for_everybody(outcome.document) if everybody else outcome.document)
            seen.add((outcome.document.kind, outcome.document.id))
            counted.notes += [outcome.note] if outcome.note else []
        elif isinstance(outcome, Problem):
            counted.problems.append(f"{outcome.where}: {outcome.what}")
            if outcome.kind and outcome.id:
                counted.removed += corpus.remove(outcome.kind, [outcome.id])
        else:
            counted.skipped[outcome.reason] += 1
            counted.removed += corpus.remove(outcome.kind, [outcome.id])
        if len(waiting) >= AT_ONCE:
            keep()
    keep()
    return seen


def _for_everybody(document: Document) -> Document:
    return document if document.restriction.known else replace(document, restriction=Restriction())


def _build(policy: Policy, bars: Bars, *, without_vectors: bool) -> IndexState:
    built = services()
    embedder = None if without_vectors else _embedder()
    try:
        return Builder(built.knowledge.corpus, built.knowledge.index, embedder, policy, built.clock).build(bars.show)
    except ModelError as error:
        raise KnowledgeRefused(
            f"{error.message}\nWhat was read is kept, and so are the vectors made so far; the index is the one from before. To go on run "
            "`flask knowledge rebuild`, or add --without-vectors for an index of words alone.") from error


def _embedder() -> Embedder | None:
    """What makes the vectors. Where nothing can and nothing ever did, words alone are compared; vectors that are there are not given up so."""
    embedder, index = services().knowledge.embedder, services().knowledge.index
    with index.reading() as view:
        if embedder is None or (view is not None and view.state.model is not None):
            return embedder
    try:
        embedder.embed(["Which model answers?"], Deadline.after(EMBEDDER_SECONDS))
    except ModelError as error:
        remark(f"No vectors are made: {error.message} When there is an embedding model: flask knowledge rebuild")
        return None
    return embedder


def _tables(instance: str | None) -> ServiceNowTables:
    settings = services().settings
    if not settings.servicenow_instances:
        raise KnowledgeRefused("SERVICENOW_INSTANCE names no instance. Set it to https://INSTANCE.service-now.com")
    chosen = settings.servicenow_instances[0] if instance is None else instance.rstrip("/")
    if chosen not in settings.servicenow_instances:
        raise KnowledgeRefused(f"{plain(chosen)} is not one of SERVICENOW_INSTANCE: {', '.join(settings.servicenow_instances)}.")
    account = Account(settings.sync_token, settings.sync_client_id, settings.sync_client_secret, settings.sync_username, settings.sync_password)
    if not account:
        raise KnowledgeRefused(
            "There is no account to read the instance with. Set SERVICENOW_SYNC_USERNAME and SERVICENOW_SYNC_PASSWORD, SERVICENOW_SYNC_CLIENT_ID and "
            "SERVICENOW_SYNC_CLIENT_SECRET, or SERVICENOW_SYNC_TOKEN.")
    return ServiceNowTables(chosen, account, services().clock)
