"""The ledger on disk: durable before it returns, whole again after a crash, and no older copy accepted."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from node.ledger_store import LedgerStore, read_ledger
from privacy.errors import InputError, RefusalError, VerificationError
from tests.privacy.test_ledger import RELEASE, WIDE, cap_for

ORIGIN = "bank-a/privacy-log"


def names(store: LedgerStore, number: int) -> dict[str, object]:
    """What the privacy log's record of a release names of the ledger."""
    return {"entry": number, "ledger_sha256": store.ledger.heads[number].hex()}


def test_what_was_reserved_is_there_in_the_next_process(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path, ORIGIN)
    first, second = (store.reserve(replace(RELEASE, round=number), WIDE, number) for number in (1, 2))
    store.spend(first.number)
    head = store.ledger.head
    store.close()
    again = LedgerStore(tmp_path, ORIGIN)
    assert again.ledger.head == head and again.ledger.sent == {0}
    assert again.ledger.reserved == [(1, first.release), (2, second.release)]
    assert read_ledger(tmp_path, ORIGIN).head == head
    assert (tmp_path / "ledger").stat().st_mode & 0o777 == 0o600


def test_a_folder_without_a_ledger(tmp_path: Path) -> None:
    assert read_ledger(tmp_path, ORIGIN).lines == 0 and not (tmp_path / "ledger").exists()


def test_a_refusal_writes_nothing(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path, ORIGIN)
    cap = cap_for(1)
    store.reserve(RELEASE, cap, 0)
    size = (tmp_path / "ledger").stat().st_size
    with pytest.raises(RefusalError):
        store.reserve(RELEASE, cap, 0)
    assert (tmp_path / "ledger").stat().st_size == size


@pytest.mark.parametrize("cut", [1, 7, 100])
def test_a_line_that_a_crash_left_half_written_is_cut_off(tmp_path: Path, cut: int) -> None:
    store = LedgerStore(tmp_path, ORIGIN)
    store.reserve(RELEASE, WIDE, 0)
    whole = (tmp_path / "ledger").read_bytes()
    store.reserve(replace(RELEASE, round=2), WIDE, 0)
    os.truncate(tmp_path / "ledger", len(whole) + cut)
    again = LedgerStore(tmp_path, ORIGIN)
    assert len(again.ledger.reserved) == 1
    again.reserve(replace(RELEASE, round=3), WIDE, 0)
    assert [release.round for _, release in LedgerStore(tmp_path, ORIGIN).ledger.reserved] == [1, 3]


def test_an_older_copy_of_the_ledger_is_noticed(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path, ORIGIN)
    store.reserve(RELEASE, WIDE, 0)
    old = (tmp_path / "ledger").read_bytes()
    store.reserve(replace(RELEASE, round=2), WIDE, 0)
    newest = names(store, 1)
    store.check_log(newest)
    store.close()
    (tmp_path / "ledger").write_bytes(old)
    with pytest.raises(VerificationError) as caught:
        LedgerStore(tmp_path, ORIGIN).check_log(newest)
    assert caught.value.code == "rolled-back"
    # Filled up again to the same length it still is another ledger.
    other = LedgerStore(tmp_path, ORIGIN)
    other.reserve(replace(RELEASE, round=3), WIDE, 0)
    with pytest.raises(VerificationError):
        other.check_log(newest)
    (tmp_path / "ledger").unlink()
    with pytest.raises(VerificationError):
        LedgerStore(tmp_path, ORIGIN).check_log(newest)


def test_a_changed_line_stops_the_node(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path, ORIGIN)
    store.reserve(RELEASE, WIDE, 0)
    newest = names(store, 0)
    path = tmp_path / "ledger"
    changed = path.read_bytes().replace(b'"variance":"10000"', b'"variance":"99999"')
    path.write_bytes(changed)
    # Nothing follows the last line, so only the privacy log knows what it was.
    with pytest.raises(VerificationError, match="privacy log"):
        LedgerStore(tmp_path, ORIGIN).check_log(newest)
    path.write_bytes(changed)
    store.reserve(replace(RELEASE, round=2), WIDE, 0)
    with pytest.raises(VerificationError, match="line 2"):
        LedgerStore(tmp_path, ORIGIN)


def test_a_disk_that_fails_releases_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LedgerStore(tmp_path, ORIGIN)

    def fail(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(InputError, match="no space left"):
        store.reserve(RELEASE, WIDE, 0)
    monkeypatch.undo()
    with pytest.raises(InputError):  # what the disk holds now is known only to the next start
        store.reserve(RELEASE, WIDE, 0)
    assert store.ledger.lines == 0


def test_a_reservation_is_synced_to_its_last_byte_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, synced = LedgerStore(tmp_path, ORIGIN), []
    sync = os.fsync

    def noted(file: int) -> None:
        sync(file)
        synced.append(os.fstat(file).st_size)

    monkeypatch.setattr("os.fsync", noted)
    made = store.reserve(RELEASE, WIDE, 0)
    assert synced == [(tmp_path / "ledger").stat().st_size]
    store.spend(made.number)
    assert len(synced) == 1  # sent or not, it counts; the next reservation syncs this line with its own
