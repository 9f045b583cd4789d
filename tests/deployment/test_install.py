"""bin/install and bin/upgrade in a folder that stands for /. What needs a running systemd is checked as a file (test_service_files.py)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import threading
from pathlib import Path

import pytest
import redis

from config.settings import Settings
from tests.installed import ANSWERS, VENV, Installation, Sources
from tests.running import ROOT, environment, until
from tests.servers import end, free_port, wait_until


@pytest.fixture
def sources(tmp_path):
    return Sources(tmp_path / "sources")


@pytest.fixture
def installation(tmp_path, sources):
    built = Installation(tmp_path / "root", sources)
    yield built
    built.stop()


def tree(root, *, times=False):
    """Every path: kind and mode, content, and when it was written."""
    found = {}
    for path in sorted(root.rglob("*")):
        told = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (stat.filemode(told.st_mode), content, told.st_mtime_ns if times else None)
    return found


@pytest.mark.requirement("OPS-001")
def test_a_dry_run_tells_each_step_that_a_real_run_makes_and_changes_nothing(installation):
    told = installation.install("--dry-run").stdout.splitlines()
    assert not installation.root.exists()
    done = installation.install().stdout.splitlines()
    steps = [line.removeprefix("would: ") for line in told]
    assert [line for line in done if line in steps] == steps
    assert len(steps) > 15


def test_a_dry_run_for_the_machine_itself_tells_of_the_user_the_redis_and_the_service(sources):
    program = sources.folder / "bin/install"
    done = subprocess.run([program, "--dry-run", *ANSWERS], env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for part in ("make the user mcp-server, who cannot log in", "write /etc/redis/redis-mcp-server.conf",
                 "make the secret /etc/mcp-server/credentials/JWT_SECRET", "write /etc/systemd/system/mcp-server.service",
                 "make the secret /etc/mcp-server/credentials/BACKUP_KEY", "write /etc/systemd/system/mcp-server-backup.timer",
                 "write /etc/logrotate.d/mcp-server", "point /opt/mcp-server/current to it"):
        assert f"would: {part}" in done.stdout
    assert not os.path.lexists("/opt/mcp-server")
    assert not os.path.lexists("/etc/mcp-server")


def test_what_the_timer_starts_makes_a_backup_that_the_doctor_finds(installed):
    [command] = [line.removeprefix("ExecStart=") for line in installed.path("etc/systemd/system/mcp-server-backup.service").read_text().splitlines()
                 if line.startswith("ExecStart=")]
    assert command.startswith(f"{installed.root}/opt/mcp-server/current/bin/as-service ")
    done = subprocess.run(command.split(), env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [made] = installed.path("var/lib/mcp-server/backups").iterdir()
    assert installed.command("backup", "verify", made).returncode == 0
    [told] = [line for line in installed.command("doctor").stdout.splitlines() if "newest of 1 in" in line]
    assert told.startswith("ok")


def test_a_backup_key_among_the_settings_is_not_made_again(installed):
    key = installed.path("etc/mcp-server/credentials/BACKUP_KEY")
    installed.set(BACKUP_KEY=key.read_text())
    key.unlink()
    installed.install()
    assert not key.exists()


RUNS = 'show*) printf "loaded\nno\n" ;; is-active*|is-enabled*) true ;;'
RESTS = 'show*) printf "not-found\nno\n" ;; is-active*|is-enabled*) false ;;'


@pytest.mark.parametrize(("systemd", "function", "done"), [
    (RUNS, "start_services", []), (RUNS, "uninstall", ["stop it-backup.timer", "stop it", "stop its-redis", "tell systemd"]),
    (RESTS, "start_services", ["tell systemd", "start its-redis, now and at every boot", "start it, now and at every boot",
                                "start it-backup.timer, now and at every boot"]),
    (RESTS, "uninstall", [])], ids=["install, running", "uninstall, running", "install, not there", "uninstall, not there"])
@pytest.mark.requirement("OPS-001")
def test_only_what_does_not_run_yet_is_started_and_only_what_runs_is_stopped(systemd, function, done):
    functions = "start_services() {" + (ROOT / "bin/install").read_text().split("start_services() {")[1].split("next_steps() {")[0]
    stand_ins = f"""systemctl() {{ case $* in {systemd} esac; }}
        change() {{ changes=$((changes + 1)); echo "did: $1"; }}
        with_systemd() {{ true; }}; own_redis() {{ true; }}; say() {{ true; }}; name=it redis_instance=its-redis changes=0 purge='' dry_run=''
        units=/nowhere root=/nowhere application=/nowhere"""
    told = subprocess.run(["bash", "-c", f"{stand_ins}\n{functions}\n{function}"], capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == [f"did: {step}" for step in done]


def test_what_was_installed_serves(installed):
    added = installed.command("users", "add", "admin", "--operator", "--generate")
    assert added.returncode == 0, added.stderr
    installed.start()
    assert installed.get("/health/ready")[0] == 200
    assert "admin" in installed.command("users", "list").stdout
    doctor = installed.command("doctor").stdout
    assert "accepted; environment production, issuer https://mcp.example.com" in doctor
    assert f"http://127.0.0.1:{installed.port} serves the metadata" in doctor
    assert installed.get("/health/live")[1]["status"] == "alive"


def test_secrets_are_for_root_and_the_service_alone_and_are_never_shown(installation):
    told = installation.install().stdout
    folder = installation.path("etc/mcp-server/credentials")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    values = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(values) == {"JWT_SECRET", "DCR_AUTH_TOKEN", "BACKUP_KEY"}
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in values} == {0o640}
    assert len(set(values.values())) == 3
    assert {len(value) for value in values.values()} == {64}
    assert not [value for value in values.values() if value in told]
    Settings.from_environ(values)  # no complaint about weak ones


@pytest.mark.parametrize("program", ["install", "upgrade"])
def test_secrets_that_only_root_can_read_or_everybody_are_opened_to_the_service_alone(installed, program):
    folder = installed.path("etc/mcp-server/credentials")
    folder.chmod(0o700)
    (folder / "JWT_SECRET").chmod(0o600)  # as an older version left it
    (folder / "DCR_AUTH_TOKEN").chmod(0o644)
    getattr(installed, program)()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())} == {0o750, 0o640}


@pytest.mark.requirement("OPS-001")
def test_a_second_run_changes_nothing(installed):
    before = tree(installed.root, times=True)
    done = installed.install()
    assert "nothing was changed" in done.stdout
    assert tree(installed.root, times=True) == before


def test_no_other_user_can_read_what_is_not_theirs_whatever_the_umask(installation):
    umask = os.umask(0o077)
    try:
        installation.install()
    finally:
        os.umask(umask)
    unreadable = [name for name, (mode, _, _) in tree(installation.path("opt/mcp-server")).items() if mode[7] != "r"]
    assert unreadable == []  # the service's user reads the program; what is secret lies elsewhere
    assert tree(installation.path("var/lib"))["mcp-server"][0] == "drwx------"


@pytest.mark.requirement("OPS-001")
def test_what_a_half_finished_run_left_is_mended_by_the_next(installed):
    before = tree(installed.root)
    for lost in ("opt/mcp-server/current", "opt/mcp-server/releases/*/.complete", "etc/systemd/system/mcp-server.service",
                 "etc/logrotate.d/mcp-server", "etc/mcp-server/tools", "usr/local/sbin/mcp-server", "var/log/mcp-server"):
        [path] = installed.root.glob(lost)
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if lost.endswith(".complete"):
            (path.parent / "wsgi.py").unlink()
        installed.install()
        after = tree(installed.root)
        assert {name for name in before.keys() ^ after.keys() if "audit" not in name} == set(), lost


def test_a_run_that_ends_in_the_middle_leaves_no_release_that_would_be_started(installation):
    installation.sources.replace("mcp_server/prepare.py", "def main(", "raise SystemExit(3)\ndef main(")
    done = installation.install(check=False)
    assert done.returncode == 1
    assert "install again: it goes on where it stopped" in done.stderr
    assert not installation.path("opt/mcp-server/current").is_symlink()
    installation.sources.replace("mcp_server/prepare.py", "raise SystemExit(3)\ndef main(", "def main(")
    installation.install()
    installation.start()


@pytest.mark.parametrize(("options", "said"), [
    ((), "Say under which address"),
    (("--issuer", "https://mcp.example.com"), "Say which ServiceNow instance"),
    (("--issuer", "http://mcp.example.com"), "--issuer is an https address"),
    (("--issuer", "https://mcp.example.com/mcp"), "--issuer is an https address"),
    (("--issuer", "https://a.example\nJWT_SECRET=x"), "--issuer is an https address"),
    (("--servicenow",), "--servicenow is https"),
    (("--redis", "localhost"), "--redis is a redis://"),
    (("--purge",), "--purge goes with --uninstall"),
    (("--venv", "/nowhere"), "has no bin/python"),
    (("--upgarde",), "There is no option --upgarde"),
    (("--redis", "redis://h", "--no-redis"), "exclude each other")])
def test_a_wrong_option_is_refused_in_words_before_anything_is_changed(installation, options, said):
    answers = () if not options or options[0] in ("--issuer", "--servicenow") else ANSWERS
    done = installation.run("install", *answers, *options, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert options[:1] == ("--venv",) or not installation.root.exists()


def test_an_upgrade_without_an_installation_is_refused(installation):
    done = installation.upgrade(check=False)
    assert (done.returncode, "bin/install comes first" in done.stderr) == (1, True)
    assert not installation.root.exists()


def test_two_at_once_do_not_meet(installed):
    lock = installed.path("opt/mcp-server/.lock")
    with subprocess.Popen(["flock", lock, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdin.write(b"x")
        holder.stdin.flush()
        holder.stdout.read(0)
        until(lambda: subprocess.run(["flock", "-n", lock, "true"], check=False).returncode, "the lock is held")
        assert "is at work here" in installed.upgrade(check=False).stderr


def test_an_environment_that_lacks_a_package_is_refused_by_its_name(installation):
    installation.sources.replace("requirements.txt", "Flask==", "Flask==99.")
    done = installation.install(check=False)
    assert done.returncode == 1
    assert "Flask 99." in done.stderr
    assert not installation.path("opt/mcp-server/current").is_symlink()


class Load:
    """Somebody asks all the time, on a connection each. Counts what was not answered."""

    def __init__(self, installed):
        self._installed, self._ended = installed, threading.Event()
        self.versions, self.failures, self.answered = set(), [], 0
        self._threads = [threading.Thread(target=self._ask) for _ in range(2)]

    def _ask(self):
        while not self._ended.wait(0.01):
            status, body = self._installed.get("/health/live")
            if status == 200:
                self.answered += 1
                self.versions.add(body["version"])
            else:
                self.failures.append((status, body))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.requirement("OPS-002")
def test_an_upgrade_hands_over_without_losing_a_request_and_tells_systemd_whom_to_watch(installed):
    installed.start()
    first, before = installed.main_pid(), installed.get("/health/live")[1]["version"]
    installed.told()
    installed.sources.version("9.1.0")
    with Load(installed) as load:
        done = installed.upgrade()
    assert done.stdout.splitlines()[-1].startswith("9.1.0-")
    assert load.failures == []
    assert load.answered > 10
    assert load.versions == {before, "9.1.0"}
    assert installed.get("/health/live")[1]["version"] == "9.1.0"
    assert installed.main_pid() != first
    assert f"MAINPID={installed.main_pid()}" in installed.told()
    assert installed.process.wait(60) == 0  # the one that was started has ended well
    assert installed.releases() == sorted([before, "9.1.0"])


def test_systemd_looks_at_the_new_main_process_again_once_it_serves():
    """Found under a running systemd: without this a stop after an upgrade killed the service at once, calls in flight with it."""
    functions = (ROOT / "bin/upgrade").read_text().split("hand_over() {")[1].split("go_back() {")[0]
    told = ("write_unit", "point_to", "starts", "reload", "wait_until_it_serves", "systemctl")
    stand_ins = "\n".join(f'{name}() {{ echo "{name} $*"; }}' for name in told)
    script = f"{stand_ins}\nruns_from() {{ false; }}\nwith_systemd() {{ true; }}\nhand_over() {{{functions}\nhand_over new"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-3:] == ["reload ", "wait_until_it_serves new", "systemctl daemon-reload"]


@pytest.mark.requirement("OPS-003")
def test_a_version_that_does_not_become_ready_is_taken_back(installed):
    installed.start()
    before = installed.current()
    installed.sources.version("9.2.0")
    installed.sources.replace("mcp_server/web/health.py", '"not ready", found, 200 if complete else 503', '"not ready", found, 503')
    with Load(installed) as load:
        done = installed.upgrade("--wait", "15", check=False)
    assert done.returncode == 1
    assert f"{before}-" in done.stderr
    assert "serves again, nothing was lost" in done.stderr
    assert load.failures == []
    assert installed.current() == before
    assert installed.get("/health/live")[1]["version"] == before
    assert installed.get("/health/ready")[0] == 200


def test_a_version_that_dies_at_its_start_is_given_up_at_once_and_the_old_one_never_stopped(installed):
    installed.start()
    before, pid = installed.current(), installed.main_pid()
    installed.sources.version("9.3.0")
    installed.sources.replace("gunicorn.conf.py", "(server: Any) -> None:\n", "(server: Any) -> None:\n    sys.exit(7)\n")
    done = installed.upgrade(check=False)
    assert done.returncode == 1
    assert "serves again" in done.stderr
    assert (installed.current(), installed.main_pid()) == (before, pid)
    assert installed.get("/health/ready")[0] == 200


def test_a_version_that_the_configuration_does_not_suit_is_refused_before_anything_is_switched(installed):
    installed.start()
    before, pid = installed.current(), installed.main_pid()
    installed.set(LLM_TIMEOUT="never")
    installed.sources.version("9.4.0")
    done = installed.upgrade(check=False)
    assert done.returncode == 1
    assert "LLM_TIMEOUT" in done.stderr
    assert (installed.current(), installed.main_pid()) == (before, pid)


def test_a_worker_that_starts_while_the_link_names_the_next_release_is_of_its_own_release(installed):
    installed.start()
    link, before = installed.path("opt/mcp-server/current"), installed.current()
    following = link.resolve().with_name("9.9.0-00000000")
    shutil.copytree(link.resolve(), following, symlinks=True)
    (following / "mcp_server/__init__.py").write_text('__version__ = "9.9.0"\n')
    link.unlink()
    link.symlink_to(following)
    children = Path(f"/proc/{installed.main_pid()}/task/{installed.main_pid()}/children")
    [worker] = children.read_text().split()
    os.kill(int(worker), signal.SIGKILL)
    until(lambda: children.read_text().split() not in ([], [worker]), "another worker runs")
    assert until(lambda: installed.get("/health/live")[0] == 200 and installed.get("/health/live")[1], "it answers")["version"] == before


def test_one_can_go_back_by_hand(installed):
    installed.start()
    before = installed.current()
    installed.sources.version("9.5.0")
    installed.upgrade()
    installed.upgrade("--back")
    assert installed.get("/health/live")[1]["version"] == installed.current() == before


def test_what_the_operator_wrote_is_kept_and_what_we_shipped_lies_beside_it(installed):
    taxonomy = installed.path("etc/mcp-server/incident_taxonomy.yaml")
    taxonomy.write_text(taxonomy.read_text() + "# ours\n")
    shutil.rmtree(installed.path("etc/mcp-server/prompts"))
    installed.path("etc/mcp-server/prompts").mkdir()
    installed.sources.version("9.6.0")
    installed.upgrade()
    current = installed.path("opt/mcp-server/current/config")
    assert (current / "incident_taxonomy.yaml").read_text().endswith("# ours\n")
    assert not (current / "shipped/incident_taxonomy.yaml").read_text().endswith("# ours\n")
    assert list((current / "prompts").iterdir()) == []
    assert list((current / "shipped/prompts").iterdir())


def test_all_that_an_operator_writes_in_config_is_kept_over_upgrades():
    ours = {"example.env", "__pycache__"} | {path.name for path in (ROOT / "config").glob("*.py")}
    listed = (ROOT / "bin/installation.sh").read_text().split("operator_files=(")[1].split(")")[0].split()
    assert set(listed) == {path.name for path in (ROOT / "config").iterdir()} - ours


def test_as_many_releases_stay_as_were_asked_for(installed):
    for number in ("9.7.1", "9.7.2"):
        installed.sources.version(number)
        installed.upgrade("--keep", "2")
    assert installed.releases() == ["9.7.1", "9.7.2"]


def test_uninstalling_keeps_the_data_and_a_new_installation_goes_on_with_it(installed):
    installed.command("users", "add", "admin", "--generate")
    secrets = tree(installed.path("etc/mcp-server/credentials"))
    told = installed.run("install", "--uninstall").stdout
    assert "Kept: " in told
    assert {path.name for path in installed.root.rglob("*mcp-server*")} == {"mcp-server", "mcp-server.db"}
    assert not installed.path("opt/mcp-server").exists()
    assert list(installed.path("etc/systemd/system").iterdir()) == []
    installed.install()
    assert tree(installed.path("etc/mcp-server/credentials")) == secrets
    assert "admin" in installed.command("users", "list").stdout


def test_purging_leaves_nothing(installed):
    installed.run("install", "--uninstall", "--purge", "--dry-run")
    assert installed.path("opt/mcp-server/current").exists()
    installed.run("install", "--uninstall", "--purge")
    assert [path for path in installed.root.rglob("*") if not path.is_dir() or "mcp-server" in path.name] == []
    assert "nothing to remove" in installed.run("install", "--uninstall").stdout


@pytest.fixture
def own_redis(installation):
    """The installation's own Redis, started from the file that bin/install wrote."""
    installation.run("install", "--venv", VENV, *ANSWERS)
    port = free_port()
    process = subprocess.Popen(["redis-server", installation.path("etc/redis/redis-mcp-server.conf"), "--port", str(port)], stdout=subprocess.DEVNULL)
    password = installation.path("etc/mcp-server/credentials/REDIS_PASSWORD").read_text()
    with redis.Redis(port=port, password=password) as connection:

        def answers():
            with contextlib.suppress(redis.ConnectionError):
                return connection.ping()
            return False

        wait_until(answers, process)
        yield installation, connection
    end(process, process.terminate)


