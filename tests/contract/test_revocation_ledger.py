import threading
import time

import psycopg

from mcp_server.oauth.models import Revocation


def ids(revocations):
    return [revocation.revoked_id for revocation in revocations]


def test_a_recorded_id_is_revoked_until_the_exact_second(registry, now):
    registry.revocations.record(["token", "grant"], now + 60)
    assert registry.revocations.any_revoked(["other", "grant"], now + 59.999) is True
    assert registry.revocations.any_revoked(["other", "grant"], now + 60) is False


def test_an_id_that_was_not_recorded_is_not_revoked(registry, now):
    registry.revocations.record(["token"], now + 60)
    assert registry.revocations.any_revoked(["other"], now) is False
    assert registry.revocations.any_revoked([], now) is False


def test_recording_nothing_records_nothing(registry, now):
    registry.revocations.record([], now + 60)
    assert registry.revocations.since(0, now) == []


def test_what_was_recorded_comes_in_order_from_any_point(registry, now):
    for revoked_id in ("a", "b", "c"):
        registry.revocations.record([revoked_id], now + 60)
    first, second, third = registry.revocations.since(0, now)
    assert [first, second, third] == [Revocation(first.sequence, "a", now + 60), Revocation(second.sequence, "b", now + 60),
                                      Revocation(third.sequence, "c", now + 60)]
    assert first.sequence < second.sequence < third.sequence
    assert registry.revocations.since(first.sequence, now) == [second, third]
    assert registry.revocations.since(third.sequence, now) == []


def test_what_has_run_out_does_not_come(registry, now):
    registry.revocations.record(["short"], now + 10)
    registry.revocations.record(["long"], now + 60)
    assert ids(registry.revocations.since(0, now + 10)) == ["long"]


def test_an_id_that_is_recorded_again_for_longer_comes_again(registry, now):
    registry.revocations.record(["id"], now + 10)
    [first] = registry.revocations.since(0, now)
    registry.revocations.record(["id"], now + 60)
    [again] = registry.revocations.since(first.sequence, now)
    assert (again.revoked_id, again.until) == ("id", now + 60)
    assert registry.revocations.any_revoked(["id"], now + 30) is True


def test_after_a_sweep_numbers_still_go_up(registry, now):
    registry.revocations.record(["id"], now + 10)
    [swept] = registry.revocations.since(0, now)
    registry.revocations.sweep(now + 10)
    assert registry.revocations.since(0, now) == []
    registry.revocations.record(["other"], now + 60)
    [other] = registry.revocations.since(0, now)
    assert other.sequence > swept.sequence


def test_a_sweep_keeps_what_is_in_force(registry, now):
    registry.revocations.record(["id"], now + 10)
    registry.revocations.sweep(now + 9.999)
    assert registry.revocations.any_revoked(["id"], now) is True


def test_nothing_is_missed_by_a_reader_however_many_record_at_once(registry, race, now):
    read_up_to = [0]

    def read_or_record(number, caller):
        if caller:
            registry.revocations.record([f"{number}.{caller}.a", f"{number}.{caller}.b"], now + 60)
            return []
        news = registry.revocations.since(read_up_to[0], now)
        read_up_to[0] = max([read_up_to[0], *(revocation.sequence for revocation in news)])
        return news

    answers = race(read_or_record)
    seen = [revocation for of_round in answers for news in of_round for revocation in news]
    seen += registry.revocations.since(max([0, *(revocation.sequence for revocation in seen)]), now)
    recorders = range(1, len(answers[0]))
    assert sorted(revocation.revoked_id for revocation in seen) == sorted(
        f"{number}.{caller}.{part}" for number in range(len(answers)) for caller in recorders for part in "ab")


SLOW_COMMIT = """
CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF NEW.revoked_id = 'slow' THEN PERFORM pg_advisory_xact_lock_shared(1); END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON revocations DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION wait_for_test();
"""


def test_a_reader_does_not_miss_what_was_numbered_first_and_committed_last(registry, database_url, now):
    if not database_url.startswith("postgresql"):
        return  # SQLite has one writer at a time
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(SLOW_COMMIT)
        connection.execute("SELECT pg_advisory_lock(1)")
        slow = threading.Thread(target=registry.revocations.record, args=(["slow"], now + 60))
        slow.start()
        until(lambda: waiting(connection) == 1)
        fast = threading.Thread(target=registry.revocations.record, args=(["fast"], now + 60))
        fast.start()
        until(lambda: waiting(connection) == 2 or not fast.is_alive())
        first = registry.revocations.since(0, now)
        connection.execute("SELECT pg_advisory_unlock(1)")
        slow.join()
        fast.join()
    second = registry.revocations.since(max((revocation.sequence for revocation in first), default=0), now)
    assert sorted(ids(first) + ids(second)) == ["fast", "slow"]


def waiting(connection):
    return connection.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").fetchone()[0]


def until(condition):
    give_up_at = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up_at
