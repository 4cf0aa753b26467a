"""Epsilon from a log whose truth is known: what a bank's own ledger spent, and every lie about it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from audit.cli import main
from audit.epsilon import audit_epsilon
from node.budget import spend_entry
from privacy.accountant import PrivacyEvent
from privacy.ledger import Cap, Ledger, Release
from privacy.log.record import Entry
from tests.audit.logs import named_store
from tests.privacy.logs import HandClock, MemoryLog, egress

DAY_US = 86_400_000_000
CAP = Cap("8", "0.00001", 2)
Lines = pytest.CaptureFixture[str]


def spent(releases: int = 6, gap_us: int = DAY_US // 2) -> list[Entry]:
    """Return the records of a bank that releases sums in two jobs, some of them older than its period."""
    ledger, entries = Ledger("bank-a/privacy-log"), []
    for number in range(releases):
        event = PrivacyEvent(
            "train" if number % 3 else "holdout", 4000 + number, 12, 40, 500_000 if number % 2 else 10**6
        )
        job = f"job-{number // 4}"
        release = Release(job, 1, number, number, "ask", "ab" * 32, "cd" * 32, event)
        made, line = ledger.reserve(release, CAP, 10 * DAY_US + number * gap_us)
        ledger.take(line)
        entries.append(spend_entry(made, CAP, "credit-risk-model", ledger.heads[made.number].hex()))
    return entries


def logged(entries: list[Entry], gap_us: int = DAY_US // 2) -> MemoryLog:
    log = MemoryLog()
    for entry in entries:
        log.append(entry)
        log.clock.pass_us(gap_us)
    return log


def codes(entries: list[Entry], gap_us: int = DAY_US // 2) -> list[str]:
    return [fault.code for fault in audit_epsilon(logged(entries, gap_us).events()).faults]


def test_the_ledgers_own_totals_are_made_again() -> None:
    entries = spent()
    assert int(str(entries[-1].body["first"])) > 0
    assert codes(entries) == []
    spending = audit_epsilon(logged(entries).events()).spending["cd" * 32]
    assert spending.recomputed == pytest.approx(float(spending.logged), abs=1e-12) and spending.releases == 6


@pytest.mark.parametrize(
    ("key", "value"),
    [("eps_total", "0.5"), ("eps_step", "0.1"), ("variance", "9000"), ("row_l1", "7"), ("q", "0.25"), ("steps", 2)],
)
def test_a_lie_about_a_cost_is_found(key: str, value: object) -> None:
    entries = spent()
    lie = {"sampling": "poisson"} if key == "q" else {}
    entries[2] = replace(entries[2], body={**entries[2].body, key: value, **lie})
    assert "differs" in codes(entries)


def test_a_period_that_starts_too_late_is_found() -> None:
    entries = spent(gap_us=1)
    entries[5] = replace(entries[5], body={**entries[5].body, "first": 4})
    assert codes(entries, 1) == ["differs", "left-out"]


def test_a_clock_that_ran_ahead_to_free_the_budget_is_found() -> None:
    entries = spent(gap_us=3 * DAY_US)
    assert int(str(entries[-1].body["first"])) == 5
    assert codes(entries, 4 * DAY_US) == []
    assert codes(entries, DAY_US // 24) == ["left-out"] * 5
    before_there_was_a_period = [replace(each, body=without(each.body, "period_days")) for each in entries]
    assert codes(before_there_was_a_period, 1) == []


def without(body: Mapping[str, object], key: str) -> dict[str, object]:
    return {name: value for name, value in body.items() if name != key}


def upload(position: int, attempt: int = 1, job: str = "job-0", ask: str = "ab") -> Entry:
    made = egress(position, attempt=attempt, epoch=1, position=position, ask_sha256=ask * 32)
    return replace(made, job=job, body={**made.body, "msg_id": f"{job}/{position}/{attempt}"})


def decided(**noise: object) -> Entry:
    body = {"job": "job-0", "decision": "accepted", "reason": "within the permit", "spec_sha256": "ab" * 32}
    return Entry(
        "job.decided", {**body, "min_cohort": 4, "approvers": ["permit"], **noise}, "credit-risk-model", "job-0"
    )


NOISE = {"epsilon_cap": "3", "delta": "0.00001"}


def test_each_part_that_left_needs_a_release_of_its_own() -> None:
    first, second = spent(2, 1)
    honest = [decided(dp=NOISE), first, upload(1), upload(1, 2), second, upload(2)]
    assert codes(honest, 1) == []
    assert codes([*honest, upload(3)], 1) == ["unpaid"]
    assert codes([decided(dp=NOISE), upload(1)], 1) == ["unpaid"]
    assert codes([first, upload(1, ask="cd")], 1) == ["unpaid"]
    assert codes([decided(), upload(1), upload(2)], 1) == []
    assert codes([decided(dp=NOISE), first, upload(1), upload(9, job="job-9")], 1) == []


def test_the_command_fails_where_all_releases_are_missing(tmp_path: Path, capsys: Lines) -> None:
    store = named_store(tmp_path / "bank-a", "bank-a", HandClock())
    store.append([decided(dp=NOISE), upload(1)])
    store.close()
    assert main(["epsilon", str(tmp_path / "bank-a")]) == 1
    out = capsys.readouterr().out
    assert "unpaid" in out and "exact" not in out


def test_a_release_without_record_is_said() -> None:
    entries = spent(gap_us=1)
    del entries[1]
    assert codes(entries) == ["missing"]
    entries[-1] = replace(entries[-1], body={**entries[-1].body, "eps_total": entries[0].body["eps_total"]})
    assert codes(entries) == ["missing", "differs"]


def test_a_release_written_twice_is_found() -> None:
    entries = spent()
    assert codes([*entries, entries[-1]]) == ["entry"]


def test_a_total_above_the_cap_is_found() -> None:
    entries = [replace(each, body={**each.body, "cap": "0.01"}) for each in spent(1)]
    assert codes(entries) == ["above-cap"]


def test_another_accountant_is_not_guessed() -> None:
    entries = spent(2)
    entries[1] = replace(entries[1], body={**entries[1].body, "accountant": "moments/9"})
    assert codes(entries) == ["not-priced"]


def test_the_command(tmp_path: Path, capsys: Lines) -> None:
    clock = HandClock()
    store = named_store(tmp_path / "bank-a", "bank-a", clock)
    assert main(["epsilon", str(tmp_path / "bank-a")]) == 0
    assert "no dp.spend records" in capsys.readouterr().out
    for entry in spent():
        store.append([entry])
        clock.pass_us(DAY_US // 2)
    store.close()
    assert main(["epsilon", str(tmp_path / "bank-a"), "--json"]) == 0
    (spending,) = json.loads(capsys.readouterr().out)["spending"]
    assert spending["dataset"] == "cd" * 32 and spending["jobs"] == {"job-0": 4, "job-1": 2}
    assert main(["epsilon", str(tmp_path / "bank-a"), "--dataset", "cd" * 32]) == 0
    assert "all totals agree" in capsys.readouterr().out
    assert main(["epsilon", str(tmp_path / "bank-a"), "--dataset", "other"]) == 3
    capsys.readouterr()


def test_the_command_fails_on_a_difference(tmp_path: Path, capsys: Lines) -> None:
    store = named_store(tmp_path / "bank-a", "bank-a", HandClock())
    entries = spent()
    store.append([*entries[:-1], replace(entries[-1], body={**entries[-1].body, "eps_total": "0.5"})])
    store.close()
    assert main(["epsilon", str(tmp_path / "bank-a")]) == 1
    assert "differs" in capsys.readouterr().out
