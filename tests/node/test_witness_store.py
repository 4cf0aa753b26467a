"""A witness on disk: one winner of a race, nothing forgotten after a crash, no start from an older copy."""

import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from node.witness_store import WitnessStore, load_witness_key
from privacy.errors import InputError, VerificationError
from privacy.log.checkpoint import Checkpoint
from privacy.log.cosignature import read_line, verify_line
from privacy.log.note import COSIGNATURE
from privacy.log.tree import root_at
from tests.privacy.log.test_witness import FORK, LOG, ORIGIN, TREE, WHEN

ROOT = Path(__file__).resolve().parents[2]


def opened(directory: Path) -> WitnessStore:
    signer = load_witness_key(directory, "bank-b")
    return WitnessStore(directory, signer, {ORIGIN: LOG.verifier()}, lambda: WHEN)


def ask(store: WitnessStore, *requests: bytes) -> list[int]:
    return [decision.answer.status for decision in store.answer(requests)]


def size_of(store: WitnessStore) -> int:
    held = store.held(ORIGIN)
    return held.checkpoint.size if held else 0


def test_what_was_cosigned_is_known_after_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    (decision,) = store.answer([TREE.request(0, 8)])
    store.close()
    store = opened(tmp_path)
    key = load_witness_key(tmp_path, "bank-b").verifier(COSIGNATURE)
    text = Checkpoint(ORIGIN, 8, root_at(8, TREE.read)).text()
    assert verify_line(text, read_line(decision.answer.body.decode()), key) == WHEN
    assert ask(store, FORK.request(8, 12), TREE.request(0, 12), TREE.request(8, 12)) == [422, 409, 200]
    assert size_of(store) == 12
    assert [(origin, status) for origin, status, *_ in store.refused()] == [(ORIGIN, 422)]
    store.close()


