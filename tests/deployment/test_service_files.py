import configparser
import shutil
import subprocess

import pytest

from tests.running import COMMAND, ROOT

PREFIX = "/opt/mcp-server/current"
UNITS = sorted((ROOT / "systemd").iterdir())
MOST_EXPOSED = 20  # of 100: systemd-analyze says 1.2 as 12


def lines(file):
    """A unit's lines: name to its values."""
    found = {}
    for line in (ROOT / "systemd" / file).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


@pytest.fixture(scope="module")
def unit():
    return lines("mcp-server.service")


@pytest.fixture(scope="module")
def program():
    parsed = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";",))
    parsed.read(ROOT / "supervisor/mcp-server.conf")
    return parsed["program:mcp-server"]


def test_all_three_start_the_same_command(unit, program):
    serve = [line.strip() for line in (ROOT / "bin/serve").read_text().splitlines() if "/gunicorn" in line]
    assert serve == ['"$venv/bin/gunicorn" wsgi:app &']
    assert unit["ExecStart"] == [program["command"]] == [f"{PREFIX}/.venv/bin/gunicorn wsgi:app"]
    assert COMMAND[1:] == ["wsgi:app"]


def test_both_run_as_their_own_user_in_the_same_place(unit, program):
    assert unit["User"] == unit["Group"] == [program["user"]] == ["mcp-server"]
    assert unit["WorkingDirectory"] == [program["directory"]] == [PREFIX]
    assert unit["UMask"] == ["0077"]
    assert program["umask"] == "077"


def test_neither_restarts_into_a_refused_configuration(unit, program):
    assert unit["RestartPreventExitStatus"] == ["78"]
    assert unit["Restart"] == ["on-failure"]
    assert (program["autorestart"], program["exitcodes"], program["startsecs"]) == ("unexpected", "0,78", "0")


def test_a_stop_has_more_time_than_the_longest_call_in_flight(unit, program):
    longest = 90 + 5  # LLM_TIMEOUT's ceiling, and what gunicorn.conf.py adds
    assert "graceful_timeout = math.ceil(settings.llm_timeout) + 5" in (ROOT / "gunicorn.conf.py").read_text()
    assert int(unit["TimeoutStopSec"][0]) > longest
    assert int(program["stopwaitsecs"]) > longest
    assert (unit["KillMode"], program["stopsignal"]) == (["mixed"], "TERM")


def test_systemd_hears_of_a_new_main_process_from_that_process(unit):
    assert (unit["Type"], unit["NotifyAccess"]) == (["notify"], ["all"])
    assert unit["RuntimeDirectory"] == ["mcp-server"]  # gunicorn.conf.py puts its pid there


def test_secrets_reach_the_service_as_files_alone(unit, program):
    assert "SECRETS_DIRECTORY=/etc/mcp-server/credentials" in unit["Environment"]
    assert not [line for line in unit["Environment"] if "_SECRET=" in line or "_TOKEN=" in line]
    assert {"JWT_SECRET_FILE", "DCR_AUTH_TOKEN_FILE"} <= set(_names(program["environment"]))
    assert not {"JWT_SECRET", "DCR_AUTH_TOKEN"} & set(_names(program["environment"]))


def test_systemd_passes_on_nothing_that_a_reload_could_not_change(unit):
    assert "MCP_ENVIRONMENT_FILE=/etc/mcp-server/environment" in unit["Environment"]
    assert not {"EnvironmentFile", "LoadCredential"} & unit.keys()


def test_what_is_written_lies_in_the_state_folder(unit):
    assert unit["StateDirectory"] == ["mcp-server"]
    for name in ("STATE_PATH=", "DATABASE_URL="):
        assert [line for line in unit["Environment"] if line.startswith(name) and "/var/lib/mcp-server/" in line]


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path):
    """verify wants the programs to be there: copies of the units name an installation that is."""
    installed = tmp_path / "mcp-server"
    for name in (".venv/bin/gunicorn", "bin/as-service"):
        program = installed / name
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    copies = [tmp_path / path.name for path in UNITS]
    for copy, path in zip(copies, UNITS, strict=True):
        copy.write_text(path.read_text().replace(PREFIX, str(installed)))
    checked = subprocess.run([_analyze(), "verify", *map(str, copies)], capture_output=True, text=True, check=False)
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if "mcp-server" in line]) == (0, [])


@pytest.mark.parametrize("path", [path for path in UNITS if path.suffix == ".service"], ids=lambda path: path.name)
def test_the_unit_is_hardened(path):
    command = [_analyze(), "security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout[-300:]
    assert "Overall exposure level" in checked.stdout


def test_the_backup_may_do_no_more_than_the_service():
    may = [(ROOT / "systemd" / file).read_text().split("\nCapabilityBoundingSet=")[1].split("SystemCallErrorNumber=EPERM")[0]
           for file in ("mcp-server.service", "mcp-server-backup.service")]
    assert may[0] == may[1]


def test_a_backup_is_made_each_day_as_the_service_and_where_it_looks_for_them(unit):
    timer, backup = lines("mcp-server-backup.timer"), lines("mcp-server-backup.service")
    assert (timer["OnCalendar"], timer["Persistent"]) == (["daily"], ["yes"])
    assert backup["User"] == backup["Group"] == unit["User"]
    assert backup["ExecStart"] == [f"{PREFIX}/bin/as-service flask backup create --keep 14"]
    [folder] = [line.removeprefix("BACKUP_PATH=/var/lib/") for line in unit["Environment"] if line.startswith("BACKUP_PATH=")]
    assert folder in backup["StateDirectory"][0].split()


def _analyze():
    found = shutil.which("systemd-analyze")
    assert found, "systemd-analyze is missing: bin/test installs the package systemd"
    return found


def _names(environment):
    return [part.split("=", 1)[0].strip() for part in environment.split(",") if part.strip()]
