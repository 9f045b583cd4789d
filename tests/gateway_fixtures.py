"""The fixtures of tests/oauth and tests/web: a gateway, its clients and a browser.

`gateway` runs on SQLite files; `open_gateway(**settings)` opens another one on the same files, which is what a second worker or
a restart is. A test that is about state asks for Redis as well, by `both_back_ends`.
"""

from __future__ import annotations

import shutil

import orjson
import pytest
import redis

from mcp_server.app import CONFIG, NOTHING_MORE
from mcp_server.storage.migrations import migrate
from tests.gateway import ENVIRON, Browser, Gateway, NoModel, SettableClock, registration_body, without_nones


class Log:
    """What was written to stdout, line by line."""

    def __init__(self, capfd) -> None:
        self._capfd = capfd
        self._text = ""

    @property
    def text(self) -> str:
        self._text += self._capfd.readouterr().out
        return self._text

    def lines(self):
        return [orjson.loads(line) for line in self.text.splitlines()]

    def audited(self, action):
        return [line for line in self.lines() if line.get("event") == "audit" and line["action"] == action]

    def accesses(self):
        return [line for line in self.lines() if line.get("event") == "request"]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("registry") / "registry.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def clock():
    return SettableClock()


@pytest.fixture
def back_end(request):
    """Where the hot state is: SQLite, unless a test asks for Redis too by `both_back_ends`."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield {}
        return
    url = f"{request.getfixturevalue('redis_url').rpartition('/')[0]}/9"
    with redis.Redis.from_url(url) as connection:
        connection.flushdb()
        yield {"REDIS_URL": url}
        connection.flushdb()


@pytest.fixture
def data_folder(tmp_path, migrated_file):
    """The files of the gateways of a test."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(migrated_file, folder / "registry.db")
    return folder


@pytest.fixture
def open_gateway(data_folder, clock, back_end):
    """open_gateway(**environ) → a gateway on the files of this test. They are closed in the end."""
    opened = []

    def open_one(fetch=None, more=NOTHING_MORE, config=CONFIG, **environ):
        files = {"DATABASE_URL": f"sqlite:///{data_folder}/registry.db", "STATE_PATH": f"{data_folder}/state.db",
                 "KNOWLEDGE_PATH": f"{data_folder}/knowledge"}
        gateway = Gateway(without_nones({**ENVIRON, **files, **back_end, **environ}), clock, NoModel(), fetch, more=more, config=config)
        opened.append(gateway)
        return gateway

    yield open_one
    for gateway in opened:
        gateway.services.close()


@pytest.fixture
def gateway(open_gateway):
    opened = open_gateway()
    opened.add_user()
    return opened


@pytest.fixture
def registration():
    """registration(**changes) → the body of a registration that succeeds, changed."""
    return registration_body


@pytest.fixture
def client(gateway):
    """A confidential client, registered as ServiceNow registers."""
    return gateway.register()


@pytest.fixture
def public_client(gateway):
    return gateway.register(token_endpoint_auth_method="none", redirect_uris=["http://127.0.0.1/callback"])


@pytest.fixture
def browser(gateway):
    """A browser in which nobody is signed in yet."""
    return Browser(gateway)


@pytest.fixture
def flow(gateway, client):
    """flow(**changes) → the tokens of a whole flow."""
    return lambda **changes: gateway.tokens(client, **changes)


@pytest.fixture
def log(capfd):
    return Log(capfd)
