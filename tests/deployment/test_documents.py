"""What README.md and docs/ tell people to type and to expect: shell blocks, commands, form values, error texts, settings and paths."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import Settings
from tests.documents import BLOCKS, DOCUMENTS, INSTALLED, NAMES, complaint, inline, ours, texts_of_the_code
from tests.running import API_KEY, ROOT, SECRETS, environment

OPERATIONS, SERVICENOW = (ROOT / "docs/operations.md").read_text(), (ROOT / "docs/servicenow.md").read_text()


def test_there_are_blocks_to_be_checked():
    assert {path.name for path, _, _ in BLOCKS} >= {"README.md", "operations.md"}
    assert len(BLOCKS) > 6


@pytest.mark.parametrize(("path", "number", "block"), BLOCKS, ids=[f"{path.name}-{number}" for path, number, _ in BLOCKS])
def test_a_shell_block_is_good_shell(path, number, block):
    assert subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False).stderr == ""
    shellcheck = [Path(sys.executable).with_name("shellcheck"), "-s", "bash", "-"]
    assert subprocess.run(shellcheck, input=block, capture_output=True, text=True, check=False).stdout == ""


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_of_ours_exists_with_its_options(path):
    text = path.read_text()
    blocks = [block for other, _, block in BLOCKS if other == path]
    spoken = [code for code in (code.replace(" …", "") for code in inline(text)) if code.startswith(("flask ", "sudo ", "bin/", f"{INSTALLED} ")) ]
    found = [call for shell in (*blocks, *spoken) for call in ours(shell)]
    for program, words in found:
        if program == "flask":
            assert complaint(words) == "", words
        else:
            script = (ROOT / program).read_text()
            if program == "bin/bench":
                continue  # its options are argparse's
            assert not [word for word in words if word.startswith("--") and word not in script], (program, words)


def test_a_command_that_is_not_there_would_be_noticed():
    assert complaint(["clients", "rotate", "ID"]) == "clients has no command rotate"
    assert complaint(["clients", "list", "--jsno"]) == "list has no option --jsno"
    assert complaint(["clients", "list", "--json"]) == ""
    found = list(ours("sudo mcp-server users add X | tee y && bin/upgrade --dry-run"))
    assert found == [("flask", ["users", "add", "X"]), ("bin/upgrade", ["--dry-run"])]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_setting_that_is_named_exists(path):
    named = {code for code in inline(path.read_text()) if re.fullmatch(r"[A-Z][A-Z0-9]+_[A-Z0-9_]+", code)}
    others = {"AWS_REGION", "OLLAMA_KEEP_ALIVE", "PIP_INDEX_URL", "OAUTH_ISSUER", "CREDENTIALS_DIRECTORY", "SECRETS_DIRECTORY", "NAME_FILE"}
    written = {name for name in named - NAMES - others if not _in_code(name)}
    assert written == set()


def _in_code(name):
    """Constants of the code that a document speaks of."""
    return any(name in path.read_text() for path in (*(ROOT / "mcp_server").rglob("*.py"), *(ROOT / "config").rglob("*.py")))


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What `flask servicenow connect` prints, for the server of the guide."""
    folder = tmp_path_factory.mktemp("connect")
    settings = SECRETS | {
        "OAUTH_ISSUER": "https://mcp.example.com", "MCP_API_KEY": API_KEY, "STATE_PATH": str(folder / "state.db"),
        "DATABASE_URL": f"sqlite:///{folder}/registry.db", "FLASK_APP": "mcp_server.command_line", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "flask", "servicenow", "connect", "--json"]
    done = subprocess.run(command, cwd=folder, env=environment() | settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("form", "section"), [("dynamic_registration", "B"), ("manual_registration", "C"), ("api_key", "D")])
@pytest.mark.requirement("OPS-005")
def test_the_guide_has_the_form_values_word_for_word(printed, form, section):
    [part] = [part for part in SERVICENOW.split("\n## ") if part.startswith(f"{section}. ")]
    written = dict(re.findall(r"^\| (.+?) \| (.+) \|$", part, re.MULTILINE))
    written.pop("field")
    assert written == printed[form]


def test_the_guide_names_the_redirect_uris_that_are_registered(printed):
    assert [uri for uri in printed["redirect_uris"]["allow"] if f"`{uri}`" not in SERVICENOW] == []


@pytest.fixture(scope="module")
def texts():
    return list(texts_of_the_code())


@pytest.mark.requirement("OPS-005")
def test_every_error_text_in_the_table_is_one_that_the_server_says(texts):
    table = SERVICENOW.split("## What this server says, and what to do")[1]
    listed = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(listed) > 15
    parts = [part.strip() for text in listed for part in text.split("…")]
    assert [part for part in parts if not any(part in text for text in texts)] == []


RESTART = re.compile(r"restart (?:the )?(?:server|gateway|service|it)\b|systemctl restart", re.IGNORECASE)


def test_nobody_is_told_to_restart_what_a_reload_brings_up_to_date(texts):
    """A reload reads all settings, secrets and files, and loses no request: docs/operations.md, "Reload, restart, stop"."""
    assert [text for text in texts if RESTART.search(text)] == []
    files = [*DOCUMENTS, *(ROOT / "bin").iterdir(), *(path for path in (ROOT / "config").rglob("*") if path.suffix in {".yaml", ".env"})]
    found = {(path.name, line) for path in files for line in path.read_text().splitlines() if RESTART.search(line)}
    assert found == {("operations.md", "sudo systemctl restart mcp-server    # calls in flight are answered first; callers meanwhile are not")}


def test_every_file_of_ours_that_is_named_is_there():
    named = {code for path in DOCUMENTS for code in inline(path.read_text()) if re.fullmatch(r"(deploy|docs|bin|systemd|supervisor)/[\w./-]*", code)}
    assert len(named) > 8
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_numbers_in_operations_are_those_of_the_code():
    settings = Settings.from_environ(SECRETS)
    gunicorn = (ROOT / "gunicorn.conf.py").read_text()
    installed = (ROOT / "bin/install").read_text()
    unit = (ROOT / "systemd/mcp-server.service").read_text()
    shared = (ROOT / "bin/installation.sh").read_text()
    for stated, true in (
            (f"| {settings.port} | the gateway (`PORT`) |", True),
            ("| 6390 | its Redis |", "redis_port=6390" in installed),
            (f"(`LLM_TIMEOUT`) | {settings.llm_timeout:.0f}, at most 90 |", True),
            (f"(`LLM_STREAM_TIMEOUT`) | {settings.llm_stream_timeout} |", True),
            ("| 2000; a waiting", "worker_connections = 2000" in gunicorn),
            ("| 90, 60, 95: whoever", "keepalive = 95" in gunicorn),
            ("`LLM_TIMEOUT` + 5, 100 |", "TimeoutStopSec=100" in unit and "math.ceil(settings.llm_timeout) + 5" in gunicorn),
            (f"| {settings.rate_limit_oauth_max} in {settings.rate_limit_oauth_window // 60} minutes", True),
            (f"| {settings.rate_limit_mcp_max} a minute", settings.rate_limit_mcp_window == 60),
            ("within `--wait` seconds (240)", "patience=240" in shared),
            ("three stay", "keep=3" in shared)):
        assert stated in OPERATIONS
        assert true, stated
