"""`flask eval`: how good the answers are with the model that is configured, and whether the flow holds."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import click

from mcp_server.cli.command import FAILED, Group, record, services
from mcp_server.cli.eval_tables import print_report
from mcp_server.cli.output import as_json, print_json, remark
from mcp_server.cli.tools import CONFIG
from mcp_server.deadline import Deadline
from mcp_server.evaluation import examples, fitting, report
from mcp_server.evaluation.classifying import Classifying
from mcp_server.evaluation.examples import Example
from mcp_server.evaluation.plot import draw
from mcp_server.evaluation.retrieving import documents, retrieve
from mcp_server.evaluation.wiring import KnowledgeOfTheSet
from mcp_server.knowledge.documents import Kind
from mcp_server.tools import SHIPPED
from mcp_server.tools.classification import Parameters
from mcp_server.tools.operator_files import OperatorFiles
from mcp_server.tools.parts import Parts

EVALS = Path(__file__).parents[2] / "evals"
STATUS_SECONDS = 5.0
SETS = ("incidents", "retrieval", "injections", "oversize")
QUESTIONS: tuple[tuple[Kind, str, str], ...] = (
    ("article", "articles", "retrieval_articles.jsonl"), ("catalog_item", "catalog_items", "retrieval_items.jsonl"))
Each = TypeVar("Each")

evaluate = Group("eval", help="Measure the answers of the configured model, and fit how the classifier weighs its opinions.")
_set_of_files = click.option(
    "--data", type=click.Path(exists=True, file_okay=False, path_type=Path), default=EVALS, help="The folder of the set. Default: evals/.")
_csv = click.option(
    "--incidents", "table", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Your own labelled incidents instead: CSV with short_description, description, category.")
_parameters = click.option(
    "--parameters", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="How the classifier weighs, as `fit` writes it. Default: config/classification.yaml, or what is built in.")
_model = click.option("--model", help="The model to measure. Default: the configured one.")
_limit = click.option("--limit", type=click.IntRange(1), help="At most so many of each set, drawn by lot.")
_seed = click.option("--seed", type=int, default=20, show_default=True, help="Of the lot.")
_timeout = click.option("--timeout", type=click.FloatRange(1, 600), help="Seconds for one answer. Default: LLM_TIMEOUT.")
_at_once = click.option("--at-once", type=click.IntRange(1, 32), default=1, show_default=True, help="How many are asked at the same time.")


@evaluate.command("run")
@click.option("--set", "which", type=click.Choice((*SETS, "all")), default="all", show_default=True)
@click.option("--plot", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Draw the figures into this SVG file.")
@click.option("--fail-under-invalid", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="The share of invalid answers allowed.")
@_set_of_files
@_csv
@_parameters
@_model
@_limit
@_seed
@_timeout
@_at_once
@as_json
def run(which: str, *, plot: Path | None, fail_under_invalid: float, data: Path, table: Path | None, parameters: Path | None, limit: int | None,
        seed: int, as_json: bool, **how: Any) -> None:
    """Measure. The status is 1 when an answer is not valid, lies outside the candidates, or a call crashes: never for quality.

    Nothing of the operator's knowledge is used: similar incidents come from the set's own train part.
    """
    parts, wanted = _parts(parameters), SETS if which == "all" else (which,)
    own = _incidents(parts, data, table, seed)
    if "incidents" not in wanted and table is not None:
        raise click.UsageError("--incidents is measured with --set incidents or --set all.")
    asking = _classifying(parts, own, **how)
    lot = _Lot(limit, seed)
    found: report.Report = {"model": _told(parts, how["model"]), "parameters": parts.parameters.dump()}
    if "incidents" in wanted:
        test = lot.draw([example for example in own if example.split == "test"])
        with _bar("incidents", len(test)) as tell:
            found["incidents"] = report.of_incidents(test, asking.observe(test, tell), parts.parameters)
    if "retrieval" in wanted:
        found["retrieval"] = _retrieval(parts, data, lot, how["at_once"])
    if "injections" in wanted:
        attacks = lot.draw(examples.attacks(data))
        with _bar("injections", 2 * len(attacks)) as tell:
            found["injections"] = report.of_attacks(asking.attack(attacks, tell))
    if "oversize" in wanted:
        long = lot.draw(examples.oversize(data))
        with _bar("oversize", len(long)) as tell:
            found["oversize"] = report.of_oversize([each.answer for each in asking.observe(long, tell)])
    found["failures"] = report.failures(found, fail_under_invalid)
    if plot is not None:
        plot.write_text(draw(found, f"Evaluation of {found['model']['model']}"), encoding="utf-8")
    record("evaluated", model=found["model"]["model"], sets=list(wanted), failures=len(found["failures"]))
    print_json(found) if as_json else print_report(found)
    if found["failures"]:
        click.get_current_context().exit(FAILED)


@evaluate.command("fit")
@click.option("--write", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="The file, such as config/classification.yaml.")
@_set_of_files
@_csv
@_model
@_limit
@_seed
@_timeout
@_at_once
@as_json
def fit(*, write: Path | None, data: Path, table: Path | None, limit: int | None, seed: int, as_json: bool, **how: Any) -> None:
    """Fit how the classifier weighs its opinions and what its confidence is worth, on the calibration part alone."""
    parts = _parts()
    own = _incidents(parts, data, table, seed)
    calibration = _Lot(limit, seed).draw([example for example in own if example.split == "calibration"])
    with _bar("calibration", len(calibration)) as tell:
        observed = _classifying(parts, own, **how).observe(calibration, tell)
    try:
        parameters = fitting.fit(observed, type(parts.parameters)())
    except ValueError as error:
        raise click.ClickException(f"{error} {observed[0].answer.error if observed else ''}") from error
    told = f"{_told(parts, how['model'])['model']}, {len(calibration)} incidents."
    if write is not None:
        fitting.write(parameters, write, f"Fitted with {told}")
        record("classification_fitted", file=str(write))
        remark(f"Written to {write}. A running server takes it over when it is reloaded (SIGHUP).")
    before, after = (report.of_fit(observed, each) for each in (parts.parameters, parameters))
    if as_json:
        print_json({"parameters": parameters.dump(), "calibration_before": before, "calibration_after": after})
        return
    for name, value in parameters.dump().items():
        click.echo(f"{name}: {value:g}")
    remark(f"On the calibration part macro-F1 {before['macro_f1']:.3f} before, {after['macro_f1']:.3f} now. Measure on the test part: flask eval run")


def _parts(parameters: Path | None = None) -> Parts:
    built, files = services(), OperatorFiles.read(CONFIG, SHIPPED)
    return Parts(
        built.model, files.taxonomy, embedder=built.embedder, parameters=Parameters.load(parameters) if parameters else files.classification,
        redact=built.settings.redact, context=built.settings.llm_context)


def _incidents(parts: Parts, data: Path, table: Path | None, seed: int) -> list[Example]:
    if table is None:
        return examples.incidents(data)
    return examples.from_csv(table, {category.id for category in parts.taxonomy.categories}, seed)


def _classifying(parts: Parts, own: Sequence[Example], *, model: str | None, timeout: float | None, at_once: int) -> Classifying:
    return Classifying(parts, own, model=model, timeout=timeout or services().settings.llm_timeout, at_once=at_once)


def _retrieval(parts: Parts, data: Path, lot: _Lot, at_once: int) -> report.Report:
    found = documents(examples.rows(data / "articles.jsonl"), examples.rows(data / "catalog_items.jsonl"))
    knowledge = KnowledgeOfTheSet(found, parts.embedder)
    measured = {}
    for kind, name, file in QUESTIONS:
        questions = lot.draw(examples.questions(data / file))
        with _bar(name.replace("_", " "), len(questions)) as tell:
            measured[name] = report.of_retrieval(retrieve(knowledge, kind, questions, at_once=at_once, tell=tell))
    return measured


def _told(parts: Parts, model: str | None) -> dict[str, Any]:
    from_status = parts.model.status(_soon())
    return {"model": model or from_status.model or "?", "back_end": from_status.back_end, "problem": from_status.problem}


def _soon() -> Deadline:
    return Deadline.after(STATUS_SECONDS)


@dataclasses.dataclass(frozen=True, slots=True)
class _Lot:
    limit: int | None
    seed: int

    def draw(self, all_of_it: Sequence[Each]) -> list[Each]:
        if self.limit is None or self.limit >= len(all_of_it):
            return list(all_of_it)
        chosen = Random(self.seed).sample(range(len(all_of_it)), self.limit)  # noqa: S311 - by lot, and the same each time
        return [all_of_it[index] for index in sorted(chosen)]


@contextmanager
def _bar(label: str, length: int) -> Iterator[Callable[[], None]]:
    """On stderr."""
    bar = click.progressbar(length=length, label=label.ljust(13), file=sys.stderr, show_pos=True)
    with bar:
        yield lambda: bar.update(1)
