import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from tests.deployment.test_tasks import sockets
from tests.running import API_KEY, ROOT, SECRETS, environment, until

CLIENTS = 4


@pytest.mark.requirement("SEC-000")
def test_the_command_starts_a_server_that_is_ready_and_stops_on_term(gateway):
    gateway.started()
    assert gateway.get("/health/ready") in {200, 503}  # 503 names the model, when this machine has none
    assert gateway.get("/.well-known/oauth-authorization-server") == 200
    gateway.signal(signal.SIGTERM)
    assert gateway.ended() == 0
    assert "Traceback" not in gateway.output()
    assert "Warning" not in gateway.output()


@pytest.mark.requirement("SEC-013")
def test_the_log_holds_one_event_a_line_and_no_secret(gateway):
    gateway.started()
    gateway.signal(signal.SIGTERM)
    gateway.ended()
    lines = gateway.output().splitlines()
    assert len(gateway.events()) == len(lines) > 3
    written = (gateway.folder / ".env").read_text()
    secrets = [line.split("=", 1)[1] for line in written.splitlines() if line.startswith(("JWT_SECRET", "DCR_AUTH_TOKEN", "MCP_API_KEY"))]
    assert not [secret for secret in secrets if secret in gateway.output()]


def test_the_stored_files_are_their_owners_alone(gateway):
    gateway.started()
    files = [path for path in (gateway.folder / "data").iterdir() if path.is_file()]
    assert files
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in files} == {path.name: "0o600" for path in files}


@pytest.mark.requirement("SEC-002")
@pytest.mark.requirement("SEC-005")
def test_a_refused_configuration_exits_78_with_every_problem(gateway):
    gateway.configured(JWT_SECRET="short", DCR_AUTH_TOKEN=None, PORT="http", ALLOWED_ORIGINS="*")
    assert gateway.start().ended() == 78
    for name in ("JWT_SECRET", "DCR_AUTH_TOKEN", "PORT", "ALLOWED_ORIGINS"):
        assert f"  - {name} " in gateway.output()
    assert "Traceback" not in gateway.output()


@pytest.mark.requirement("F22")
def test_a_damaged_database_exits_78_before_a_worker_starts(gateway):
    (gateway.folder / "data").mkdir()
    (gateway.folder / "data/mcp-server.db").write_bytes(b"garbage " * 1000)
    assert gateway.start().ended() == 78
    assert "data/mcp-server.db is damaged" in gateway.output()
    assert gateway.workers() == []


@pytest.mark.requirement("F36")
def test_a_second_server_on_the_same_port_stops_with_a_message(gateway):
    gateway.started()
    second = subprocess.run(
        [*gateway.process.args], cwd=gateway.folder, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False, timeout=30)
    assert second.returncode == 1
    assert "Connection in use" in second.stdout
    assert gateway.is_up()


# --- stopping ---


@pytest.mark.requirement("F29")
def test_a_call_in_flight_is_answered_after_term(gateway, ollama):
    gateway.configured(OLLAMA_API_URL=ollama.url, LLM_BACKEND="ollama", LLM_TIMEOUT=25)
    gateway.started()
    assert gateway.call_tool("llm_generate", prompt="warm up", max_tokens=2)[0] == 200
    until(gateway.has_tested_its_model, "the self-test is over")
    ollama.fault = "slow"
    answers = []
    call = threading.Thread(target=lambda: answers.append(gateway.call_tool("llm_generate", prompt="a long story", max_tokens=10)))
    call.start()
    until(lambda: ollama.answering, "the model is asked")
    gateway.signal(signal.SIGTERM)
    until(lambda: not _accepts(gateway.port), "new connections are refused")
    assert ollama.answering
    call.join()
    [(status, body)] = answers
    assert status == 200
    assert '"isError":true' not in body
    assert gateway.ended() == 0


