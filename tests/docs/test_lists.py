"""Where the documents, and the hints of the server, list things, the code has them: paths, addresses, states, exit statuses, numbers, commands."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess

import pytest

from config.secret_references import TIMEOUT
from config.settings import ConfigurationError, Settings
from mcp_server.cli import backup, command
from mcp_server.errors import ModelError
from mcp_server.llm.watched import kind_of
from mcp_server.oauth.key_records import PUBLISHED_FIRST
from mcp_server.outbound import client_documents, jwks, safe_fetch
from mcp_server.web import health, running_calls
from tests.documents import DOCUMENTS, NAMES, complaint, inline, texts_of_the_code
from tests.gateway_fixtures import back_end, clock, data_folder, gateway, migrated_file, open_gateway
from tests.installed import ANSWERS
from tests.running import ROOT, SECRETS, environment

__all__ = ["back_end", "clock", "data_folder", "gateway", "migrated_file", "open_gateway"]

OPERATIONS, SECURITY, WATCHING = ((ROOT / name).read_text() for name in ("docs/operations.md", "SECURITY.md", "docs/watching.md"))
STATUSES = {0, command.FAILED, backup.UNUSABLE, command.TRY_LATER, ConfigurationError.EXIT_STATUS}
"""Of our commands; 2 is click's, for a wrong option."""
NOT_OURS = {"/v1/traces", "/.well-known/openid-configuration"}
"""Addresses of other servers."""


def table(text, title):
    """The cells of each row."""
    lines = text.split(f"## {title}\n")[1].split("\n## ")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ") and "---" not in line][1:]


def paths_of_operations():
    """Whole ones; what follows one in the same cell may be below the same folder."""
    for cell, *_ in table(OPERATIONS, "What lies where"):
        folder = ""
        for path in re.findall(r"`([^`]+)`", cell):
            folder = folder or path.rstrip("/").rpartition("/")[0] + "/"
            yield path if path.startswith("/") else folder + path


@pytest.fixture(scope="module")
def made():
    """Every path that bin/install says it would make, or that systemd makes for the units."""
    done = subprocess.run([ROOT / "bin/install", "--dry-run", *ANSWERS], env=environment(), capture_output=True, text=True, check=True)
    said = [line for line in done.stdout.splitlines() if not line.startswith("would: install the packages")]
    units = "\n".join(path.read_text() for path in (ROOT / "systemd").iterdir())
    states = [f"/var/lib/{name}" for line in re.findall(r"^StateDirectory=(.*)$", units, re.MULTILINE) for name in line.split()]
    runtime = [f"/run/{name}/gunicorn.pid" for name in re.findall(r"^RuntimeDirectory=(\S+)$", units, re.MULTILINE)]
    assert 'pidfile = f"{RUNTIME_DIRECTORY}/gunicorn.pid"' in (ROOT / "gunicorn.conf.py").read_text()
    assert "\nAUDIT_LOG_PATH=$logs/audit.log\n" in (ROOT / "bin/install").read_text()
    return {re.sub(r"/releases/[^/]+", "/releases/VERSION-DIGEST", path) for path in
            [*re.findall(r"(?<=\s)/(?:opt|etc|var|usr)/[^\s,]+", "\n".join(said)), *states, *runtime, "/var/log/mcp-server/audit.log"]}


def test_every_path_that_operations_lists_is_one_that_is_made(made):
    listed = [path.rstrip("/") for path in paths_of_operations()]
    assert len(listed) > 14
    assert [path for path in listed if not any(f"{each}/".startswith(f"{path}/") for each in made)] == []


