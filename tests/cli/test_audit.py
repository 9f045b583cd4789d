from __future__ import annotations

import csv
import gzip
import io
import json

import pytest


@pytest.fixture
def log(machine, tmp_path):
    """Four operators' records, in a file that logrotate has taken away once, and another time compressed."""
    path = tmp_path / "audit.log"
    record = machine.services.audit.record
    record("operator", "first", "success", client_id="c-1", note="=1+1")
    path.rename(tmp_path / "audit.log.2")
    (tmp_path / "audit.log.2.gz").write_bytes(gzip.compress((tmp_path / "audit.log.2").read_bytes()))
    (tmp_path / "audit.log.2").unlink()
    record("oauth", "second", "failure", client_id="=cmd|' /C calc'!A0")
    path.rename(tmp_path / "audit.log.1")
    record("security", "third", "denied", client_id="c-1")
    record("oauth", "fourth", "success", client_id="c-2")
    return path


def exported(outcome):
    return [json.loads(line) for line in outcome.out.splitlines()]


def test_an_untouched_log_verifies_with_its_rotated_files(run, log):
    verified = run("audit", "verify", "--json")
    assert (verified.status, verified.json["ok"], verified.json["records"]) == (0, True, 6)
    assert [file.rpartition("/")[2] for file in verified.json["files"]] == ["audit.log.2.gz", "audit.log.1", "audit.log"]
    assert (verified.json["first"]["sequence"], verified.json["last"]["sequence"]) == (1, 6)
    assert "number 1 of" in run("audit", "verify").out


def test_files_may_be_named_in_any_order(run, log):
    assert run("audit", "verify", str(log), f"{log}.2.gz", f"{log}.1").status == 0


def test_a_file_alone_says_what_it_continues(run, log):
    alone = run("audit", "verify", f"{log}.1")
    assert alone.status == 0
    assert "Record 2 continues a file that was not looked at" in alone.err


def test_a_missing_file_in_the_middle_is_found(run, log):
    log.with_name("audit.log.1").unlink()
    missing = run("audit", "verify", "--json")
    assert missing.status == 1
    assert (missing.json["broken"]["kind"], missing.json["broken"]["line"]) == ("removed", 1)


def test_a_changed_line_is_named_with_its_file_and_status_1(run, log):
    log.write_text(log.read_text().replace("denied", "success"))
    changed = run("audit", "verify")
    assert changed.status == 1
    assert f"BROKEN: {log}, line 2: changed." in changed.err


def test_an_end_that_was_cut_off_is_found_by_the_state_and_by_the_hash_that_was_kept(run, log):
    last = run("audit", "verify", "--json").json["last"]["hash"]
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    assert run("audit", "verify", "--json").json["broken"]["kind"] == "truncated"
    (log.parent / f".{log.name}.chain").unlink()
    assert run("audit", "verify").status == 0
    assert run("audit", "verify", "--expect-last", last).status == 1


def test_a_hash_that_was_kept_is_still_found_when_the_log_has_grown(machine, run, log):
    last = run("audit", "verify", "--json").json["last"]["hash"]
    machine.services.audit.record("oauth", "fifth", "success")
    assert run("audit", "verify", "--expect-last", last).status == 0


def test_a_log_that_was_emptied_or_put_anew_is_found(run, log):
    log.unlink()
    log.touch()
    assert run("audit", "verify", str(log)).err == "There is no record yet.\n"
    assert run("audit", "verify").status == 1


def test_a_former_secret_verifies_while_it_is_named(run, log):
    changed = {"JWT_SECRET": "Zq4mNb7vGc2hLd9sFj4eIkV9mRr2Yb7x"}
    assert "unknown key" in run("audit", "verify", **changed).err
    assert run("audit", "verify", JWT_SECRET_PREVIOUS="kV9mRr2Yb7xQ4tWz8nLs3cHd6fJg1pAe", **changed).status == 0


def test_a_damaged_archive_is_an_error_in_words(run, log):
    archive = log.with_name("audit.log.2.gz")
    archive.write_bytes(archive.read_bytes()[:-12])
    damaged = run("audit", "verify")
    assert damaged.status == 1
    assert "audit.log.2.gz cannot be read" in damaged.err


@pytest.mark.parametrize("command", ["verify", "export"])
def test_without_a_file_there_is_nothing_to_look_at(machine, command):
    machine.environ.pop("AUDIT_LOG_PATH")
    nothing = machine.run("audit", command)
    assert nothing.status == 1
    assert "AUDIT_LOG_PATH is not set" in nothing.err


# --- export ---


@pytest.mark.parametrize(("options", "actions"), [
    ((), ["first", "chain_continued", "second", "chain_continued", "third", "fourth"]),
    (("--event-type", "oauth"), ["second", "fourth"]),
    (("--event-type", "oauth", "--event-type", "security"), ["second", "third", "fourth"]),
    (("--client", "c-1"), ["first", "third"]),
    (("--client", "c-1", "--event-type", "security"), ["third"]),
    (("--since", "2999-01-01"), []),
    (("--until", "2000-01-01T00:00:00+02:00"), []),
    (("--since", "2000-01-01", "--until", "2999-01-01", "--client", "c-2"), ["fourth"]),
])
def test_what_was_asked_for_is_exported_oldest_first(run, log, options, actions):
    assert [record["action"] for record in exported(run("audit", "export", *options))] == actions


def test_since_is_included_and_until_is_not(run, log):
    at = exported(run("audit", "export", "--client", "c-2"))[0]["timestamp"]
    assert exported(run("audit", "export", "--client", "c-2", "--since", at))
    assert not exported(run("audit", "export", "--client", "c-2", "--until", at))


def test_exported_lines_are_the_written_ones_and_verify_in_a_file(run, log, tmp_path):
    copy = tmp_path / "copy.jsonl"
    copy.write_text(run("audit", "export").out)
    assert run("audit", "verify", str(copy)).status == 0


def test_no_spreadsheet_takes_an_exported_value_for_a_formula(run, log):
    rows = list(csv.DictReader(io.StringIO(run("audit", "export", "--format", "csv").out)))
    assert len(rows) == 6
    assert rows[2]["client_id"] == "'=cmd|' /C calc'!A0"
    assert not [cell for row in rows for cell in row.values() if cell[:1] in tuple("=+-@\t\r") and cell]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", " =", "\uff1d"])
def test_each_beginning_of_a_formula_is_quoted(machine, run, begin):
    machine.services.audit.record("operator", "tried", "success", client_id=f"{begin}1+1")
    [row] = csv.DictReader(io.StringIO(run("audit", "export", "--format", "csv").out, newline=""))
    assert row["client_id"] == f"'{begin}1+1"


def test_what_is_no_record_is_left_out_and_counted(run, log):
    with log.open("a") as file:
        file.write("hello\n")
    outcome = run("audit", "export")
    assert len(exported(outcome)) == 6
    assert "1 lines are no records" in outcome.err


def test_a_time_that_is_none_is_refused(run, log):
    assert run("audit", "export", "--since", "yesterday").status == 2