def test_a_request_whose_body_is_still_arriving_is_answered_after_term(gateway):
    gateway.started()
    body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "ping"}).encode()
    head = f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json\r\nX-API-Key: {API_KEY}\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:10])
        gateway.signal(signal.SIGTERM)
        until(lambda: not _accepts(gateway.port), "new connections are refused")
        client.sendall(body[10:])
        with client.makefile("rb") as answers:
            answer = answers.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"id":7' in answer
    assert gateway.ended() == 0


def test_an_idle_connection_does_not_hold_up_a_stop(gateway):
    gateway.started()
    with contextlib.closing(gateway.connection()) as idle:
        idle.request("GET", "/health/live")
        idle.getresponse().read()
        began = time.monotonic()
        gateway.signal(signal.SIGTERM)
        assert gateway.ended() == 0
        assert time.monotonic() - began < 15  # graceful_timeout is 30
        assert idle.sock.recv(1) == b""


def test_a_stop_right_after_a_start_is_heeded_by_workers_that_are_just_forked(gateway):
    gateway.start()
    until(gateway.workers, "a worker is forked")
    began = time.monotonic()
    gateway.signal(signal.SIGTERM)
    assert gateway.ended() == 0
    assert time.monotonic() - began < 15  # graceful_timeout is 30


def test_a_client_that_reads_nothing_does_not_keep_its_connection_for_ever(gateway):
    settings = gateway.folder / "gunicorn.conf.py"
    impatient = settings.read_text().replace("UNREAD = 60", "UNREAD = 1")
    settings.unlink()
    settings.write_text(impatient)
    gateway.started()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", gateway.port))
        client.sendall(f"GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n\r\n".encode() * 8000)
        until(lambda: not sockets(client.getsockname()[1], of="remote"), "the worker lets go of it", seconds=30)


@pytest.mark.requirement("F28")
def test_a_killed_worker_is_replaced(gateway):
    gateway.started()
    [first] = gateway.workers()
    os.kill(first, signal.SIGKILL)
    until(lambda: len(gateway.workers()) == 2 and gateway.is_up(), "another worker answers")


@pytest.mark.requirement("F33")
def test_workers_leave_when_the_master_is_killed(gateway):
    gateway.started()
    gateway.signal(signal.SIGKILL)
    gateway.process.wait()
    until(lambda: not _accepts(gateway.port), "the port is free")


# --- reloading ---


def test_a_reload_under_load_fails_no_request(gateway):
    gateway.started()
    [old] = gateway.workers()
    reloaded = threading.Event()
    outcomes = [[] for _ in range(CLIENTS)]
    clients = [threading.Thread(target=_ask_until, args=(gateway, reloaded, each)) for each in outcomes]
    for client in clients:
        client.start()
    until(lambda: all(len(each) > 20 for each in outcomes), "all clients are at work")
    gateway.signal(signal.SIGHUP)
    until(lambda: not _alive(old), "the old worker has left")
    before = [len(each) for each in outcomes]
    until(lambda: all(len(each) > count + 20 for each, count in zip(outcomes, before, strict=True)), "the new worker answers")
    reloaded.set()
    for client in clients:
        client.join()
    assert {outcome for each in outcomes for outcome in each} == {200}
    assert gateway.workers()[-1] != old


def test_the_workers_of_before_answer_until_those_of_a_reload_have_loaded(gateway):
    hold = _loads_when_let(gateway)
    gateway.started()
    hold.touch()
    gateway.signal(signal.SIGHUP)
    until(lambda: len(gateway.workers()) == 2, "another worker is forked")
    end = time.monotonic() + 4  # a worker that was told to end accepts for a second
    while time.monotonic() < end:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)) as connection:
            connection.request("GET", "/health/live")
            assert connection.getresponse().status == 200
    hold.unlink()
    until(lambda: not _alive(gateway.workers()[0]), "the old worker has left")
    assert gateway.is_up()


def _loads_when_let(gateway):
    """A file: while it is there, workers wait with loading the application."""
    code = (gateway.folder / "wsgi.py").read_text()
    (gateway.folder / "wsgi.py").unlink()
    (gateway.folder / "wsgi.py").write_text(
        "import pathlib, sys, time\nwhile 'gunicorn' in sys.argv[0] and pathlib.Path('hold').exists():\n    time.sleep(0.05)\n" + code)
    return gateway.folder / "hold"


