"""The node's log on disk: durability, one writer, the high-water mark, and one line for every fault."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.record_store import RecordStore, StoreSettings, load_log_key
from privacy.errors import InputError, VerificationError
from privacy.log.instant import Instant
from privacy.log.journal import read_events
from privacy.log.mark import decode_mark
from privacy.log.record import Actor, Author
from privacy.log.tree import CompactTree, leaf_hash, verify_consistency, verify_inclusion
from tests.privacy.logs import ORIGIN, HandClock, egress

ROOT = Path(__file__).resolve().parents[2]


def opened(directory: Path, clock: HandClock | None = None) -> RecordStore:
    who = Author(ORIGIN, os.urandom(16), Actor("service", "bank-a", "node", "mtls"))
    key = load_log_key(directory, ORIGIN)
    return RecordStore(StoreSettings(directory, who, key, "creditmesh", "00" * 32, clock or HandClock()))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RecordStore]:
    store = opened(tmp_path / "state")
    yield store
    store.close()


def test_appends_are_there_after_closing_and_prove_themselves(tmp_path: Path) -> None:
    first = opened(tmp_path)
    assert first.append([egress(1), egress(2)]) == [1, 2]
    first.close()
    second = opened(tmp_path)
    assert second.append([egress(3)]) == [4]
    events = second.events(0, 99)
    assert [event.kind for event in events] == [
        "log.opened", "egress.authorised", "egress.authorised", "log.opened", "egress.authorised"]  # fmt: skip
    assert events[3].body["unclean"] is False and events[3].body["prev"] == {
        "size": 3, "root": second_root(second, 3).hex()}  # fmt: skip
    root = second_root(second, 5)
    for event in events:
        verify_inclusion(leaf_hash(event.encoded), event.seq, 5, second.inclusion(event.seq, 5), root)
    verify_consistency(3, second_root(second, 3), 5, root, second.consistency(3, 5))
    newest = second.last("egress.authorised")
    assert newest is not None and newest.round == 3
    assert second.last("alarm.raised") is None
    second.close()


def second_root(store: RecordStore, size: int) -> bytes:
    tree = [leaf_hash(event.encoded) for event in store.events(0, size)]
    return _root(tree)


def _root(leaves: list[bytes]) -> bytes:
    tree = CompactTree()
    for leaf in leaves:
        tree = tree.append(leaf)[0]
    return tree.root()


def test_files_that_hold_secrets_or_records_are_the_owners(store: RecordStore, tmp_path: Path) -> None:
    directory = tmp_path / "state"
    assert directory.stat().st_mode & 0o777 == 0o700
    for name in ("log.db", "log.mark", "log.key", "log.db-wal"):
        assert (directory / name).stat().st_mode & 0o777 == 0o600, name
    assert (directory / "origin").read_text() == ORIGIN + "\n"
    assert (directory / "log.vkey").read_text().startswith(ORIGIN + "+")


def test_the_database_syncs_every_commit(store: RecordStore) -> None:
    for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("recursive_triggers", 1)):
        assert store._database.execute(f"PRAGMA {pragma}").fetchone() == (value,)


def test_a_second_process_is_kept_out(store: RecordStore, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        opened(tmp_path / "state")
    assert caught.value.code == "log-in-use"
    store.append([egress(1)])


WRITER = """
import sys
from pathlib import Path
from tests.node.test_record_store import opened
from tests.privacy.logs import egress
store = opened(Path(sys.argv[1]))
print("up", flush=True)
number = 0
while True:
    number += 1
    for index in store.append([egress(number), egress(number + 1_000_000)]):
        print(index, flush=True)
