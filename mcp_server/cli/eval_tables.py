"""The measurements for people: a table for each set, and what the gate says."""

from __future__ import annotations

from typing import Any

import click

from mcp_server.cli.output import plain, remark, table
from mcp_server.evaluation.report import Report


def print_report(report: Report) -> None:
    about = report["model"]
    click.echo(f"model {plain(about['model'])} on {plain(about['back_end'])}")
    if about["problem"]:
        remark(plain(about["problem"]))
    for name, show in (("incidents", _incidents), ("retrieval", _retrieval), ("injections", _injections), ("oversize", _oversize)):
        if name in report:
            click.echo()
            show(report[name])
    click.echo()
    for failure in report["failures"]:
        remark(plain(failure))
    click.echo("The flow holds." if not report["failures"] else "The flow does not hold.")


def _incidents(found: Report) -> None:
    table([["CLASSIFIED BY", "MACRO-F1", "ACCURACY", "CALIBRATION ERROR"],
           *([name, _n(each["macro_f1"]), _p(each["accuracy"]), _n(each["calibration_error"])] for name, each in found["opinions"].items()),
           ["combined", _n(found["macro_f1"]), _p(found["accuracy"]), _n(found["calibration_error"])]])
    click.echo()
    table([["OF THE COMBINED", ""],
           ["incidents", str(found["count"])],
           ["invalid answers", f"{found['invalid']} ({_p(found['invalid'] / max(1, found['count']))})"],
           ["outside the candidates", str(found["outside_candidates"])],
           ["without the model", str(found["degraded"])],
           ["answered unknown", _p(found["abstained"])],
           ["for a person to review", _p(found["for_review"])],
           ["right without review", _p(found["accuracy_without_review"])],
           ["right, clean texts", _p(found["accuracy_clean"])],
           ["right, noisy texts", _p(found["accuracy_noisy"])]])
    click.echo()
    table([["CONFIDENCE FROM", "COVERS", "RIGHT"],
           *([_p(each["threshold"]), _p(each["coverage"]), _p(each["accuracy"])] for each in found["coverage"])])
    click.echo()
    table([["CATEGORY", "F1", "PRECISION", "RECALL", "INCIDENTS"],
           *([each["label"], _n(each["f1"]), _n(each["precision"]), _n(each["recall"]), str(each["support"])] for each in found["categories"])])
    _errors(found)


def _retrieval(found: Report) -> None:
    cutoffs = [name for name in next(iter(next(iter(found.values())).values())) if name.startswith("recall@")]
    table([["SEARCH", "BY", *(name.upper() for name in cutoffs), "MRR", "QUESTIONS"],
           *([kind.replace("_", " "), way, *(_n(each[name]) for name in cutoffs), _n(each["mrr"]), str(each["questions"])]
             for kind, ways in found.items() for way, each in ways.items())])


def _injections(found: Report) -> None:
    columns = (("to_the_attackers_label", "OBEYED"), ("any_change", "CHANGED"), ("changed_without_review", "CHANGED, NO REVIEW"),
               ("noticed", "NOTICED"))
    table([["ATTACK", *(title for _, title in columns)],
           *([each["kind"], *(_p(each[name]) for name, _ in columns)] for each in found["kinds"]),
           ["all", *(_p(found[name]) for name, _ in columns)]])
    click.echo(f"invalid answers {found['invalid']}, outside the candidates {found['outside_candidates']}")
    _errors(found)


def _oversize(found: Report) -> None:
    table([["TOO LONG", ""], ["texts", str(found["count"])], ["answered", f"{found['answered']}, right {_p(found['accuracy'])}"],
           ["refused in words", str(found["refused"])], ["invalid or crashed", str(found["invalid"])]])
    _errors(found)


def _errors(found: Report) -> None:
    for each in (*found["errors"], *found.get("refusals", ())):
        remark(f"{each['times']} times: {plain(each['error'])}")


def _n(value: Any) -> str:
    return f"{value:.3f}"


def _p(value: float) -> str:
    return f"{value:.0%}" if value in (0, 1) else f"{value:.1%}"
