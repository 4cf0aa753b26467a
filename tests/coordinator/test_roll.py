"""The roll of members in the coordinator's log: each change once, over restarts too."""

from dataclasses import replace
from pathlib import Path

import pytest

from coordinator.log_store import load_log_key
from coordinator.roll import Roll
from coordinator.store import Member
from privacy.errors import VerificationError
from tests.coordinator.test_log_store import opened
from tests.privacy.logs import ORIGIN
from tests.privacy.table import identity_of

MEMBERS = {name: Member(name, identity_of(name).public.hex(), place) for place, name in enumerate(("bank-a", "bank-b"))}


def test_each_change_is_written_once(tmp_path: Path) -> None:
    store = opened(tmp_path)
    roll = Roll(store, load_log_key(tmp_path, ORIGIN).verifier())
    suspended = {**MEMBERS, "bank-b": replace(MEMBERS["bank-b"], status="suspended")}
    turned = {**MEMBERS, "bank-a": replace(MEMBERS["bank-a"], identity=identity_of("other").public.hex())}
    for members in (MEMBERS, MEMBERS, suspended, suspended, MEMBERS, turned):
        roll.settle(members)
    store.close()
    store = opened(tmp_path)
    Roll(store, load_log_key(tmp_path, ORIGIN).verifier()).settle(turned)
    events = store.of_kinds("member.changed", "key.rotated")
    assert [(event.body.get("member"), event.body.get("action", event.kind)) for event in events] == [
        ("bank-a", "joined"), ("bank-b", "joined"), ("bank-b", "suspended"), ("bank-b", "restored"),
        (None, "key.rotated")]  # fmt: skip
    store.close()


def test_a_database_that_is_older_than_the_log_brings_nobody_back(tmp_path: Path) -> None:
    store = opened(tmp_path)
    key = load_log_key(tmp_path, ORIGIN).verifier()
    left = {**MEMBERS, "bank-b": replace(MEMBERS["bank-b"], status="left")}
    roll = Roll(store, key)
    assert [roll.settle(members) for members in (MEMBERS, MEMBERS, left, left)] == [True, False, True, False]
    before = len(store.events(0, 99))
    for older, says in ((MEMBERS, "bank-b left"), ({"bank-b": left["bank-b"]}, "bank-a joined"), ({}, "bank-a joined")):
        with pytest.raises(VerificationError, match=f"{says}.*an older copy of the database") as caught:
            Roll(store, key).settle(older)
        assert caught.value.code == "rolled-back"
    assert not Roll(store, key).settle(left)
    assert len(store.events(0, 99)) == before
    store.close()
