"""Streams that break the rules stand in the log, once a minute."""

from coordinator.refusals import Refusals
from privacy.log.record import Entry
from tests.privacy.logs import MemoryLog


def test_each_kind_of_refusal_of_a_member_is_written_down_once_a_minute() -> None:
    written: list[Entry] = []
    now = [100.0]
    refusals = Refusals(written.extend, lambda: now[0])

    for member, slug in (("bank-a", "not-a-member"), ("bank-a", "not-a-member"), ("", "other-consortium")):
        refusals.note(member, slug)
    now[0] += 59.0
    refusals.note("bank-a", "not-a-member")
    assert [str(entry.body["evidence"]).partition(":")[0] for entry in written] == ["not-a-member", "other-consortium"]
    now[0] += 1.0
    refusals.note("bank-a", "not-a-member")

    assert len(written) == 3
    log = MemoryLog()
    for entry in written:
        log.append(entry)  # what is no valid event raises
