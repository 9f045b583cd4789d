"""The measurements as a picture: an SVG that any browser shows. Left how sure and how right answers are, right what is worth how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

INK, MUTED, GRID, SURE, PLAIN, GOOD = "#1f2933", "#66727f", "#e4e8ec", "#2f6fb2", "#a9bfd6", "#2f8f6b"
FONT = "font-family='system-ui, sans-serif'"
SIDE = 300
LEFT, TOP, GAP = 60, 70, 250
BAR, STEP = 18, 30
WIDTH = LEFT + SIDE + GAP + SIDE + 70


def draw(report: Mapping[str, Any], title: str) -> str:
    bars = _bars(report)
    height = TOP + max(SIDE + 60, STEP * len(bars) + 40) + 20
    incidents = report.get("incidents")
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}'>",
        f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
        _text(LEFT, 30, title, size=16, weight=600),
        *(_reliability(incidents["reliability"], incidents["calibration_error"]) if incidents else ()),
        *_chart(bars, LEFT + SIDE + GAP if incidents else LEFT + GAP - 60),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _reliability(bins: Sequence[Mapping[str, float]], error: float) -> list[str]:
    """The dashed line is where confidence and accuracy are the same. The larger a dot, the more answers."""
    bottom = TOP + SIDE
    most = max((each["count"] for each in bins), default=1)
    parts = [_text(LEFT, TOP - 14, f"Confidence and accuracy (calibration error {error:.2f})", size=12, colour=MUTED)]
    for tenth in range(0, 11, 2):
        x, y = LEFT + SIDE * tenth / 10, bottom - SIDE * tenth / 10
        parts += [
            f"<path d='M{LEFT} {y:.0f}H{LEFT + SIDE}M{x:.0f} {TOP}V{bottom}' stroke='{GRID}'/>",
            _text(LEFT - 8, y + 4, f"{tenth * 10}%", size=11, colour=MUTED, anchor="end"),
            _text(x, bottom + 18, f"{tenth * 10}%", size=11, colour=MUTED, anchor="middle"),
        ]
    parts.append(f"<path d='M{LEFT} {bottom}L{LEFT + SIDE} {TOP}' stroke='{MUTED}' stroke-dasharray='4 4'/>")
    points = [(LEFT + SIDE * each["confidence"], bottom - SIDE * each["accuracy"], 4 + 8 * (each["count"] / most) ** 0.5, each) for each in bins]
    if points:
        parts.append(f"<path d='M{'L'.join(f'{x:.1f} {y:.1f}' for x, y, *_ in points)}' fill='none' stroke='{SURE}' stroke-width='2'/>")
    for x, y, radius, each in points:
        told = f"{each['count']} answers: {each['confidence']:.0%} sure, {each['accuracy']:.0%} right"
        parts.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{radius:.1f}' fill='{SURE}' stroke='white'><title>{told}</title></circle>")
    return [*parts, _text(LEFT + SIDE / 2, bottom + 40, "how sure the answer was", size=12, anchor="middle"),
            f"<g transform='rotate(-90 16 {TOP + SIDE / 2})'>{_text(16, TOP + SIDE / 2, 'how often it was right', size=12, anchor='middle')}</g>"]


def _bars(report: Mapping[str, Any]) -> list[tuple[str, float, str]]:
    found: list[tuple[str, float, str]] = []
    if incidents := report.get("incidents"):
        found += [(f"macro-F1: {name}", quality["macro_f1"], PLAIN) for name, quality in incidents["opinions"].items()]
        found.append(("macro-F1: combined", incidents["macro_f1"], SURE))
    for kind in ("articles", "catalog_items"):
        if ways := report.get("retrieval", {}).get(kind):
            name = kind.replace("_", " ")
            found += [(f"recall@5, {name}: {way}", values["recall@5"], GOOD if way == "fused" else "#a8d5c2") for way, values in ways.items()]
    if attacks := report.get("injections"):
        found += [("attacks that changed the answer", attacks["any_change"], "#e3a59b"),
                  ("attacks that were obeyed", attacks["to_the_attackers_label"], "#c4513d")]
    return found


def _chart(bars: Sequence[tuple[str, float, str]], left: float) -> list[str]:
    parts = [_text(left, TOP - 14, "Shares, from 0 to 1", size=12, colour=MUTED)]
    for index, (name, value, colour) in enumerate(bars):
        y = TOP + index * STEP
        parts += [
            _text(left - 10, y + 13, name, size=12, anchor="end"),
            f"<rect x='{left}' y='{y}' width='{SIDE}' height='{BAR}' fill='{GRID}' rx='3'/>",
            f"<rect x='{left}' y='{y}' width='{SIDE * value:.1f}' height='{BAR}' fill='{colour}' rx='3'/>",
            _text(left + SIDE + 8, y + 13, f"{value:.2f}", size=12),
        ]
    return parts


def _text(x: float, y: float, text: str, *, size: int, colour: str = INK, anchor: str = "start", weight: int = 400) -> str:
    how = f"{FONT} font-size='{size}' font-weight='{weight}' fill='{colour}' text-anchor='{anchor}'"
    return f"<text x='{x:.0f}' y='{y:.0f}' {how}>{escape(text)}</text>"
