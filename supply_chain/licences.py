"""Under which licences the installed packages are, by their own metadata, and which of these may be used."""

from __future__ import annotations

import re
from importlib.metadata import metadata

ALLOWED = frozenset({
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "PSF-2.0", "ZPL-2.1", "Zlib",
    "MPL-2.0",        # holds for its own files: certifi's list, parts of orjson and tqdm; nothing of them is changed here
    "LGPL-3.0-only",  # psycopg, which is installed as it is and can be replaced
})
_CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}
_OLDER_WORDS = {
    "3-Clause BSD License": "BSD-3-Clause", "Apache 2.0": "Apache-2.0", "Apache License 2.0": "Apache-2.0", "BSD": "BSD-2-Clause",
    "MIT License": "MIT", "PSFL": "PSF-2.0", "Dual License": "",
}
_SPDX = re.compile(r"[A-Za-z0-9.()+ -]{2,120}")


def licence_of(package: str) -> str | None:
    """The SPDX expression of an installed package; None when its metadata tells none.

    Raises PackageNotFoundError.
    """
    told = metadata(package)
    older = told["License"] if "License" in told else ""  # noqa: SIM401 -- the protocol has no get()
    written = told["License-Expression"] if "License-Expression" in told else _OLDER_WORDS.get(older, older)
    if written and _SPDX.fullmatch(written):
        return written
    classified = sorted({_CLASSIFIERS[line] for line in told.get_all("Classifier", []) if line in _CLASSIFIERS})
    return " AND ".join(classified) or None


def refused(expression: str | None) -> list[str]:
    """The parts of an expression that are not on the list. Of alternatives each is looked at: the list stays readable."""
    if not expression:
        return ["none"]
    return [part for part in re.split(r"\s+(?:AND|OR)\s+|[()]", expression) if part.strip() and part.strip() not in ALLOWED]
