"""`flask` itself, as an operator runs it in the folder of the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import Settings

ROOT = Path(__file__).parents[2]
FLASK = str(Path(sys.executable).with_name("flask"))
SECRETS = {"JWT_SECRET": "kV9mRr2Yb7xQ4tWz8nLs3cHd6fJg1pAe", "DCR_AUTH_TOKEN": "Zt5uXw0Qy8rKo3mNb7vGc2hLd9sFj4eI"}


@pytest.fixture
def flask(tmp_path):
    for name in (".flaskenv", "config", "mcp_server"):
        (tmp_path / name).symlink_to(ROOT / name)

    def flask(*arguments, **environ):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environ}
        return subprocess.run([FLASK, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return flask


def write_env(folder, **settings):
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    (folder / ".env").chmod(0o600)


@pytest.mark.parametrize("arguments", [("users", "list"), ("servicenow", "connect"), ("servicenow", "simulate"), ("routes",), ("run",)])
def test_a_refused_configuration_ends_a_command_with_every_problem_and_status_78(flask, arguments):
    refused = flask(*arguments)
    assert refused.returncode == 78
    assert "JWT_SECRET" in refused.stderr
    assert "DCR_AUTH_TOKEN" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_secrets_can_be_generated_without_a_configuration_and_are_accepted(flask):
    lines = dict(line.split("=", 1) for line in flask("secrets", "generate", "--env").stdout.splitlines())
    assert list(lines) == ["JWT_SECRET", "DCR_AUTH_TOKEN", "BACKUP_KEY", "MCP_API_KEY"]
    assert Settings.from_environ(lines).jwt_secret == lines["JWT_SECRET"]


def test_doctor_explains_each_problem_of_a_refused_configuration(flask):
    looked = flask("doctor", "--json", PORT="eighty", **SECRETS)
    assert looked.returncode == 1
    (finding,) = json.loads(looked.stdout)
    assert "PORT must be a whole number" in finding["said"]


@pytest.mark.parametrize(("setting", "value", "named"), [
    ("DATABASE_URL", "sqlite://", "DATABASE_URL"), ("AUDIT_LOG_PATH", "no/such/folder/audit.log", "no/such/folder/audit.log")])
def test_what_cannot_be_opened_is_a_refused_configuration_too(flask, setting, value, named):
    refused = flask("users", "list", **SECRETS, **{setting: value})
    assert refused.returncode == 78
    assert named in refused.stderr
    assert "Traceback" not in refused.stderr


def test_help_lists_every_group_even_when_the_configuration_is_refused(flask):
    shown = flask("--help").stdout
    for group in ("audit", "clients", "doctor", "secrets", "servicenow", "tokens", "tools", "users"):
        assert f"\n  {group} " in shown


def test_the_env_file_is_read_in_development(flask, tmp_path):
    write_env(tmp_path, **SECRETS, OAUTH_ISSUER="http://localhost:7070")
    connect = flask("servicenow", "connect", "--json")
    assert json.loads(connect.stdout)["dynamic_registration"]["MCP Server URL"] == "http://localhost:7070/mcp"


def test_the_env_file_is_not_read_in_production(flask, tmp_path):
    write_env(tmp_path, **SECRETS, OAUTH_ISSUER="https://mcp.example.com")
    assert flask("servicenow", "connect", ENVIRONMENT="production").returncode == 78


def test_audit_lines_go_to_their_file(flask, tmp_path):
    environ = {**SECRETS, "AUDIT_LOG_PATH": "audit.log", "DATABASE_URL": "sqlite:///registry.db", "STATE_PATH": "state.db"}
    prepared = subprocess.run([sys.executable, "-m", "mcp_server.prepare"], cwd=tmp_path, env={"PATH": os.environ["PATH"], **environ}, check=False)
    assert prepared.returncode == 0
    added = flask("users", "add", "jo", "--generate", "--json", **environ)
    assert json.loads(added.stdout)["username"] == "jo"
    assert added.stderr == ""
    (line,) = (tmp_path / "audit.log").read_text().splitlines()
    assert json.loads(line)["action"] == "user_added"
