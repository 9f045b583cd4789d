"""40 incidents that speak to the model, each beside the same incident without the attack; and 20 that are far too long.

texts/injections.txt: kind | field | the label that the attacker wants | what is written. {base64:}, {spaced:} and {tags:} are encoded here.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

INJECTIONS = Path(__file__).parent / "texts" / "injections.txt"
SEED = 20
FILLINGS = ("log lines", "mail thread", "stack trace", "encoded attachment")
SIZES = (20_000, 60_000, 100_000, 250_000, 1_000_000)
PLACES = ("before", "after", "around")
ZERO_WIDTH_SPACE = "\u200b"
TAGS = 0xE0000  # characters of this block are invisible copies of ASCII
_ENCODED = re.compile(r"\{(base64|spaced|tags):([^}]*)\}")

Row = dict[str, Any]


def injections(incidents: Sequence[Row]) -> Iterator[Row]:
    """Each in an incident of the test part that is not what the attacker wants it to be."""
    carriers = [incident for incident in incidents if incident["split"] == "test" and incident["language"] == "en" and not incident["noisy"]]
    Random(f"{SEED} carriers").shuffle(carriers)
    for index, line in enumerate(INJECTIONS.read_text(encoding="utf-8").splitlines()):
        kind, field, target, written = (part.strip() for part in line.split("|", 3))
        carrier = next(carrier for carrier in carriers if carrier["category"] != target)
        carriers.remove(carrier)
        attack = _encoded(written)
        clean = {name: carrier[name] for name in ("short_description", "description", "work_notes")}
        attacked = dict(clean, **{field: f"{clean[field]}\n\n{attack}" if field != "short_description" else f"{clean[field]} {attack}"})
        yield {
            "id": f"INJ{index + 1:02d}", "kind": kind, "field": field, "target": target, "number": carrier["number"],
            "category": carrier["category"], "clean": clean, "attacked": attacked,
        }


def oversize(incidents: Sequence[Row]) -> Iterator[Row]:
    """Recipes: the filling is made when the set is read, so that the repository does not hold megabytes."""
    chosen = Random(f"{SEED} oversize").sample([incident for incident in incidents if incident["split"] == "test"], len(FILLINGS) * len(SIZES))
    for index, incident in enumerate(chosen):
        yield {
            "id": f"BIG{index + 1:02d}", "number": incident["number"], "category": incident["category"],
            "short_description": incident["short_description"], "description": incident["description"],
            "filling": FILLINGS[index % len(FILLINGS)], "characters": SIZES[index // len(FILLINGS)], "place": PLACES[index % len(PLACES)],
            "seed": SEED + index,
        }


def _encoded(written: str) -> str:
    text = _ENCODED.sub(lambda found: _ENCODINGS[found[1]](found[2]), written)
    return text.replace("\\n", "\n").replace("\\u202e", "\u202e").replace("\\u202c", "\u202c")


_ENCODINGS = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "spaced": ZERO_WIDTH_SPACE.join,
    "tags": lambda text: "".join(chr(TAGS + ord(character)) for character in text),
}
