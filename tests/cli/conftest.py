"""The commands on the real application, and a real server beside them that has the same database."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager

import pytest
from werkzeug.serving import make_server

from config.settings import Settings
from mcp_server import command_line
from mcp_server.app import CONFIG, NOTHING_MORE, create_app
from mcp_server.llm.ports import Answer, EmbeddingModel, Embeddings, ModelStatus
from mcp_server.storage.migrations import migrate

SECRETS = {"JWT_SECRET": "kV9mRr2Yb7xQ4tWz8nLs3cHd6fJg1pAe", "DCR_AUTH_TOKEN": "Zt5uXw0Qy8rKo3mNb7vGc2hLd9sFj4eI"}
PASSWORD = "correct horse battery"


class StandIn:
    """No model: it answers whatever the schema wants, to show that the plumbing holds."""

    NAME = "stand-in-for-plumbing-tests"

    SAID = {"reason": "a stand-in", "category": "unknown", "impact": 2, "urgency": 2, "working": "yes"}  # noqa: RUF012 never changed

    def answer(self, prompt, _deadline, _on_token=None):
        wanted = (prompt.schema or {}).get("properties", self.SAID)
        text = json.dumps({name: value for name, value in self.SAID.items() if name in wanted})
        return Answer(text, self.NAME, complete=True, back_end="none")

    def label_probabilities(self, *_):
        return None

    def status(self, _deadline):
        return ModelStatus("none", available=True, model=self.NAME)


class StandInVectors:
    """And no model for embeddings either."""

    def embed(self, texts, _deadline):
        return Embeddings([[1.0, 0.0]] * len(texts), EmbeddingModel("stand-in-vectors", 2))


class Outcome:
    """What a command did. `json` is its whole stdout, so nothing else may be there."""

    def __init__(self, result) -> None:
        self.status, self.out, self.err, self.exception = result.exit_code, result.stdout, result.stderr, result.exception
        assert "Traceback" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception

    @property
    def json(self):
        return json.loads(self.out)


class Machine:
    """A folder with a database, and the settings that point to it."""

    def __init__(self, folder) -> None:
        self.port = free_port()
        self._audit_file = folder / "audit.log"
        self.environ = {
            **SECRETS, "PORT": str(self.port), "OAUTH_ISSUER": f"http://127.0.0.1:{self.port}", "DATABASE_URL": f"sqlite:///{folder}/registry.db",
            "STATE_PATH": f"{folder}/state.db", "KNOWLEDGE_PATH": f"{folder}/knowledge",
            "LOG_FORMAT": "json", "RATE_LIMIT_OAUTH_MAX": "0", "AUDIT_LOG_PATH": str(self._audit_file)}
        self._opened = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def settings(self, **changes):
        return Settings.from_environ({**self.environ, **changes})

    def migrate(self):
        migrate(self.environ["DATABASE_URL"])

    def app(self, model=None, more=NOTHING_MORE, config=CONFIG, embedder=None, **changes):
        app = command_line.build(
            self.settings(**changes), model=model or StandIn(), password_cost=4, more=more, config=config, embedder=embedder or StandInVectors())
        self._opened.append(app)
        return app

    def run(self, *arguments, input=None, app=None, **changes):
        app = app or self.app(**changes)
        return Outcome(app.test_cli_runner().invoke(args=arguments, input=input))

    @property
    def audit(self):
        return [json.loads(line) for line in self._audit_file.read_text().splitlines()]

    @property
    def services(self):
        return self.app().extensions["services"]

    @contextmanager
    def serving(self, **changes):
        app = create_app(self.settings(**changes), model=StandIn(), password_cost=4)
        server = make_server("127.0.0.1", self.port, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            app.extensions["services"].close()

    def close(self):
        for app in self._opened:
            app.extensions["services"].close()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def new_machine(tmp_path, monkeypatch):
    """Without tables yet. In a folder of its own, so that no .env of the developer counts."""
    monkeypatch.chdir(tmp_path)
    built = Machine(tmp_path)
    yield built
    built.close()


@pytest.fixture
def machine(new_machine):
    new_machine.migrate()
    return new_machine


@pytest.fixture
def run(machine):
    return machine.run
