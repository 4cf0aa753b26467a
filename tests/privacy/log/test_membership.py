"""What a log has to say when members and keys changed, and that saying it once is enough."""

from collections.abc import Mapping, Sequence

import pytest

from privacy.log.journal import read_events
from privacy.log.kinds import KINDS, fault_of
from privacy.log.membership import Quorum, identity_key, membership_entries
from privacy.log.record import Entry
from tests.privacy.logs import MemoryLog

QUORUM = Quorum("ab" * 32, 2, 3)
KEYS = {"bank-a": ["bank-a/identity+01", "bank-a/privacy-log+02"], "bank-b": ["bank-b/identity+03"]}


def step(log: MemoryLog, keys: Mapping[str, Sequence[str]], suspended: Sequence[str] = ()) -> list[Entry]:
    """Bring the log up to date; fail if it would not be so after that."""
    entries = membership_entries(read_events(log.database, 0, 1 << 30), keys, QUORUM, suspended)
    assert [fault_of(entry.body, KINDS[entry.kind]) for entry in entries] == [None] * len(entries)
    if entries:
        log.append(*entries)
    assert membership_entries(read_events(log.database, 0, 1 << 30), keys, QUORUM, suspended) == []
    return entries


def actions(entries: Sequence[Entry]) -> list[tuple[object, object]]:
    return [(entry.body.get("member", entry.kind), entry.body.get("action")) for entry in entries]


def test_the_first_start_says_who_belongs() -> None:
    entries = step(MemoryLog(), KEYS)
    assert actions(entries) == [("bank-a", "joined"), ("bank-b", "joined")]
    assert entries[0].body["vkeys"] == KEYS["bank-a"]
    assert (entries[0].body["policy_sha256"], entries[0].body["quorum"]) == ("ab" * 32, {"k": 2, "n": 3})


def test_a_key_under_a_known_name_is_a_rotation() -> None:
    log = MemoryLog()
    step(log, KEYS)
    turned = {**KEYS, "bank-a": ["bank-a/identity+ff", "bank-a/privacy-log+02"]}
    (entry,) = step(log, turned)
    body = entry.body
    assert (entry.kind, body["role"], body["old_vkey"], body["new_vkey"]) == (
        "key.rotated", "identity", "bank-a/identity+01", "bank-a/identity+ff")  # fmt: skip
    (back,) = step(log, KEYS)
    assert back.body["new_vkey"] == "bank-a/identity+01"


def test_a_new_kind_of_key_is_told_with_the_member() -> None:
    log = MemoryLog()
    step(log, KEYS)
    more = {**KEYS, "bank-b": ["bank-b/identity+03", "bank-b/witness+04"]}
    (entry,) = step(log, more)
    assert (entry.body["member"], entry.body["vkeys"]) == ("bank-b", more["bank-b"])


@pytest.mark.parametrize("how", ["left", "suspended"])
def test_who_goes_and_comes_back_is_told_each_time(how: str) -> None:
    log = MemoryLog()
    step(log, KEYS)
    fewer = {"bank-a": KEYS["bank-a"]}
    gone = step(log, fewer) if how == "left" else step(log, KEYS, ["bank-b"])
    assert actions(gone) == [("bank-b", how)]
    assert actions(step(log, KEYS)) == [("bank-b", "restored")]


def test_an_identity_is_a_key_with_its_owner_s_name() -> None:
    assert identity_key("bank-a", b"\x01" * 32) == "bank-a/identity+" + "01" * 32
