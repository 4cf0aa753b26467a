"""What an append writes, what the tables refuse, and what a damaged database is told from."""

import sqlite3

import pytest

from privacy.errors import InputError, VerificationError
from privacy.log.journal import hash_reader, read_events, read_head
from privacy.log.note import NoteSigner
from privacy.log.tree import CompactTree
from privacy.log.verify import verify_log
from tests.privacy.logs import ORIGIN, MemoryLog, egress, opened


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog()
    for number in range(11):
        log.append(egress(number))
    return log


def disarm(database: sqlite3.Connection) -> None:
    """Take the triggers away, as somebody who owns the file can."""
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f"DROP TRIGGER {name}")


def test_a_stored_log_loads_with_its_head(log: MemoryLog) -> None:
    tree = read_head(log.database, log.signer, ORIGIN)
    assert (tree.size, tree.root()) == (11, log.appender.head.root)
    assert [event.seq for event in read_events(log.database, 3, 6)] == [3, 4, 5]


def test_a_new_database_is_an_empty_log() -> None:
    log = MemoryLog()
    assert read_head(log.database, log.signer, ORIGIN) == CompactTree()


@pytest.mark.parametrize("table", ["event", "hash", "checkpoint", "receipt"])
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
def test_tables_only_grow_at_their_end(log: MemoryLog, table: str, recursive: str) -> None:
    log.appender.defer([], [("m", b"receipt")])
    log.append(egress(99))
    log.database.execute(f"PRAGMA recursive_triggers = {recursive}")
    before = log.database.execute(f"SELECT * FROM {table}").fetchall()
    key = log.database.execute(f"SELECT * FROM {table}").description[0][0]
    for statement in (
        f"UPDATE {table} SET {key} = {key} + 100",
        f"DELETE FROM {table}",
        f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1",
        f"REPLACE INTO {table} SELECT * FROM {table} ORDER BY 1 DESC LIMIT 1",
        f"INSERT OR IGNORE INTO {table} SELECT * FROM {table} LIMIT 1",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            log.database.execute(statement)
    assert log.database.execute(f"SELECT * FROM {table}").fetchall() == before


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM event WHERE seq = 10",
        "DELETE FROM checkpoint WHERE size = 11",
        "DELETE FROM hash WHERE position = 18",
        "UPDATE hash SET value = zeroblob(32) WHERE position = 18",
        "UPDATE event SET event = CAST(replace(CAST(event AS TEXT), '110', '111') AS BLOB) WHERE seq = 10",
        "UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE size = 10) WHERE size = 11",
        "UPDATE checkpoint SET note = CAST(replace(CAST(note AS TEXT), '— ', '- ') AS BLOB) WHERE size = 11",
        "INSERT INTO event SELECT 11, event FROM event WHERE seq = 3",
    ],
)
def test_a_damaged_end_is_refused_at_loading(log: MemoryLog, statement: str) -> None:
    disarm(log.database)
    assert log.database.execute(statement).rowcount == 1
    with pytest.raises(VerificationError):
        read_head(log.database, log.signer, ORIGIN)


def test_another_key_is_the_operators_mistake(log: MemoryLog) -> None:
    with pytest.raises(InputError) as caught:
        read_head(log.database, NoteSigner(ORIGIN, b"o" * 32), ORIGIN)
    assert caught.value.code == "log-key-mismatch"


def test_a_missing_hash_is_named(log: MemoryLog) -> None:
    with pytest.raises(VerificationError) as caught:
        hash_reader(log.database)(0, 11)
    assert caught.value.code == "hash-missing"


def test_a_clock_that_jumps_raises_an_alarm_before_the_entries() -> None:
    log = MemoryLog()
    log.append(opened())
    log.clock.pass_us(5_000_000, 5_900_000)
    assert log.append(egress(1)) == [1]
    log.clock.pass_us(-3_600_000_000, 1_000)
    assert log.append(egress(2), egress(3)) == [3, 4]
    kinds = [event.kind for event in read_events(log.database, 0, 9)]
    assert kinds == ["log.opened", "egress.authorised", "alarm.raised", "egress.authorised", "egress.authorised"]
    report = verify_log(log.source())
    assert report.step(7).status == "flagged" and not report.has("failed")
