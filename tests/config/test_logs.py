import json
import logging
import os
import re
import stat
import threading

import pytest
import structlog

from config import logs
from config.log_lines import LONGEST


@pytest.fixture(autouse=True)
def _restored():
    watched = [logging.getLogger(name) for name in (None, "gunicorn.error", *logs.LIBRARIES)]
    before = [(logger, logger.level, logger.handlers[:], logger.propagate) for logger in watched]
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    for logger, level, handlers, propagate in before:
        logger.level, logger.handlers, logger.propagate = level, handlers, propagate
        logger.manager._clear_cache()


@pytest.fixture
def written(capfd):
    """Return the lines that reached stdout."""
    return lambda: capfd.readouterr().out.split("\n")[:-1]


def test_an_event_is_one_line_of_json(written):
    logs.configure("INFO", "json")
    logs.get("mcp_server.web").info("started", port=8080)
    [line] = written()
    event = json.loads(line)
    assert event.pop("timestamp").endswith("Z")
    assert event == {"event": "started", "level": "info", "logger": "mcp_server.web", "port": 8080}


def test_text_is_for_people(written):
    logs.configure("INFO", "text")
    logs.get("x").warning("slow call", tool="classify incident", seconds=3, nothing=None)
    [line] = written()
    assert line[len("13:37:00.123 "):] == 'warning slow call tool="classify incident" seconds=3'


def test_lines_below_the_level_are_dropped(written):
    logs.configure("WARNING", "json")
    logs.get("x").info("quiet")
    logging.getLogger("some.library").info("quiet")
    assert written() == []


def test_a_logger_made_before_configure_obeys_it(written):
    log = logs.get("early")
    logs.configure("INFO", "json")
    log.info("now")
    assert len(written()) == 1


def test_configuring_twice_writes_each_line_once(written):
    logs.configure("INFO", "json")
    logs.configure("INFO", "json")
    logging.getLogger("some.library").warning("once")
    logging.getLogger("gunicorn.error").warning("once")
    assert len(written()) == 2


@pytest.mark.parametrize("name", ["gunicorn.error", "urllib3.connectionpool", "alembic.runtime", "sqlalchemy.pool", "authlib.oauth2"])
def test_the_lines_of_libraries_take_the_same_form(written, name):
    logs.configure("INFO", "json")
    logging.getLogger(name).warning("%s is %d", "it", 1)
    [line] = written()
    assert {"event": "it is 1", "level": "warning", "logger": name}.items() <= json.loads(line).items()


@pytest.mark.parametrize("name", ["authlib.oauth2.rfc6749", "urllib3.connectionpool", "sqlalchemy.engine.Engine"])
def test_libraries_that_print_secrets_at_debug_do_not(written, name):
    logs.configure("DEBUG", "json")
    logging.getLogger(name).debug("Issue token %r", "secret")
    assert written() == []


HOSTILE = "a\r\nb\x1b[31mc\x00d\x85e\u2028f\u2029g\x9bh\x7f"


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("place", ["value", "event", "nested", "key", "library", "exception", "record"])
def test_nothing_can_end_the_line_or_reach_the_terminal(written, form, place):
    logs.configure("INFO", form)
    log = logs.get("x")
    match place:
        case "value":
            log.info("e", value=HOSTILE)
        case "event":
            log.info(HOSTILE)
        case "nested":
            log.info("e", value={"k": [HOSTILE]})
        case "key":
            log.info("e", **{HOSTILE: 1})
        case "library":
            logging.getLogger("lib").warning("%s", HOSTILE)
        case "exception":
            log.error("e", exc_info=ValueError(HOSTILE))
        case "record":
            logs.line_writer(None, form)({"timestamp": "2026-11-21T13:37:00.123Z", "method": "GET", "path": HOSTILE, "status": 200})
    [line] = written()
    assert line.isprintable()
    assert line.isascii()


@pytest.mark.parametrize("form", ["json", "text"])
def test_long_values_are_cut_and_say_so(written, form):
    logs.configure("INFO", form)
    logs.get("x").info("e", value="v" * 50_000, nested={"list": ["n" * 50_000]})
    [line] = written()
    assert len(line) < 3 * LONGEST
    assert "50000 characters" in line


