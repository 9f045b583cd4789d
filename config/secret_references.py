"""Settings that name a secret in a manager: `JWT_SECRET=aws-sm://name#field`. Here is what a reference says, and how it is fetched.

Fetching is a process of its own (`python -m config.secret_managers`): a client library that hangs is ended with it, and none is imported into a
process that is patched for gevent later. Values come back through a pipe, and are kept in memory: workers are forked from the
process that fetched them, and ask nobody.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

TIMEOUT = 20.0
"""Seconds for all of them together."""
STARTING = 15.0
"""Seconds more for the process to start and to import the libraries, on a machine that is busy."""
FETCH = (sys.executable, "-m", "config.secret_managers")
ROOT = Path(__file__).parent.parent
SCHEMES = ("gcp-sm", "aws-sm", "azure-kv", "vault")
_REFERENCE = re.compile(rf"(?:{'|'.join(SCHEMES)})://\S+")


@dataclass(frozen=True)
class Reference:
    """`secret` is the name as its manager knows it, `version` and `member` are empty when they were not given."""

    text: str
    scheme: str
    secret: str
    version: str = ""
    stage: str = ""
    member: str = ""


@dataclass(frozen=True)
class Fetched:
    """The value is shown nowhere; `problem` is empty when there is one."""

    value: str = field(repr=False)
    version: str = ""
    problem: str = ""


def is_reference(value: str) -> bool:
    return _REFERENCE.fullmatch(value) is not None


def parse(text: str) -> Reference:
    """`SCHEME://NAME[?version=V][#MEMBER]`; for AWS `stage` too. Raises ValueError with the rest of a sentence."""
    parts = urlsplit(text)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    secret = unquote(f"{parts.netloc}{parts.path}").strip("/")
    known = {"version", "stage"} if parts.scheme == "aws-sm" else {"version"}
    if not secret or not options.keys() <= known or len(options) > 1:
        raise ValueError(f"must name a secret, and {' or '.join(sorted(known))} at most: {parts.scheme}://NAME?version=V#MEMBER.")
    if parts.scheme != "aws-sm" and "/" not in secret:
        raise ValueError({"gcp-sm": "must look like gcp-sm://PROJECT/SECRET.", "azure-kv": "must look like azure-kv://VAULT/SECRET.",
                          "vault": "must look like vault://MOUNT/PATH#MEMBER."}[parts.scheme])
    return Reference(text, parts.scheme, secret, options.get("version", ""), options.get("stage", ""), unquote(parts.fragment))


class Kept:
    """What this process has fetched, or the one that it was forked from."""

    def __init__(self) -> None:
        self._fetched: dict[str, Fetched] = {}
        self.accesses: list[dict[str, str]] = []

    def get(self, references: Mapping[str, Sequence[str]], environ: Mapping[str, str], *, renew: bool) -> dict[str, Fetched]:
        """For each reference, whatever settings name it. `renew`: ask again, and go on with what is known where a manager does not answer."""
        missing = [text for text in references if renew or text not in self._fetched]
        answers = fetch(missing, environ) if missing else {}
        for text, found in answers.items():
            known = self._fetched.get(text)
            if not found.problem:
                self._fetched[text] = found
            elif known is not None:
                answers[text] = known
            result = "fetched" if not found.problem else f"{'kept' if known else 'failed'}: {found.problem}"
            self.accesses += [{"name": name, "reference": text, "version": answers[text].version, "result": result} for name in references[text]]
        return {text: answers.get(text) or self._fetched[text] for text in references}

    def told(self) -> list[dict[str, str]]:
        """Who asked for what since this was called last: for the log."""
        accesses, self.accesses = self.accesses, []
        return accesses


KEPT = Kept()


def fetch(references: Sequence[str], environ: Mapping[str, str], *, timeout: float = TIMEOUT) -> dict[str, Fetched]:
    """Ask the managers, all at once. Never raises: each reference has a value or a problem."""
    try:
        done = subprocess.run(  # noqa: S603 - a constant
            FETCH, input=json.dumps({"references": list(references), "timeout": timeout}), env={**environ, "PYTHONPATH": str(ROOT)}, cwd=ROOT,
            capture_output=True, text=True, check=False, timeout=timeout + STARTING)
        answers = json.loads(done.stdout)
        return {text: Fetched(**answers[text]) for text in references}
    except subprocess.TimeoutExpired:
        problem = f"no answer within {timeout:g} seconds."
    except (OSError, ValueError, KeyError, TypeError):
        problem = "the process that asks for it failed."
    return {text: Fetched("", problem=problem) for text in references}
