"""The heads that banks showed: decided in memory, on disk soon after, never smaller."""

from pathlib import Path

import pytest

from coordinator.head_store import HeadStore
from privacy.errors import InputError
from tests.privacy.log.test_witness import FORK, LOG, ORIGIN, TREE

LOGS = {ORIGIN: LOG.verifier()}


def show(store: HeadStore, request: bytes) -> int:
    return store.decide(request, LOGS).answer.status


def size_of(store: HeadStore) -> int:
    held = store.held(ORIGIN)
    return held.checkpoint.size if held else 0


def test_heads_are_known_before_and_after_they_are_written(tmp_path: Path) -> None:
    store = HeadStore(tmp_path)
    assert [show(store, TREE.request(old, size)) for old, size in ((0, 3), (3, 8), (8, 13))] == [200] * 3
    assert size_of(store) == 13
    store.flush()
    store.flush()
    show(store, TREE.request(13, 21))
    store.close()
    store = HeadStore(tmp_path)
    assert size_of(store) == 21
    assert show(store, TREE.request(0, 30)) == 409
    store.close()


def test_what_a_crash_takes_is_only_the_newest_head(tmp_path: Path) -> None:
    store = HeadStore(tmp_path)
    show(store, TREE.request(0, 8))
    store.flush()
    show(store, TREE.request(8, 13))
    store._database.close()
    store = HeadStore(tmp_path)
    assert size_of(store) == 8 and show(store, TREE.request(8, 13)) == 200
    store.close()


def test_a_fork_is_refused_and_kept_as_evidence(tmp_path: Path) -> None:
    store = HeadStore(tmp_path)
    show(store, TREE.request(0, 8))
    decision = store.decide(FORK.request(8, 12), LOGS)
    assert (decision.answer.status, decision.answer.held, decision.evidence) == (422, TREE.note(8), True)
    store.flush()
    rows = store._database.execute("SELECT origin, status, held FROM refused").fetchall()
    assert rows == [(ORIGIN, 422, TREE.note(8))]
    store.close()


def test_it_signs_nothing(tmp_path: Path) -> None:
    store = HeadStore(tmp_path)
    assert store.decide(TREE.request(0, 8), LOGS).answer.body == b""
    assert store.decide(TREE.request(0, 8), {}).answer.status == 404
    store.close()


def test_a_disk_that_refuses_is_one_line_and_nothing_is_lost(tmp_path: Path) -> None:
    store = HeadStore(tmp_path)
    show(store, TREE.request(0, 8))
    store._database.execute("PRAGMA query_only = ON")
    with pytest.raises(InputError) as caught:
        store.flush()
    assert caught.value.code == "heads-unusable"
    store._database.execute("PRAGMA query_only = OFF")
    store.flush()
    assert store._database.execute("SELECT size FROM head").fetchall() == [(8,)]
    store.close()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "witness.db").write_bytes(b"x" * 5000)
    with pytest.raises(InputError):
        HeadStore(tmp_path / "other")
