"""How many requests at once, and how long each may take. Nothing about the application.

Read by `gunicorn wsgi:app`, which is how bin/serve, systemd and supervisor all start it.
"""

import contextlib
import math
import mmap
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from gunicorn import systemd  # type: ignore[import-untyped] # it ships no types
from gunicorn.workers.ggevent import GeventWorker  # type: ignore[import-untyped] # the same

from config import logs
from config.secret_references import KEPT
from config.settings import ConfigurationError, Settings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # noqa: TID251 -- numpy reads it in the workers, whose threads would only fight for the cores

try:
    settings = Settings.from_environ(os.environ, env_file=Path(".env"), renew=True)  # noqa: TID251 -- the environment is read here
except ConfigurationError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(error.EXIT_STATUS)

logs.configure(settings.log_level, settings.log_format)
for access in KEPT.told():  # once for all workers, which are forked from this process
    logs.get("secrets").info("a secret was asked for", **access)
PREPARE = ("-m", "mcp_server.prepare")
RELEASE = Path.cwd()  # the folder itself, not the link `current` through which the service names it
RUNTIME_DIRECTORY = os.environ.get("RUNTIME_DIRECTORY")  # noqa: TID251 -- systemd's, for this process
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
LOADING = 30  # seconds for which a reload waits at most until its workers can answer
DRAIN_IDLE = 2  # seconds for which a stopping worker still waits for the next request of an idle connection


