import pytest

from tests.running import Gateway
from tests.workers.wire import PASSWORD, USERNAME, Caller

WORKERS = 4
BACK_ENDS = ("SQLite", "Redis")


@pytest.fixture(scope="module")
def start(request, tmp_path_factory):
    """start(back_end, **settings) → a gateway with four workers, with a person who may sign in."""
    started = []

    def start(back_end, **settings):
        gateway = Gateway(tmp_path_factory.mktemp("gateway"))
        started.append(gateway)
        redis = {"REDIS_URL": request.getfixturevalue("redis_url")} if back_end == "Redis" else {}
        gateway.settings = {"WEB_CONCURRENCY": WORKERS, "RATE_LIMIT_OAUTH_MAX": 0, **redis, **settings}
        gateway.configured(**gateway.settings)
        gateway.started()
        gateway.add_user(USERNAME, PASSWORD)
        return gateway

    yield start
    for gateway in started:
        gateway.stop()


@pytest.fixture
def caller(gateway):
    """A registered client of the gateway, and the person who approves it."""
    registered = Caller(gateway)
    registered.register()
    yield registered
    registered.http.close()
