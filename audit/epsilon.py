"""Epsilon recomputed from a log's `dp.spend` records, release by release, and compared with what the bank wrote down.

The log is taken as verified; what releases cost is `privacy.accountant`. Theory: a record holds what its cost follows
from, its number in the bank's ledger, and the oldest number that counted with it, so each running total can be made
again out of the records alone. A record that is missing makes every later total unprovable, which is said; a record
that states less than it spent gives another total; one that leaves out what is younger than its own period is found by
the records' times. Each part that left in a job with noise needs a release of its own before it, so records that were
never written are missed too. That noise was really drawn is the node's claim.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from privacy.accountant import PrivacyEvent, add_curves, curve_of, epsilon_at, event_from_body
from privacy.errors import PrivacyError
from privacy.log.record import Event, decode_event

__all__ = ["EpsilonAudit", "Fault", "Spending", "audit_epsilon"]

# The figure is written with 15 digits after the point; libraries may round a logarithm differently in the last bits.
TOLERANCE = 1e-9
_DAY_US = 86_400_000_000
# A record bears the time of its commit, which may be a round later than its place in the ledger.
_LATE_US = _DAY_US
_MARKS = (b'"kind":"dp.spend"', b'"kind":"job.decided"', b'"payload_kind":"secagg.upload"')


@dataclass(frozen=True, slots=True)
class Fault:
    """One record that does not agree: its number in the log, a stable code, and one line."""

    seq: int
    code: str
    detail: str


@dataclass(slots=True)
class Spending:
    """What one data set's records come to.

    Attributes:
        dataset: its pseudonym.
        releases: number of releases.
        unit, accountant, delta, cap: as the newest record states them.
        logged: the newest running total that was written down, over all of the bank's data sets.
        recomputed: the same from the records, None when it cannot be made.
        jobs: its jobs in order.
    """

    dataset: str
    releases: int = 0
    unit: str = ""
    accountant: str = ""
    delta: str = ""
    cap: str = ""
    logged: str = ""
    recomputed: float | None = None
    jobs: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class EpsilonAudit:
    """The outcome over one log: spending by data set, faults in order, whether records are missing."""

    spending: dict[str, Spending] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    missing: int = 0


@dataclass(slots=True)
class _Replay:
    """The bank's ledger, made again from its records."""

    tally: dict[str, Counter[PrivacyEvent]] = field(default_factory=dict)
    window: list[tuple[int, int, str, PrivacyEvent]] = field(default_factory=list)
    newest: int = -1
    forgotten: int = 0
    noisy: set[str] = field(default_factory=set)
    paid: Counter[tuple[str, str]] = field(default_factory=Counter)
    left: set[tuple[str, object, object]] = field(default_factory=set)

    def add(self, number: int, first: int, record: Event, event: PrivacyEvent) -> None:
        self.newest, job = number, record.job
        self.window.append((number, record.utc_us, job, event))
        self.tally.setdefault(job, Counter())[replace(event, count=1)] += event.count
        while self.forgotten < len(self.window) and self.window[self.forgotten][0] < first:
            _, _, old_job, old = self.window[self.forgotten]
            self.tally[old_job][replace(old, count=1)] -= old.count
            self.forgotten += 1
        while self.forgotten and self.window[self.forgotten - 1][0] >= first:
            self.forgotten -= 1
            _, _, old_job, old = self.window[self.forgotten]
            self.tally[old_job][replace(old, count=1)] += old.count

    def too_young(self, since_us: int) -> int | None:
        """Return the number of a release that was left out though it is younger than that."""
        left_out = self.window[: self.forgotten]
        return next((number for number, utc_us, _, _ in reversed(left_out) if utc_us > since_us), None)

    def unpaid(self, event: Event) -> bool:
        """Take a part that left, and say whether its job has noise and no release pays for it."""
        body = event.body
        place = (event.job, body.get("epoch"), body.get("position"))
        if event.job not in self.noisy or place in self.left:
            return False
        self.left.add(place)
        asked = (event.job, str(body.get("ask_sha256")))
        self.paid[asked] -= 1
        return self.paid[asked] < 0

    def total(self, delta: str) -> float:
        curves = (
            curve_of(replace(event, count=count) for event, count in counts.items() if count)
            for counts in self.tally.values()
        )
        return epsilon_at(add_curves(curves), delta)