"""


def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "proto")])}
    for kill in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, env=environment, cwd=ROOT
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        seen = [int(process.stdout.readline()) for _ in range(11 + 6 * kill)]
        process.kill()
        seen += [int(line) for line in process.stdout.read().split(b"\n")[:-1]]
        process.wait()
        process.stdout.close()
        store = opened(tmp_path)
        events = store.events(0, 1 << 30)
        assert [event.seq for event in events] == list(range(len(events)))
        assert max(seen) < len(events) - 1
        assert {events[index].kind for index in seen} == {"egress.authorised"}
        assert events[-1].kind == "log.opened" and events[-1].body["unclean"] is True
        # Both entries of one append are there or neither is.
        assert sum(event.kind == "egress.authorised" for event in events) % 2 == 0
        store.close()


def test_a_restored_backup_is_refused(tmp_path: Path) -> None:
    state, backup = tmp_path / "state", tmp_path / "backup"
    store = opened(state)
    store.append([egress(1)])
    store.close()
    shutil.copytree(state, backup)
    store = opened(state)
    store.append([egress(2)])
    store.close()
    shutil.copy(backup / "log.db", state / "log.db")
    before = (state / "log.mark").read_bytes()
    with pytest.raises(VerificationError) as caught:
        opened(state)
    assert caught.value.code == "rolled-back"
    assert (state / "log.mark").read_bytes() == before
    (state / "log.db").unlink()
    with pytest.raises(VerificationError) as caught:
        opened(state)
    assert caught.value.code == "rolled-back"


def test_a_database_of_another_history_is_refused(tmp_path: Path) -> None:
    state, other = tmp_path / "state", tmp_path / "other"
    store = opened(state)
    store.close()
    shutil.copytree(state, other)
    for directory, number in ((state, 1), (other, 2)):
        store = opened(directory)
        store.append([egress(number)])
        store.close()
    shutil.copy(other / "log.db", state / "log.db")
    with pytest.raises(VerificationError) as caught:
        opened(state)
    assert caught.value.code == "forked"


def test_a_crash_before_the_mark_is_no_rollback(tmp_path: Path) -> None:
    store = opened(tmp_path)
    mark = (tmp_path / "log.mark").read_bytes()
    store.append([egress(1)])
    store.close()
    (tmp_path / "log.mark").write_bytes(mark)
    opened(tmp_path).close()
    assert decode_mark((tmp_path / "log.mark").read_bytes()).size == 3


def test_a_missing_or_damaged_mark_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    content = (tmp_path / "log.mark").read_bytes()
    for broken, code in ((b"", "mark-missing"), (b"x" * len(content), "mark-unreadable")):
        (tmp_path / "log.mark").write_bytes(broken)
        with pytest.raises(VerificationError) as caught:
            opened(tmp_path)
        assert caught.value.code == code
    (tmp_path / "log.mark").write_bytes(content)
    opened(tmp_path).close()


def test_a_full_disk_is_one_line_and_passes(store: RecordStore) -> None:
    (pages,) = store._database.execute("PRAGMA page_count").fetchone()
    store._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(InputError) as caught:
        store.append([egress(number) for number in range(100)])
    assert caught.value.code == "disk-full" and "\n" not in caught.value.message
    store._database.execute("PRAGMA max_page_count = 1000000")
    (index,) = store.append([egress(7)])
    assert [event.kind for event in store.events(1, 9)] == ["alarm.raised", "egress.authorised"]
    assert index == 2


def test_after_a_failed_write_nothing_is_appended_before_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    database = store._appender._database

    class Failing:
        in_transaction = False

        def execute(self, *_: object) -> object:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error

    store._appender._database = Failing()  # type: ignore[assignment]
    with pytest.raises(InputError) as caught:
        store.append([egress(1)])
    assert caught.value.code == "log-unusable"
    store._appender._database = database
    with pytest.raises(InputError) as caught:
        store.append([egress(1)])
    assert caught.value.code == "log-unusable"
    store.close()


def test_damage_is_said_in_one_line(tmp_path: Path) -> None:
    opened(tmp_path).close()
    whole = (tmp_path / "log.db").read_bytes()
    (tmp_path / "log.db").write_bytes(b"this is no database at all " * 200)
    with pytest.raises(InputError) as caught:
        opened(tmp_path)
    assert caught.value.code == "log-unusable" and "\n" not in caught.value.message
    (tmp_path / "log.db").write_bytes(whole)
    opened(tmp_path).close()


def test_a_directory_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError) as caught:
        load_log_key(tmp_path / "file" / "state", ORIGIN)
    assert caught.value.code == "log-unusable"


def test_the_log_key_is_made_once_and_guarded(tmp_path: Path) -> None:
    first = load_log_key(tmp_path, ORIGIN).verifier()
    assert load_log_key(tmp_path, ORIGIN).verifier() == first
    key = tmp_path / "log.key"
    with pytest.raises(InputError) as caught:
        load_log_key(tmp_path, "bank-b/privacy-log")
    assert caught.value.code == "log-key-mismatch"
    key.chmod(0o644)
    with pytest.raises(InputError) as caught:
        load_log_key(tmp_path, ORIGIN)
    assert caught.value.code == "secret-mode"
    key.chmod(0o600)
    secret = key.read_text()
    key.write_text("short")
    with pytest.raises(InputError) as caught:
        load_log_key(tmp_path, ORIGIN)
    assert caught.value.code == "log-key-format"
    key.write_text(secret)
    opened(tmp_path).close()
    key.unlink()
    with pytest.raises(InputError) as caught:
        load_log_key(tmp_path, ORIGIN)
    assert caught.value.code == "log-key-missing"


def test_threads_and_coroutines_write_side_by_side(store: RecordStore) -> None:
    async def write(start: int) -> list[int]:
        return [index for number in range(10) for index in await store.record([egress(start + number)])]

    async def run() -> list[list[int]]:
        return await asyncio.gather(*(write(100 * each) for each in range(4)))

    found: list[int] = []
    thread = threading.Thread(target=lambda: found.extend(store.append([egress(900 + n)])[0] for n in range(20)))
    thread.start()
    results = asyncio.run(run())
    thread.join()
    assert sorted(found + [index for each in results for index in each]) == list(range(1, 61))


def test_what_was_deferred_is_there_after_closing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.defer([egress(1)], [("m", b"receipt")])
    store.close()
    database = sqlite3.connect(tmp_path / "log.db")
    assert [event.kind for event in read_events(database, 0, 9)] == ["log.opened", "egress.authorised"]
    assert database.execute("SELECT msg_id, receipt FROM receipt").fetchall() == [("m", b"receipt")]
    database.close()


def test_a_gap_in_recording_is_stated(tmp_path: Path) -> None:
    clock = HandClock()
    store = opened(tmp_path, clock)
    store.close()
    clock.pass_us(90_000_000)
    store = opened(tmp_path, clock)
    event = store.last("log.opened")
    assert event is not None and event.body["gap_s"] == 90
    store.close()


@pytest.mark.parametrize(("step_us", "alarms"), [(-2_000_000, 1), (-500_000, 0), (3_600_000_000, 0)])
def test_a_wall_clock_that_went_back_between_two_processes_is_stated(tmp_path: Path, step_us: int, alarms: int) -> None:
    clock = HandClock()
    store = opened(tmp_path, clock)
    store.close()
    clock.pass_us(step_us, 1_000)
    store = opened(tmp_path, clock)

    event = store.last("alarm.raised")
    assert (event is not None and event.body["class"] == "clock.step") is bool(alarms)
    assert len(store.events(0, 9)) == 2 + alarms
    store.close()


def test_the_mark_follows_every_commit(store: RecordStore, tmp_path: Path) -> None:
    for number in range(5):
        store.append([egress(number)])
        mark = decode_mark((tmp_path / "state" / "log.mark").read_bytes())
        assert (mark.size, mark.clean) == (number + 2, False)
    events = store.events(0, 6)
    stored = {(0, event.seq): leaf_hash(event.encoded) for event in events}
    assert mark.root == _root([stored[0, number] for number in range(6)])


def test_the_clock_is_the_callers(tmp_path: Path) -> None:
    clock = HandClock(utc_us=1_800_000_000_000_000)
    store = opened(tmp_path, clock)
    assert store.events(0, 1)[0].utc_us == 1_800_000_000_000_000
    assert clock() == Instant(1_800_000_000_000_000, clock.mono_us)
    store.close()


def test_what_was_deferred_is_durable_after_a_second_or_ten_in_a_job(tmp_path: Path) -> None:
    clock = HandClock()
    store = opened(tmp_path, clock)
    for in_job, least_us in ((False, 1_000_000), (True, 10_000_000)):
        store.hold(in_job)
        size = len(store.events(0, 99))
        store.defer([egress(1)])
        clock.pass_us(least_us - 1)
        store.flush_due()
        assert len(store.events(0, 99)) == size
        clock.pass_us(1)
        store.flush_due()
        assert len(store.events(0, 99)) == size + 1
    store.close()
