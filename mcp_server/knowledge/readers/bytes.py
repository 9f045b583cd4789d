"""What encoding a file has."""

from __future__ import annotations

import codecs
from pathlib import Path

BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"))
PIECE = 1 << 20


def encoding_of(path: Path) -> str:
    """By its first bytes; UTF-8 if all of it is; else what Excel writes in western Europe."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        first = file.read(PIECE)
        for bom, encoding in BOMS:
            if first.startswith(bom):
                return encoding
        try:
            decoder.decode(first)
            while piece := file.read(PIECE):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"
