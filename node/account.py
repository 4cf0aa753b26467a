"""What this bank's rows have cost so far: the ledger as a table, for `creditmesh-node budget`.

It reads the ledger and writes nothing; the node may run. Theory: epsilon of jobs does not add up, it composes, so the
total is computed over all releases of the period and is smaller than the sum of the jobs.
"""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from node.budget import cap_of
from node.config import NodeConfig
from node.ledger_store import read_ledger
from privacy.ledger import Cap, Ledger, Release

__all__ = ["Account", "JobCost", "account_of", "read_account"]

GROUPS = (1, 2, 3, 5)
_AT_BANKS = {
    "borrower": "a borrower",
    "record": "a borrower with one record",
    "mixed": "a borrower with one record",
}
_UNITS = {
    "borrower": "one borrower with all rows at this bank, added or removed",
    "record": "one record, added or removed; a borrower with several rows is protected less",
    "mixed": "of each job as shown; the sum of both kinds holds for a borrower with one row",
}


@dataclass(frozen=True, slots=True)
class JobCost:
    """One job's part in the period: whom epsilon is stated for, releases reserved, those that left, epsilon alone."""

    job: str
    unit: str
    reserved: int
    sent: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class Account:
    """A bank's account.

    unit: whom epsilon is stated for: `borrower`, with all rows at this bank, `record`, which is one row, or `mixed`
    over jobs of both kinds. epsilon_by_banks: of a unit that is at so many banks, each releasing as this one.
    """

    member: str
    epsilon: float
    epsilon_cap: str
    delta: str
    period_days: int
    unit: str
    jobs: tuple[JobCost, ...]
    epsilon_by_banks: dict[str, float]

    def document(self) -> dict[str, object]:
        """Return the account as JSON values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the account as text."""
        spent = f"{self.member}: epsilon {self.epsilon:.4f} of {self.epsilon_cap} spent, at delta {self.delta}"
        lines = [f"{spent}, in the last {self.period_days} days"]
        if self.jobs:
            width = max(len("job"), *(len(cost.job) for cost in self.jobs))
            lines.append(f"  {'job'.ljust(width)}  unit      reserved  sent  epsilon")
            lines += [
                f"  {cost.job.ljust(width)}  {cost.unit:8}  {cost.reserved:8d}  {cost.sent:4d}  {cost.epsilon:7.4f}"
                for cost in self.jobs
            ]
            groups = ", ".join(f"{count}: {epsilon:.4f}" for count, epsilon in self.epsilon_by_banks.items())
            lines.append(f"  {_AT_BANKS[self.unit]} at as many banks, each releasing as this one: {groups}")
            lines.append("  what was reserved counts, whether it left or not")
            lines.append(f"  unit: {_UNITS[self.unit]}")
        return lines


def read_account(config: NodeConfig) -> Account:
    """Return the account in the state folder that `config` names; `VerificationError` for a ledger that was changed."""
    state: Path = config.state.dir
    ledger = read_ledger(state, f"{config.member.id}/privacy-log")
    return account_of(config.member.id, ledger, cap_of(config.permit), time.time_ns() // 1000)


def account_of(member: str, ledger: Ledger, cap: Cap, utc_us: int) -> Account:
    """Return the account of a ledger at an instant, UTC microseconds."""
    since = cap.since_us(utc_us)
    counted = [(number, release) for number, (at, release) in enumerate(ledger.reserved) if at >= since]
    costs = []
    for job in ledger.jobs(cap, utc_us):
        numbers = [number for number, release in counted if release.job == job]
        sent = sum(number in ledger.sent for number in numbers)
        costs.append(
            JobCost(
                job,
                _unit(release for _, release in counted if release.job == job),
                len(numbers),
                sent,
                ledger.epsilon(cap, utc_us, job),
            )
        )
    groups = {str(count): ledger.epsilon(cap, utc_us, banks=count) for count in GROUPS}
    return Account(
        member=member,
        epsilon=ledger.epsilon(cap, utc_us),
        epsilon_cap=cap.epsilon,
        delta=cap.delta,
        period_days=cap.period_days,
        unit=_unit(release for _, release in counted),
        jobs=tuple(costs),
        epsilon_by_banks=groups,
    )


def _unit(releases: Iterable[Release]) -> str:
    units = {release.unit for release in releases}
    return units.pop() if len(units) == 1 else "mixed" if units else "record"
