"""Group commit: nothing lost, nothing doubled, and a failure leaves the log as it was."""

import sqlite3
import threading

import pytest

from privacy.errors import MisuseError
from privacy.log.journal import read_events
from privacy.log.verify import verify_log
from tests.privacy.logs import MemoryLog, egress


def kinds(log: MemoryLog) -> list[str]:
    return [event.kind for event in read_events(log.database, 0, 1 << 30)]


def test_many_threads_share_commits_and_get_their_own_places() -> None:
    log = MemoryLog()
    places: dict[int, list[int]] = {}

    def write(thread: int) -> None:
        places[thread] = [
            index
            for number in range(25)
            for index in log.appender.append([egress(thread * 100 + number), egress(9000)])
        ]

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(index for each in places.values() for index in each) == list(range(400))
    for writer, indices in places.items():
        assert indices == sorted(indices)
        (first,) = read_events(log.database, indices[0], indices[0] + 1)
        assert first.round == writer * 100
    assert not verify_log(log.source(hashes=None)).has("incomplete")
    assert log.marks == [size for (size,) in log.database.execute("SELECT size FROM checkpoint ORDER BY size")]


def test_what_is_deferred_rides_on_the_next_commit() -> None:
    log = MemoryLog()
    log.appender.defer([egress(1)], [("m1", b"r1")])
    assert kinds(log) == []
    assert log.append(egress(2)) == [1]
    assert [event.round for event in read_events(log.database, 0, 9)] == [1, 2]
    assert log.database.execute("SELECT * FROM receipt").fetchall() == [(0, "m1", b"r1")]
    assert log.marks == [2]


def test_flush_commits_only_when_something_waits() -> None:
    log = MemoryLog()
    log.appender.flush()
    assert log.marks == []
    log.appender.defer([egress(1)])
    log.appender.flush()
    log.appender.flush()
    assert log.marks == [1]


def test_a_receipt_alone_needs_no_second_checkpoint() -> None:
    log = MemoryLog()
    log.append(egress(1))
    log.appender.defer([], [("m1", b"r1")])
    log.appender.flush()
    assert log.database.execute("SELECT count(*) FROM checkpoint").fetchone() == (1,)


def test_an_invalid_entry_spoils_nobody_elses_commit() -> None:
    log = MemoryLog()
    with pytest.raises(MisuseError):
        log.append(egress(1), egress(2, borrower="x"))
    with pytest.raises(MisuseError):
        log.appender.defer([egress(2, borrower="x")])
    assert log.append(egress(3)) == [0]


def test_a_full_disk_leaves_a_valid_log_that_goes_on_at_the_next_place() -> None:
    log = MemoryLog()
    assert log.append(egress(1)) == [0]
    (pages,) = log.database.execute("PRAGMA page_count").fetchone()
    log.database.execute(f"PRAGMA max_page_count = {pages}")
    log.appender.defer([egress(50)], [("m50", b"r")])
    head = log.appender.head
    with pytest.raises(sqlite3.OperationalError, match="full"):
        log.append(*[egress(number) for number in range(100)])
    assert log.appender.head == head
    assert not log.database.in_transaction
    assert not verify_log(log.source()).has("failed")
    log.database.execute("PRAGMA max_page_count = 1000000")
    (place,) = log.append(egress(51))
    later = list(read_events(log.database, head.size, place + 1))
    assert later[0].seq == head.size and later[-1].round == 51
    assert [event.kind for event in later].count("alarm.raised") == 1
    assert [event.round for event in later].count(50) == 1
    assert log.database.execute("SELECT msg_id FROM receipt").fetchall() == [("m50",)]
    assert not verify_log(log.source(receipts=None)).has("failed")


def test_what_waits_is_written_once_it_is_old_enough_and_nothing_otherwise() -> None:
    log = MemoryLog()
    log.appender.flush(older_than_us=1_000_000)
    log.appender.defer([egress(1)])
    log.clock.pass_us(999_999)
    log.appender.defer([egress(2)])
    log.appender.flush(older_than_us=1_000_000)
    assert kinds(log) == []
    log.clock.pass_us(1)
    log.appender.flush(older_than_us=1_000_000)
    assert kinds(log) == ["egress.authorised"] * 2
    log.clock.pass_us(5_000_000)
    log.appender.flush(older_than_us=1_000_000)
    assert len(log.marks) == 1
    log.appender.defer([egress(3)])
    log.append(egress(4))
    log.clock.pass_us(5_000_000)
    log.appender.flush(older_than_us=1_000_000)
    assert len(log.marks) == 2