def test_every_path_that_is_made_is_one_that_operations_lists_or_lies_below_one(made):
    listed = [path.rstrip("/") for path in paths_of_operations()]
    assert [path for path in made if not any(path.startswith(each) or each.startswith(path) for each in listed)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_address_that_is_named_is_served(gateway, path):
    served = {re.sub(r"<(?:\w+:)?\w+>", "<>", rule.rule) for rule in gateway.app.url_map.iter_rules()}
    named = {code for code in inline(path.read_text()) if re.fullmatch(r"/[a-z0-9._/<>-]*", code)} - NOT_OURS
    addresses = {code for code in named if not code.startswith(("/etc/", "/opt/", "/var/", "/usr/", "/run/", "/dev/"))}
    assert {address for address in addresses if re.sub(r"<\w+>", "<>", address) not in served} == set()


def test_every_state_that_a_document_tells_of_health_is_one_that_it_has():
    has = {node.value for node in ast.walk(ast.parse(inspect.getsource(health))) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    says = {code for path in DOCUMENTS for line in path.read_text().splitlines()
            for code in inline(line.partition("`/health")[2].partition("`")[2]) if re.fullmatch(r"[a-z][a-z -]+", code)}
    assert says >= {"down", "read-only"}
    assert says - has == {"flask doctor"}


def test_a_reader_finds_every_document_from_the_first_page():
    named = {code for code in inline((ROOT / "README.md").read_text()) if code.startswith("docs/")}
    assert named == {str(path.relative_to(ROOT)) for path in (ROOT / "docs").iterdir()}


def test_every_exit_status_that_is_named_is_one_of_ours():
    named = {int(status) for path in DOCUMENTS for status in re.findall(r"\b(?:exit )?status(?: is)? (\d{1,2})\b", path.read_text(), re.IGNORECASE)}
    recovery = (ROOT / "docs/recovery.md").read_text()
    named |= {int(status) for status in re.findall(r"(\d+) (?:when the|for the rest)", recovery.split("Exit status 0;")[1].split(".")[0])}
    assert named >= {0, 1, 65, 75, 78}
    assert named - STATUSES == set()


def test_the_numbers_in_what_is_defended_are_those_of_the_code():
    true = {f"{client_documents.MOST_BYTES // 1024} kB for a client's document": True, f"{jwks.MOST_BYTES // 1024} kB for its keys": True,
            f"{safe_fetch.SECONDS:.0f} s": True, f"{running_calls.MOST_OF_ONE_CALLER} calls and streams of one caller": True}
    defended = "\n".join(" | ".join(row) for row in table(SECURITY, "What is defended"))
    assert [stated for stated in true if stated not in defended] == []
    for stated in true:
        defended = defended.replace(stated, "")
    assert re.findall(r"\b\d+\b", defended) == []  # a number that nobody compares


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_of_the_code_that_is_named_is_there(path):
    folders = [ROOT / name for name in ("mcp_server", "config", "tests", "supply_chain", "evals")]
    there = [f"/{file.relative_to(ROOT)}" for file in (*ROOT.glob("*.py"), *(file for folder in folders for file in folder.rglob("*.py")))]
    named = {code for code in inline(path.read_text()) if re.fullmatch(r"[\w./]+\.py", code)}
    assert [name for name in sorted(named) if not any(file.endswith(f"/{name}") for file in there)] == []


@pytest.mark.parametrize(("stated", "file", "said"), [
    ("nginx as shipped, for `/mcp` and for the rest | 330, 100", "deploy/nginx/mcp-gateway.conf", "proxy_read_timeout 330s"),
    ("nginx as shipped, for `/mcp` and for the rest | 330, 100", "deploy/nginx/mcp-gateway.conf", "proxy_read_timeout 100s"),
    ("an idle connection: cloudflared, nginx to the gateway, the gateway | 90, 60, 95", "deploy/nginx/mcp-gateway.conf", "keepalive_timeout 60s"),
    ("an idle connection: cloudflared, nginx to the gateway, the gateway | 90, 60, 95", "deploy/cloudflared/config.yml", "keepAliveTimeout: 90s"),
    ("rotated monthly or at 100 MB", "bin/install", "    monthly\n    maxsize 100M\n"),
    ("encrypted with `BACKUP_KEY`; 14 stay", "systemd/mcp-server-backup.service", "backup create --keep 14"),
    ("`redis-server@mcp-server` on port 6390", "bin/install", "redis_port=6390"),
])
def test_the_numbers_in_operations_are_those_of_the_files_that_are_shipped(stated, file, said):
    assert stated in OPERATIONS
    assert said in (ROOT / file).read_text()


def test_the_numbers_in_documents_are_those_of_the_code():
    settings = Settings.from_environ(SECRETS)
    assert f"| {settings.tool_output_limit // 1000} 000 characters (`TOOL_OUTPUT_LIMIT`)" in OPERATIONS
    assert f"it signs {PUBLISHED_FIRST} seconds later" in OPERATIONS
    assert f"{TIMEOUT:.0f} seconds in all are waited" in (ROOT / "docs/secrets.md").read_text()


def test_every_outcome_of_a_model_call_that_is_listed_is_one_that_is_counted():
    [row] = [line for line in WATCHING.splitlines() if line.startswith("| `gateway_model_call_seconds`")]
    listed = set(inline(row.split("and `outcome`:")[1].split(" (nobody")[0]))
    assert listed == {"ok", "gave_up", *(kind_of(error.__new__(error)) for error in ModelError.__subclasses__())}


def test_every_command_that_a_hint_names_exists():
    named = {words for text in texts_of_the_code() for words in re.findall(r"\bflask ([a-z][a-z-]*(?: [a-z][a-z-]*)?(?: --[a-z-]+)*)", text)}
    named -= {"backup writes"}
    assert len(named) > 40
    assert [said for words in sorted(named) if (said := complaint(words.split()))] == []


def test_every_setting_that_a_hint_tells_to_set_exists():
    told = {name for text in texts_of_the_code() for name in re.findall(r"\b(?:[Ss]et|[Ll]et|[Nn]ame) ([A-Z][A-Z0-9]+_[A-Z0-9_]+)\b", text)}
    told |= {name for text in texts_of_the_code() for name in re.findall(r"\b([A-Z][A-Z0-9]+_[A-Z0-9_]+)=", text)}
    assert len(told) > 15
    assert told - NAMES - {"SSL_CERT_FILE", "SECRETS_DIRECTORY"} == set()