def test_an_exception_is_one_field_with_its_cause_and_place(written):
    logs.configure("INFO", "json")
    try:
        try:
            {}["missing"]
        except KeyError as error:
            raise RuntimeError("no such tool") from error
    except RuntimeError:
        logs.get("x").exception("failed")
        logging.getLogger("lib").exception("failed too")
    for line in written():
        told = json.loads(line)["exception"]
        assert told.startswith("RuntimeError: no such tool [")
        assert " <- KeyError: 'missing' [" in told
        assert "config/test_logs.py:" in told


@pytest.mark.parametrize("value", [2**80, "\ud800", b"bytes", object(), {1: {2: 3}}, float("nan"), {"a", "b"}, ("t",)])
@pytest.mark.parametrize("form", ["json", "text"])
def test_any_value_can_be_logged(written, form, value):
    logs.configure("INFO", form)
    logs.get("x").info("e", value=value)
    [line] = written()
    assert form == "text" or "value" in json.loads(line)


def test_a_value_that_cannot_say_what_it_is_does_not_lose_the_line(written):
    class Broken:
        def __str__(self):
            raise RuntimeError

    logs.configure("INFO", "json")
    logs.get("x").info("e", value=Broken())
    assert json.loads(written()[0])["value"] == "<Broken: RuntimeError>"


def test_what_is_bound_to_the_context_is_on_every_line(written):
    logs.configure("INFO", "json")
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        logs.get("x").info("e")
        logging.getLogger("lib").warning("w")
    assert [json.loads(line)["request_id"] for line in written()] == ["r-1", "r-1"]


def test_a_closed_stdout_fails_nobody():
    reader, writer = os.pipe()
    os.close(reader)
    logs.configure("INFO", "json", writer)
    logs.get("x").info("nobody reads this")
    os.close(writer)


# --- records ---

RECORD = {
    "timestamp": "2026-11-21T13:37:00.123Z", "event": "request", "method": "POST", "path": "/mcp", "status": 200, "duration_ms": 1.2,
    "client_id": None, "request_id": "r-1",
}


def test_a_record_on_stdout_is_json_or_a_compact_line(written):
    logs.line_writer(None, "json")(dict(RECORD))
    logs.line_writer(None, "text")(dict(RECORD))
    as_json, as_text = written()
    assert json.loads(as_json) == RECORD
    assert as_text == "13:37:00.123 POST /mcp 200 duration_ms=1.2 request_id=r-1"


def test_a_record_without_a_timestamp_gets_one(written):
    logs.line_writer(None, "json")({"event": "request"})
    assert re.fullmatch(r'{"timestamp":"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","event":"request"}', written()[0])


def test_writing_a_record_leaves_it_as_it_was():
    record = dict(RECORD)
    logs.line_writer(None, "text")(record)
    assert record == RECORD


def test_a_file_is_appended_to_as_json_and_is_its_owners_alone(tmp_path):
    path = tmp_path / "audit.log"
    for _ in range(2):
        logs.line_writer(path, "text")(dict(RECORD))
    assert [json.loads(line) for line in path.read_text().splitlines()] == [RECORD, RECORD]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("recreated", [True, False])
def test_a_rotated_file_is_followed(tmp_path, recreated):
    path = tmp_path / "audit.log"
    write = logs.line_writer(path)
    write({"timestamp": "t", "n": 1})
    path.rename(tmp_path / "audit.log.1")
    if recreated:
        path.touch(0o600)
    write({"timestamp": "t", "n": 2})
    write({"timestamp": "t", "n": 3})
    assert (tmp_path / "audit.log.1").read_text() == '{"timestamp":"t","n":1}\n'
    assert path.read_text() == '{"timestamp":"t","n":2}\n{"timestamp":"t","n":3}\n'


def test_a_record_that_cannot_be_written_goes_to_stdout_instead(tmp_path, written):
    logs.configure("INFO", "json")
    folder = tmp_path / "logs"
    folder.mkdir()
    write = logs.line_writer(folder / "audit.log")
    (folder / "audit.log").unlink()
    folder.rmdir()
    write({"timestamp": "t", "n": 1})
    complaint, record = written()
    assert json.loads(complaint)["level"] == "error"
    assert record == '{"timestamp":"t","n":1}'


def test_records_written_at_once_stay_whole(tmp_path):
    path = tmp_path / "audit.log"
    writers = [logs.line_writer(path) for _ in range(8)]
    barrier = threading.Barrier(len(writers))

    def run(number):
        barrier.wait()
        for count in range(50):
            writers[number]({"number": number, "count": count, "filler": "x" * 1900})

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(writers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {(record["number"], record["count"]) for record in map(json.loads, path.read_text().splitlines())}
    assert len(found) == 400