def test_a_reload_takes_the_changed_settings(gateway):
    gateway.started()
    gateway.configured(OAUTH_ISSUER="http://changed.example.com")
    gateway.signal(signal.SIGHUP)
    metadata = "/.well-known/oauth-authorization-server"
    until(lambda: json.loads(gateway.request("GET", metadata)[1])["issuer"] == "http://changed.example.com", "the new issuer is served")


def _break_settings(gateway):
    gateway.configured(JWT_SECRET="short", PORT="http")
    return ("JWT_SECRET", "PORT")


def _break_code(gateway):
    (gateway.folder / "wsgi.py").unlink()
    (gateway.folder / "wsgi.py").write_text("def broken(:\n")
    return ("The application does not load: SyntaxError",)


@pytest.mark.parametrize("spoil", [_break_settings, _break_code])
@pytest.mark.requirement("F32")
def test_a_reload_with_something_broken_keeps_the_old_workers_and_says_why_in_one_line(gateway, spoil):
    gateway.started()
    [old] = gateway.workers()
    expected = spoil(gateway)
    gateway.signal(signal.SIGHUP)
    until(lambda: "Reload refused" in gateway.output(), "the reload is refused")
    assert gateway.is_up()
    assert gateway.workers() == [old]
    refusals = [event for event in gateway.events() if event.get("level") == "error"]
    assert len(refusals) == 1
    assert all(part in refusals[0]["event"] for part in expected)
    assert len(gateway.events()) == len(gateway.output().splitlines())


def test_a_reload_works_again_once_the_configuration_is_mended(gateway):
    gateway.started()
    [old] = gateway.workers()
    gateway.configured(JWT_SECRET="short")
    gateway.signal(signal.SIGHUP)
    until(lambda: "Reload refused" in gateway.output(), "the reload is refused")
    gateway.configured()
    gateway.signal(signal.SIGHUP)
    until(lambda: gateway.workers()[-1] != old and not _alive(old), "a new worker has taken over")
    assert gateway.is_up()


def test_libraries_of_a_worker_find_in_their_environment_what_the_file_of_settings_says(tmp_path):
    (tmp_path / "settings").write_text("HTTPS_PROXY=http://proxy.internal:3128\n")
    given = environment() | SECRETS | {"PYTHONPATH": str(ROOT), "MCP_ENVIRONMENT_FILE": str(tmp_path / "settings")}
    program = "import os, wsgi; print(os.environ['HTTPS_PROXY'])"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=given, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "http://proxy.internal:3128"


TAKES_OVER = """
import os, runpy, sys
from types import SimpleNamespace

take_over, ended = runpy.run_path(sys.argv[1])["_take_over"], []
os.kill = lambda pid, _: ended.append(pid)
for predecessor in ("0", "4711"):
    os.environ["GUNICORN_PID"] = predecessor
    for age in (1, 2, 3):
        take_over(SimpleNamespace(age=age, cfg=SimpleNamespace(workers=3), ppid=1, log=None))
        print(predecessor, age, ended)
"""


def test_the_former_main_process_is_ended_when_all_workers_of_the_new_one_can_answer(tmp_path):
    done = subprocess.run([sys.executable, "-c", TAKES_OVER, ROOT / "gunicorn.conf.py"], cwd=tmp_path, env=environment() | SECRETS | {
        "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["0 1 []", "0 2 []", "0 3 []", "4711 1 []", "4711 2 []", "4711 3 [4711]"]


def _ask_until(gateway, reloaded, outcomes):
    connection = gateway.connection()
    while not reloaded.is_set():
        try:
            connection.request("GET", "/health/live")
            response = connection.getresponse()
            response.read()
            outcomes.append(response.status)
        except OSError as error:
            outcomes.append(repr(error))
            connection.close()
    connection.close()


def _accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