def audit_epsilon(events: Iterable[bytes]) -> EpsilonAudit:
    """Recompute every running total of a log's `dp.spend` records, in order, and look for uploads without one."""
    audit, replay = EpsilonAudit(), _Replay()
    for encoded in events:
        if not any(mark in encoded for mark in _MARKS):
            continue
        event = decode_event(encoded)
        if event.kind == "dp.spend":
            replay.noisy.add(event.job)
            replay.paid[event.job, str(event.body["ask_sha256"])] += 1
            _take(audit, replay, event)
        elif event.kind == "job.decided":
            if event.body["decision"] == "accepted" and "dp" in event.body:
                replay.noisy.add(str(event.body["job"]))
        elif event.kind == "egress.authorised" and replay.unpaid(event):
            audit.faults.append(
                Fault(event.seq, "unpaid", "a part of a job with noise left, and no release pays for it")
            )
    return audit


def _take(audit: EpsilonAudit, replay: _Replay, event: Event) -> None:
    body = event.body
    name = str(body["dataset"])
    spending = audit.spending.setdefault(name, Spending(name))
    spending.jobs[event.job] = spending.jobs.get(event.job, 0) + 1
    spending.unit, spending.accountant = str(body["unit"]), str(body["accountant"])
    spending.delta, spending.cap, spending.logged = str(body["delta"]), str(body["cap"]), str(body["eps_total"])
    number, first = int(str(body["entry"])), int(str(body["first"]))
    if number <= replay.newest or first > number:
        audit.faults.append(Fault(event.seq, "entry", f"release {number} comes after release {replay.newest}"))
        return
    if number > replay.newest + 1:
        lost = number - replay.newest - 1
        audit.missing += lost
        audit.faults.append(Fault(event.seq, "missing", f"{lost} releases before release {number} have no record"))
    try:
        spent = event_from_body(body)
        replay.add(number, first, event, spent)
        step, total = epsilon_at(spent.curve, spending.delta), replay.total(spending.delta)
    except (PrivacyError, OverflowError, ValueError) as error:
        audit.faults.append(Fault(event.seq, "not-priced", str(error)))
        replay.newest = number
        spending.recomputed = None
        return
    spending.releases += spent.count
    spending.recomputed = total
    for what, logged, found in (("eps_step", body["eps_step"], step), ("eps_total", body["eps_total"], total)):
        # A release without record cost something too: a larger total then proves nothing, a smaller one still lies.
        unproved = what == "eps_total" and audit.missing and float(Decimal(str(logged))) >= found
        if not unproved and not _same(str(logged), found):
            audit.faults.append(Fault(event.seq, "differs", f"{what} is written as {logged}, the records make {found}"))
    if "period_days" in body:
        young = replay.too_young(event.utc_us - int(str(body["period_days"])) * _DAY_US + _LATE_US)
        if young is not None:
            detail = f"release {young} is left out of the total, and is younger than {body['period_days']} days"
            audit.faults.append(Fault(event.seq, "left-out", detail))
    if Decimal(spending.logged) > Decimal(spending.cap) or not _within(total, spending.cap):
        audit.faults.append(Fault(event.seq, "above-cap", f"epsilon {total} is above the cap of {spending.cap}"))


def _same(logged: str, found: float) -> bool:
    return abs(float(Decimal(logged)) - found) <= TOLERANCE * max(1.0, abs(found))


def _within(total: float, cap: str) -> bool:
    return total <= float(Decimal(cap)) * (1 + TOLERANCE)
