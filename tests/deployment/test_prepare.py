import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

CLIENTS = [{"client_id": "mcp-client-1", "client_secret": "Zq1Wx2Ec3Rv4Tb5Yn6Um7", "redirect_uris": ["https://dev1.service-now.com/oauth_redirect.do"]}]


def test_it_makes_the_database_and_may_be_run_again(gateway, prepare):
    for _ in range(2):
        done = prepare()
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (gateway.folder / "data/mcp-server.db").stat().st_mode & 0o777 == 0o600


def test_a_check_changes_nothing(gateway, prepare):
    assert prepare("--check").returncode == 0
    assert not (gateway.folder / "data/mcp-server.db").exists()


@pytest.mark.parametrize("name", ["mcp-server.db", "state.db"])
@pytest.mark.parametrize("damage", ["garbage", "header", "half"])
@pytest.mark.requirement("F22")
def test_a_damaged_file_is_named_and_left_as_it_is(gateway, prepare, name, damage):
    path = gateway.folder / "data" / name
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 200)
    connection.close()
    whole = path.read_bytes()
    path.write_bytes({"garbage": b"garbage" * 5000, "header": b"\xff" * 100 + whole[100:], "half": whole[: len(whole) // 2]}[damage])
    before = path.read_bytes()
    done = prepare()
    assert done.returncode == 78
    assert f"data/{name} is damaged" in done.stderr
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == before


def test_a_database_server_that_does_not_answer_is_worth_another_try(gateway, prepare):
    gateway.configured(DATABASE_URL="postgresql://gateway:hunter2@127.0.0.1:1/gateway")
    done = prepare()
    assert done.returncode == 75
    assert done.stderr.startswith("The database cannot be used now: ")
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("url", ["postgresql+psycopg://host:port/name", "sqlite://", "sqlite:"])
def test_a_database_url_that_is_none_is_refused_in_words(gateway, prepare, url):
    gateway.configured(DATABASE_URL=url)
    done = prepare()
    assert (done.returncode, done.stderr.split()[0]) == (78, "DATABASE_URL")


@pytest.mark.parametrize("name", ["STATE_PATH", "AUDIT_LOG_PATH"])
def test_a_folder_that_cannot_be_made_is_named(gateway, prepare, name):
    (gateway.folder / "file").touch()
    gateway.configured(**{name: gateway.folder / "file/below/it"})
    done = prepare()
    assert done.returncode == 78
    assert done.stderr.startswith(f"{name}: the folder {gateway.folder}/file/below cannot be made")


def test_the_templates_clients_are_imported_once(gateway, prepare):
    (gateway.folder / "registered_clients.json").write_text(json.dumps(CLIENTS))
    gateway.configured(CLIENT_STORAGE_PATH="registered_clients.json")
    assert "1 clients were imported" in prepare().stderr
    assert prepare().stderr == ""


def test_a_client_file_that_is_none_is_refused_in_words(gateway, prepare):
    (gateway.folder / "registered_clients.json").write_text("not JSON")
    gateway.configured(CLIENT_STORAGE_PATH="registered_clients.json")
    done = prepare()
    assert done.returncode == 78
    assert "registered_clients.json is not JSON" in done.stderr


@pytest.mark.requirement("SEC-015")
def test_secrets_that_others_can_read_are_warned_of(gateway, prepare):
    (gateway.folder / ".env").chmod(0o644)
    done = prepare()
    assert done.returncode == 0
    assert "chmod 600 .env" in done.stderr


def test_an_application_that_does_not_load_fails_the_check(gateway, prepare):
    (gateway.folder / "wsgi.py").unlink()
    (gateway.folder / "wsgi.py").write_text("import nothing_of_that_name\n")
    done = prepare("--check")
    assert done.returncode == 78
    assert done.stderr == "The application does not load: ModuleNotFoundError: No module named 'nothing_of_that_name'\n"


def test_the_first_signing_key_is_made_once_however_many_start_at_once(gateway, prepare):
    prepare()
    gateway.configured(JWT_ALGORITHM="ES256")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: prepare(), range(4)))
    assert [each.returncode for each in done] == [0] * 4
    assert sorted("The first signing key was made" in each.stderr for each in done) == [False] * 3 + [True]
    assert prepare().stderr == ""
    with sqlite3.connect(gateway.folder / "data/mcp-server.db") as connection:
        assert connection.execute("SELECT algorithm, retired_at FROM signing_keys").fetchall() == [("ES256", None)]
    connection.close()


def test_signing_keys_of_another_secret_are_refused_in_words(gateway, prepare):
    gateway.configured(JWT_ALGORITHM="ES256")
    assert prepare().returncode == 0
    gateway.configured(JWT_ALGORITHM="ES256", JWT_SECRET="another-9f1c2e7a8b9c6d5e3f-QwErTyUiOp")
    done = prepare()
    assert done.returncode == 78
    assert "JWT_SECRET_PREVIOUS" in done.stderr