class DrainingWorker(GeventWorker):  # type: ignore[misc] # the same
    """Ends idle keep-alive connections when it stops.

    gunicorn's own worker waits until the last of them ends by itself: 95 seconds here, so that every stop and every
    reload would last the whole graceful_timeout. A busy connection is told `Connection: close` with its next answer.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: WeakKeyDictionary[gevent.Timeout, Any] = WeakKeyDictionary()
        self.answers = mmap.mmap(-1, 1)  # not 0 once it does: told to the main process, which forks us after this

    def timeout_ctx(self) -> gevent.Timeout:
        """Entered by gunicorn while it waits for the head of a request."""
        timeout = gevent.Timeout(self.cfg.keepalive if self.alive else DRAIN_IDLE, False)
        self._waiting[timeout] = gevent.getcurrent()
        return timeout

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        if services := _services(self):
            gevent.spawn(services.drain)
        gevent.spawn_later(DRAIN_IDLE, self._end_waiting)

    def _end_waiting(self) -> None:
        for timeout, greenlet in list(self._waiting.items()):
            gevent.get_hub().loop.run_callback(_expire, timeout, greenlet)


def _expire(timeout: gevent.Timeout, greenlet: Any) -> None:
    if timeout.pending:  # it may have gone on to a request since
        greenlet.throw(timeout)


bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
worker_class = DrainingWorker
workers = settings.web_concurrency
http_parser = "python"  # the one in C has no wheels for Linux: an installation would need a compiler, to save 20 µs a request
worker_connections = 2000  # greenlets of one worker; a waiting model call and an open stream hold one each

# Off: a worker patches itself for gevent before it loads the application, and a reload must load the new code.
preload_app = False

# cloudflared keeps its connections to us for 90 s. Were ours shorter, it would now and then send a request into a
# connection that we are closing, and its caller would see a 502. The price: the head of a request may take as long.
keepalive = 95

UNREAD = 60  # seconds after which a connection is cut whose client reads nothing of what was sent, or is not there any more

timeout = 60  # seconds without a sign of life from a worker, not of a request
graceful_timeout = math.ceil(settings.llm_timeout) + 5  # 30 by default: every tool call in flight may end

limit_request_line = 8190  # long authorization requests
limit_request_fields = 60
limit_request_field_size = 16380  # long tokens

worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 -- memory: a slow disk must not look like a hung worker
chdir = str(RELEASE)  # a worker that starts while `current` already names the next release must not load half of it
pidfile = f"{RUNTIME_DIRECTORY}/gunicorn.pid" if RUNTIME_DIRECTORY else None
control_socket_disable = True  # it would be made in the home folder, which the service does not have
accesslog = None  # the application writes its own line for each request
errorlog = None  # config.logs renders gunicorn's lines
loglevel = settings.log_level.lower()
forwarded_allow_ips = ",".join(settings.trusted_proxies)  # whose X-Forwarded-Proto decides the scheme


def on_starting(server: Any) -> None:
    """Prepare in another process: workers are forked from this one, and psycopg and redis must not be imported unpatched."""
    status = subprocess.run((sys.executable, *PREPARE), check=False).returncode  # noqa: S603 -- constants
    if status:
        sys.exit(status)
    os.environ[METRICS_FOLDER] = tempfile.mkdtemp(prefix="mcp-gateway-metrics-", dir=RUNTIME_DIRECTORY or worker_tmp_dir)  # noqa: TID251 -- prometheus_client looks there
    _check_before_reload(server)


def _check_before_reload(server: Any) -> None:
    reload = server.reload

    def checked() -> None:
        """A broken configuration would end this process, and all workers with it."""
        release = _current_release()
        python = sys.executable if release == RELEASE else str(release / ".venv/bin/python")
        check = subprocess.run((python, *PREPARE, "--check"), cwd=release, check=False, capture_output=True, text=True)  # noqa: S603 -- our own
        if check.returncode:
            refusal = f"Reload refused, the old workers go on: {' '.join(check.stderr.split())}"
            server.log.error("%s", refusal)
            systemd.sd_notify(f"STATUS={refusal}", server.log)  # systemctl reload has ended well by now; systemctl status shows it
        elif release == RELEASE:
            _end_workers_when_others_answer(server)
            reload()
            systemd.sd_notify("STATUS=Reloaded", server.log)
        else:
            _hand_over(server, release)

    server.reload = checked


def _end_workers_when_others_answer(server: Any) -> None:
    """By itself gunicorn ends the workers of before when it has forked the next, which load for seconds: callers would wait meanwhile."""
    manage, before = server.manage_workers, server.worker_age

    def when_others_answer() -> None:
        server.manage_workers = manage
        for _ in range(LOADING * 20):
            if all(worker.answers[0] for worker in server.WORKERS.values() if worker.age > before):
                break
            server.reap_workers()
            time.sleep(0.05)
        manage()

    server.manage_workers = when_others_answer


def _current_release() -> Path:
    """The release to which bin/upgrade has pointed `current`; this one where nothing was installed by it."""
    link = RELEASE.parent.parent / "current"
    return link.resolve() if RELEASE.parent.name == "releases" and (link / "wsgi.py").is_file() else RELEASE


def _hand_over(server: Any, release: Path) -> None:
    """Start that release beside this one, on the same sockets. When all its workers can answer, they end this one.

    This process has imported the old code and cannot forget it: new workers of its own would be a mixture.
    """
    command = [str(release / ".venv/bin/python"), str(release / ".venv/bin/gunicorn"), *server.START_CTX["args"][2:]]
    server.START_CTX.update({0: command[0], "args": command, "cwd": str(release)})
    server.log.info("Handing over to %s", release.name)
    server.reexec()


def _take_over(worker: Any) -> None:
    """End the process that has handed over to ours. systemd hears first whom it watches from now on."""
    predecessor = int(os.environ.get("GUNICORN_PID", "0"))  # noqa: TID251 -- gunicorn's, between two of its processes
    if predecessor and worker.age >= worker.cfg.workers:
        systemd.sd_notify(f"MAINPID={worker.ppid}\nREADY=1", worker.log)
        with contextlib.suppress(ProcessLookupError):
            os.kill(predecessor, signal.SIGTERM)


def post_fork(_server: Any, _worker: Any) -> None:
    """Until a worker has its own answer to a signal it has that of the main process, which only takes note. A stop would be missed."""
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def pre_request(_worker: Any, _request: Any) -> None:
    """Let the others run: a connection whose next request has arrived is served again at once, and nothing else switches."""
    gevent.sleep(0)


def post_worker_init(worker: Any) -> None:
    """The background work begins in the process that does it."""
    for listener in worker.sockets:
        if listener.family != socket.AF_UNIX:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD * 1000)
    if services := _services(worker):
        services.start()
        worker.answers[0] = 1
        _take_over(worker)


def child_exit(_server: Any, worker: Any) -> None:
    """What a worker counted stays counted; what it said of the present ends with it."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 -- it reads the environment when it is imported

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    shutil.rmtree(os.environ.pop(METRICS_FOLDER, ""), ignore_errors=True)  # noqa: TID251 -- see above


def worker_exit(_server: Any, worker: Any) -> None:
    """Close what the worker opened."""
    if services := _services(worker):
        services.close()


def _services(worker: Any) -> Any:
    """What the application built; None in a worker that could not load it."""
    return getattr(getattr(worker, "wsgi", None), "extensions", {}).get("services")