def test_of_two_requests_at_once_exactly_one_wins(tmp_path: Path) -> None:
    """Fault 23: both start from size 8, to 12 and to 20; whoever comes second is told the new size."""
    for turn in range(12):
        store = opened(tmp_path / str(turn))
        ask(store, TREE.request(0, 8))
        barrier = threading.Barrier(4)
        found: list[int] = []

        def race(
            size: int, store: WitnessStore = store, found: list[int] = found, barrier: threading.Barrier = barrier
        ) -> None:
            request = TREE.request(8, size)
            barrier.wait()
            found.extend(ask(store, request))

        threads = [threading.Thread(target=race, args=(size,)) for size in (12, 20, 16, 33)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [200, 409, 409, 409]
        store.close()


def test_in_one_group_the_first_wins(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert ask(store, TREE.request(0, 12), TREE.request(0, 8), TREE.request(12, 12)) == [200, 409, 200]
    assert size_of(store) == 12
    store.close()


def test_a_second_process_cannot_hold_the_same_heads(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(InputError) as caught:
        opened(tmp_path)
    assert caught.value.code == "log-in-use"
    store.close()
    opened(tmp_path).close()


def test_heads_that_were_put_back_from_a_copy_are_refused(tmp_path: Path) -> None:
    """Fault 12: the witness's database rolled back, its high-water mark not."""
    store = opened(tmp_path)
    ask(store, TREE.request(0, 8))
    store.close()
    shutil.copy(tmp_path / "witness.db", tmp_path / "copy")
    store = opened(tmp_path)
    ask(store, TREE.request(8, 12))
    store.close()
    shutil.copy(tmp_path / "copy", tmp_path / "witness.db")
    with pytest.raises(VerificationError) as caught:
        opened(tmp_path)
    assert caught.value.code == "rolled-back" and "witness.db" in caught.value.message
    (tmp_path / "witness.db").unlink()
    with pytest.raises(VerificationError) as caught:
        opened(tmp_path)
    assert caught.value.code == "rolled-back"


def test_other_heads_of_the_same_count_are_refused(tmp_path: Path) -> None:
    for name, tree in (("one", TREE), ("two", FORK)):
        (tmp_path / name).mkdir()
        if name == "two":
            shutil.copy(tmp_path / "one" / "witness.key", tmp_path / "two" / "witness.key")
        store = opened(tmp_path / name)
        ask(store, tree.request(0, 8))
        store.close()
    shutil.copy(tmp_path / "two" / "witness.db", tmp_path / "one" / "witness.db")
    with pytest.raises(VerificationError) as caught:
        opened(tmp_path / "one")
    assert caught.value.code == "forked"


def test_heads_without_their_mark_are_refused(tmp_path: Path) -> None:
    store = opened(tmp_path)
    ask(store, TREE.request(0, 8))
    store.close()
    (tmp_path / "witness.mark").unlink()
    with pytest.raises(VerificationError) as caught:
        opened(tmp_path)
    assert caught.value.code == "mark-missing"


def test_a_crash_between_the_commit_and_the_mark_is_no_rollback(tmp_path: Path) -> None:
    store = opened(tmp_path)
    ask(store, TREE.request(0, 8))
    mark = (tmp_path / "witness.mark").read_bytes()
    ask(store, TREE.request(8, 12))
    store.close()
    (tmp_path / "witness.mark").write_bytes(mark)
    store = opened(tmp_path)
    assert size_of(store) == 12
    store.close()


KILLED = """
import os, sys
from pathlib import Path
from tests.node.test_witness_store import TREE, opened
store = opened(Path(sys.argv[1]))
for size in range(1, 41):
    (decision,) = store.answer([TREE.request(size - 1, size)])
    assert decision.answer.status == 200
    print(size, flush=True)
    if size == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("last", [1, 2, 17])
def test_no_answered_head_is_lost_when_the_process_is_killed(tmp_path: Path, last: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(last)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == -9, done.stderr
    store = opened(tmp_path)
    assert size_of(store) == int(done.stdout.split()[-1]) == last
    store.close()


def test_nothing_is_answered_when_the_disk_refuses(tmp_path: Path) -> None:
    store = opened(tmp_path)
    ask(store, TREE.request(0, 8))
    store._database.execute("PRAGMA query_only = ON")
    with pytest.raises(InputError) as caught:
        store.answer([TREE.request(8, 12)])
    assert caught.value.code == "witness-unusable"
    store._database.execute("PRAGMA query_only = OFF")
    assert size_of(store) == 8 and ask(store, TREE.request(8, 12)) == [200]
    store.close()


def test_a_database_of_something_else_is_one_line(tmp_path: Path) -> None:
    load_witness_key(tmp_path, "bank-b")
    (tmp_path / "witness.db").write_bytes(b"x" * 5000)
    with pytest.raises(InputError) as caught:
        opened(tmp_path)
    assert caught.value.code == "witness-unusable" and "\n" not in caught.value.message


def test_durability_is_not_left_to_luck(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert store._database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._database.execute("PRAGMA recursive_triggers").fetchone() == (1,)
    store.close()


def test_the_files_are_closed_to_others(tmp_path: Path) -> None:
    store = opened(tmp_path)
    ask(store, TREE.request(0, 8))
    for name in ("witness.db", "witness.db-wal", "witness.mark", "witness.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    store.close()


def test_the_key_is_made_once_and_guarded(tmp_path: Path) -> None:
    first = load_witness_key(tmp_path, "bank-b").verifier(COSIGNATURE)
    assert load_witness_key(tmp_path, "bank-b").verifier(COSIGNATURE) == first
    assert (tmp_path / "witness.vkey").read_text() == first.encode() + "\n"
    assert first.name == "bank-b/witness"
    with pytest.raises(InputError) as caught:
        load_witness_key(tmp_path, "bank-c")
    assert caught.value.code == "log-key-mismatch"
    (tmp_path / "witness.key").chmod(0o644)
    with pytest.raises(InputError) as caught:
        load_witness_key(tmp_path, "bank-b")
    assert caught.value.code == "secret-mode"


def test_heads_without_their_key_are_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    (tmp_path / "witness.key").unlink()
    with pytest.raises(InputError) as caught:
        load_witness_key(tmp_path, "bank-b")
    assert caught.value.code == "witness-key-missing"


def test_an_older_head_cannot_be_written_by_mistake(tmp_path: Path) -> None:
    store = opened(tmp_path)
    ask(store, TREE.request(0, 8))
    with pytest.raises(sqlite3.IntegrityError):
        store._database.execute("INSERT OR REPLACE INTO head VALUES (?, 3, ?, 9)", (ORIGIN, TREE.note(3)))
    assert size_of(store) == 8
    store.close()
