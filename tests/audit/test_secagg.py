"""The rule over several banks' logs: honest rounds pass, and every planted breach is named."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from audit.cli import main
from audit.secagg import SecaggAudit
from privacy.log.record import Entry
from privacy.log.rounds import Pledge, RoundLists, bitmap_of
from tests.audit.logs import named_store
from tests.privacy.logs import HandClock, MemoryLog

SEATS = ("bank-a", "bank-b", "bank-c", "bank-d")
SUM = "77" * 32
Lines = pytest.CaptureFixture[str]


@dataclass
class Bank:
    """One bank's records in the order in which they were made, and its side file's lines."""

    name: str
    entries: list[Entry] = field(default_factory=list)
    lists: list[RoundLists] = field(default_factory=list)

    def message(self, kind: str, position: int, **more: Any) -> None:
        msg_id = f"job-1/1/{position}/{kind}/{self.name}>coordinator"
        body = {
            "msg_id": msg_id, "to": "coordinator", "bytes": 10, "payload_kind": f"secagg.{kind}",
            "protection": "masked", "epoch": 1, "position": position,
            "payload_sha256": hashlib.sha256(msg_id.encode()).hexdigest(), **more,
        }  # fmt: skip
        self.entries.append(Entry("egress.authorised", body, "credit-risk-model", "job-1", position))

    def give(self, kind: str, position: int, shares: tuple[str, ...], seeds: tuple[str, ...], **more: Any) -> None:
        given = {"shares": bitmap_of(shares, SEATS), "seeds": bitmap_of(seeds, SEATS)}
        self.message(kind, position, **given, **more)

    def opened(self, position: int, survivors: tuple[str, ...], seeds: tuple[str, ...] = (), **more: Any) -> None:
        pledges = tuple(Pledge(member, "11" * 32, "22" * 32, "33" * 32) for member in survivors)
        lists = RoundLists(
            job="job-1", round=position, epoch=1, position=position, binding="44" * 32, seats=SEATS, roster=SEATS,
            survivors=survivors, pledges=pledges, shares=survivors, seeds=seeds, aggregate_sha256=SUM,
        )  # fmt: skip
        self.lists.append(replace(lists, **more))
        body = self.lists[-1].body()
        self.entries.append(Entry("secagg.round", body, "credit-risk-model", "job-1", position))

    def decided(self, least: int = 3) -> None:
        body = {
            "job": "job-1", "decision": "accepted", "reason": "permit", "spec_sha256": "00" * 32,
            "min_cohort": least, "approvers": [],
        }  # fmt: skip
        self.entries.append(Entry("job.decided", body, "credit-risk-model", "job-1"))

    def events(self) -> list[bytes]:
        log = MemoryLog(f"{self.name}/privacy-log")
        log.append(*self.entries)
        return log.events()

    def lines(self) -> list[tuple[str, bytes]]:
        return [("rounds/job-1.jsonl", lists.encode()) for lists in self.lists]


def honest() -> list[Bank]:
    """Return two rounds: one with everybody, one in which bank-d is lost after its keys were agreed."""
    banks = [Bank(name) for name in SEATS]
    for bank in banks:
        bank.decided()
        bank.message("upload", 1)
        bank.give("consent", 1, SEATS, (), cohort_sha256="55" * 32, cohort="1111")
        bank.opened(1, SEATS)
    for bank in banks[:3]:
        bank.message("upload", 2)
        bank.give("consent", 2, (), (), cohort_sha256="66" * 32, cohort="1110")
        bank.give("reveal", 2, SEATS[:3], ("bank-d",), cohort_sha256="66" * 32, cohort="1110")
        bank.opened(2, SEATS[:3], ("bank-d",))
    return banks


def judged(banks: list[Bank], least: int | None = None) -> dict[int, str]:
    """Return the steps that did not pass, by number."""
    audit = SecaggAudit(least)
    for bank in banks:
        audit.add_log(bank.name, bank.events(), bank.lines())
    return {step.number: step.status for step in audit.judge() if step.status != "passed"}


def test_honest_rounds_pass() -> None:
    assert judged(honest()) == {}
    audit = SecaggAudit()
    for bank in honest():
        audit.add_log(bank.name, bank.events(), bank.lines())
    audit.judge()
    assert audit.smallest == 3


def test_an_unmasked_part_is_found() -> None:
    banks = honest()
    banks[1].message("upload", 3, protection="none")
    assert judged(banks) == {1: "failed"}


def test_two_votes_of_one_bank_are_found() -> None:
    banks = honest()
    banks[0].give("consent", 1, (), (), cohort_sha256="99" * 32, cohort="1110")
    assert judged(banks) == {2: "failed"}


def test_a_vote_sent_again_is_one_vote() -> None:
    banks = honest()
    banks[0].give("consent", 1, SEATS, (), cohort_sha256="55" * 32, cohort="1111", attempt=2)
    assert judged(banks) == {}


def test_one_log_that_shows_both_is_found() -> None:
    banks = honest()
    bank = banks[2]
    bank.give("reveal", 2, ("bank-d",), ())
    bank.entries.insert(-1, bank.entries.pop())
    bank.lists[-1] = replace(bank.lists[-1], shares=SEATS)
    bank.entries[-1] = replace(bank.entries[-1], body=bank.lists[-1].body())
    assert judged(banks) == {3: "failed", 4: "flagged"}


def test_enough_shares_and_a_pair_seed_in_different_logs_are_found() -> None:
    banks = honest()
    # In a position that never opens, three banks give shares of bank-a's seed and the fourth a pair seed with it.
    for bank in banks[1:]:
        bank.give("consent", 3, ("bank-a",), ())
    banks[0].give("reveal", 3, (), ("bank-a",))
    assert judged(banks) == {4: "failed"}


def test_a_threshold_that_a_bank_states_too_high_excuses_nothing() -> None:
    banks = honest()
    for bank in banks:
        # All four gave shares of bank-a's seed in position 1; now the fourth gives a pair seed with it as well.
        bank.lists = []
    banks[0].entries[3] = replace(banks[0].entries[3], body={**banks[0].entries[3].body, "threshold": 200})
    banks[3].give("reveal", 1, (), ("bank-a",))
    assert judged(banks)[4] == "failed"


def test_shares_below_the_threshold_with_a_pair_seed_are_flagged() -> None:
    banks = honest()
    for bank in banks[1:3]:
        bank.give("consent", 3, ("bank-a",), ())
    banks[0].give("reveal", 3, (), ("bank-a",))
    assert judged(banks) == {4: "flagged"}


def test_another_sum_for_one_bank_is_found() -> None:
    banks = honest()
    banks[1].entries[3] = replace(banks[1].entries[3], body={**banks[1].entries[3].body, "aggregate_sha256": "88" * 32})
    banks[1].lists[0] = replace(banks[1].lists[0], aggregate_sha256="88" * 32)
    assert judged(banks) == {5: "failed"}


def test_a_cohort_below_what_was_accepted_is_found() -> None:
    assert judged(honest(), 4) == {6: "failed"}
    banks = honest()
    banks[0].entries[0] = replace(banks[0].entries[0], body={**banks[0].entries[0].body, "min_cohort": 4})
    assert judged(banks) == {6: "failed"}
    del banks[0].entries[0]
    assert judged(banks) == {6: "incomplete"}


def test_lists_are_bound_to_their_records() -> None:
    banks = honest()
    kept = banks[0].lists[1]
    for other in (replace(kept, seeds=()), replace(kept, aggregate_sha256="88" * 32), replace(kept, round=9)):
        banks[0].lists[1] = other
        assert judged(banks) == {7: "failed"}
    banks[0].lists = banks[0].lists[:1]
    assert judged(banks) == {7: "incomplete"}
    banks[0].lists = [*honest()[0].lists, replace(kept, position=9)]
    assert judged(banks) == {7: "flagged"}


def test_a_record_that_hides_a_share_is_found() -> None:
    banks = honest()
    banks[0].entries[2] = replace(banks[0].entries[2], body={**banks[0].entries[2].body, "shares": "0111"})
    assert judged(banks) == {7: "failed"}


def test_a_sum_recorded_twice_is_found() -> None:
    banks = honest()
    banks[0].entries.append(banks[0].entries[-1])
    assert judged(banks)[7] == "failed"


def test_a_missing_log_is_named() -> None:
    audit = SecaggAudit()
    for bank in honest()[:3]:
        audit.add_log(bank.name, bank.events(), bank.lines())
    step = audit.judge()[7]
    assert step.status == "incomplete" and step.detail.startswith("bank-d")


def test_a_record_that_does_not_say_what_was_given_is_incomplete() -> None:
    banks = honest()
    body = {key: value for key, value in banks[0].entries[2].body.items() if key not in ("shares", "seeds")}
    banks[0].entries[2] = replace(banks[0].entries[2], body=body)
    assert judged(banks) == {4: "incomplete"}


def written(root: Path) -> list[Path]:
    folders = []
    for bank in honest():
        folder = root / bank.name
        store = named_store(folder, bank.name, HandClock())
        store.append(bank.entries)
        store.close()
        (folder / "rounds").mkdir()
        (folder / "rounds" / "job-1.jsonl").write_bytes(b"".join(line + b"\n" for _, line in bank.lines()))
        folders.append(folder)
    return folders


def test_the_command_reads_directories_and_exports(tmp_path: Path, capsys: Lines) -> None:
    folders = written(tmp_path)
    assert main(["secagg-check", *map(str, folders)]) == 0
    assert "smallest cohort of any sum: 3 banks" in capsys.readouterr().out
    export = tmp_path / "a.jsonl"
    assert main(["export", "jsonl", str(folders[0]), "--out", str(export)]) == 0
    capsys.readouterr()
    assert main(["secagg-check", str(export), *map(str, folders[1:]), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {step["status"] for step in document["steps"]} == {"passed"} and document["smallest_cohort"] == 3
    assert main(["secagg-check", *map(str, folders[1:])]) == 3
    assert main(["secagg-check", *map(str, folders), "--min-cohort", "4"]) == 1
    capsys.readouterr()


def test_a_log_that_does_not_hold_is_not_compared(tmp_path: Path, capsys: Lines) -> None:
    folders = written(tmp_path)
    (folders[1] / "log.vkey").write_text((folders[0] / "log.vkey").read_text())
    assert main(["secagg-check", *map(str, folders)]) == 1
    assert "step" in capsys.readouterr().err
    assert main(["secagg-check", str(folders[0]), str(folders[0])]) == 2
    capsys.readouterr()