def test_the_redis_of_the_installation_keeps_everything_and_asks_for_a_password(own_redis):
    installation, connection = own_redis
    told = connection.config_get("*")
    assert (told["maxmemory-policy"], told["appendonly"], told["appendfsync"], told["bind"]) == ("noeviction", "yes", "everysec", "127.0.0.1")
    with redis.Redis(port=connection.connection_pool.connection_kwargs["port"]) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    drop_in = installation.path("etc/systemd/system/mcp-server.service.d/redis.conf").read_text()
    assert "Wants=redis-server@mcp-server.service" in drop_in
    assert "REDIS_PORT=6390" in installation.path("etc/mcp-server/environment").read_text()
    assert "redis" in installation.command("doctor").stdout.lower()


def test_a_redis_of_ones_own_is_a_secret_too_and_stays_over_a_second_run(installation):
    for options in (("--redis", "redis://:hunter2@10.0.0.5:6379/3"), ()):
        told = installation.run("install", "--venv", VENV, *ANSWERS, *options)
        assert "hunter2" not in told.stdout
        assert installation.path("etc/mcp-server/credentials/REDIS_URL").read_text() == "redis://:hunter2@10.0.0.5:6379/3"
        assert not installation.path("etc/redis").exists()


def test_logrotate_renames_the_audit_log_and_its_chain_goes_on(installed, tmp_path):
    installed.command("users", "add", "one", "--generate")
    rotation, log = installed.path("etc/logrotate.d/mcp-server"), installed.path("var/log/mcp-server/audit.log")
    inode = log.stat().st_ino
    rotated = subprocess.run(["logrotate", "--force", "--state", tmp_path / "state", rotation], capture_output=True, text=True, check=False)
    assert (rotated.returncode, rotated.stderr) == (0, "")
    assert log.with_name("audit.log.1").stat().st_ino == inode  # the file itself, not a copy
    installed.command("users", "add", "two", "--generate")
    assert {path.name for path in installed.path("var/log/mcp-server").glob("audit.log*")} == {"audit.log", "audit.log.1"}
    verified = installed.command("audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_the_service_stops_well_after_an_upgrade(installed):
    installed.start()
    installed.sources.version("9.8.0")
    installed.upgrade()
    pid = installed.main_pid()
    os.kill(pid, signal.SIGTERM)
    until(lambda: not (installed.runtime / "gunicorn.pid").exists(), "it has ended")
    assert installed.get("/health/live")[0] == 0
