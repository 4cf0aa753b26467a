"""What a node says at its start: rows and keys in force, once, and again when they differ."""

import json
import os
from pathlib import Path

import pytest

from node.config import load
from node.keys_file import Peers, read_peers
from node.opening import Rows, opening_entries
from node.record_store import RecordStore, StoreSettings, load_log_key
from privacy.keys import IdentityKey
from privacy.log.record import Actor, Author
from tests.node.bank import Bank, make_bank
from tests.privacy.logs import HandClock

ORIGIN = "alpha/privacy-log"


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return make_bank(tmp_path)


def start(bank: Bank, rows: Rows) -> list[tuple[str, object]]:
    """Open the log as a node does, and return what the start wrote."""
    settings = load(bank.config)
    peers: Peers = read_peers(settings.identity.peers)
    who = Author(ORIGIN, os.urandom(16), Actor("service", "alpha", "node", "process"))
    key = load_log_key(settings.state.dir, ORIGIN)
    store = RecordStore(StoreSettings(settings.state.dir, who, key, "creditmesh", "00" * 32, HandClock()))
    entries = opening_entries(store, rows, peers, "alpha")
    if entries:
        store.append(entries)
    assert opening_entries(store, rows, peers, "alpha") == []
    store.close()
    return [(entry.kind, entry.body.get("member", entry.body.get("dataset", entry.body.get("role"))))
            for entry in entries]  # fmt: skip


def rows_of(bank: Bank, dataset: str = "dataset-1") -> Rows:
    return Rows(dataset, "ab" * 32, load(bank.config).source, "record")


def test_the_first_start_says_it_all_and_the_second_nothing(bank: Bank) -> None:
    said = start(bank, rows_of(bank))
    assert said[0] == ("dataset.registered", "dataset-1")
    assert [member for kind, member in said[1:]] == ["alpha", "beta", "coordinator", "delta", "gamma"]
    assert start(bank, rows_of(bank)) == []


def test_other_rows_or_another_basis_are_registered_anew(bank: Bank) -> None:
    start(bank, rows_of(bank))
    assert start(bank, rows_of(bank, "dataset-2")) == [("dataset.registered", "dataset-2")]
    assert start(bank, rows_of(bank)) == []
    changed = load(bank.config).source.model_copy(update={"retention_until": "2031-12-31"})
    assert start(bank, Rows("dataset-1", "ab" * 32, changed, "record")) == [("dataset.registered", "dataset-1")]
    borrowers = Rows("dataset-1", "ab" * 32, changed, "borrower")
    assert borrowers.entry().body["unit_of_privacy"] == "borrower"
    assert start(bank, borrowers) == [("dataset.registered", "dataset-1")]


def test_a_pinned_key_that_changed_is_told(bank: Bank) -> None:
    start(bank, rows_of(bank))
    path = load(bank.config).identity.peers
    document = json.loads(path.read_text())
    document["members"]["beta"]["identity"] = IdentityKey.from_seed(b"x" * 32).public.hex()
    path.write_text(json.dumps(document))
    assert start(bank, rows_of(bank)) == [("key.rotated", "identity")]


def test_no_event_names_the_file_or_its_digest(bank: Bank) -> None:
    entry = rows_of(bank).entry()
    assert bank.table.name not in json.dumps(dict(entry.body))
