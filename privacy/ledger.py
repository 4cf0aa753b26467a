"""A bank's ledger of what was released about its rows: reserve, spend, refuse, as a chain of lines.

It opens no file and reads no clock. Theory: a reservation is written before any row is read for a release and counts at
once, whether the part ever left or not; marking it as sent changes nothing in the sum. So a crash anywhere can lose
accuracy of the bookkeeping in one direction only: too much is counted, never too little. Each line names the digest of
the line before it, and the digest of the newest stands in the bank's privacy log, so a ledger that lost or changed a
line does not fit its log. What counts against the cap is every release over the bank's rows in the period before now,
of whatever version of its table: a borrower of today was in yesterday's table too.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from privacy.accountant import Curve, PrivacyEvent, add_curves, curve_of, epsilon_at
from privacy.digest import digest
from privacy.errors import MisuseError, RefusalError, VerificationError
from privacy.log.canonical import decode_object, encode

__all__ = ["Cap", "Ledger", "Release", "Reservation"]

_DAY_US = 86_400_000_000
_LINE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Cap:
    """What a bank allows: epsilon at delta, both decimals, over any `period_days` days."""

    epsilon: str
    delta: str
    period_days: int

    def since_us(self, utc_us: int) -> int:
        """Return the start of the period that ends now."""
        return utc_us - self.period_days * _DAY_US


@dataclass(frozen=True, slots=True)
class Release:
    """What is about to be released: where in which job, for which request, over which dataset, at what cost.

    ask_sha256, dataset: 64 hex digits. event: with a count of one. unit: whom its cost is stated for: one `borrower`
    with all rows at this bank, or one `record`, which is one row.
    """

    job: str
    epoch: int
    position: int
    round: int
    name: str
    ask_sha256: str
    dataset: str
    event: PrivacyEvent
    unit: str = "record"


@dataclass(frozen=True, slots=True)
class Reservation:
    """A release as the ledger holds it.

    number: 0, 1, 2, ... in order. first: number of the oldest reservation that counted with it. epsilon_step: of this
    release alone. epsilon_total: of all that counted, this one included.
    """

    number: int
    utc_us: int
    release: Release
    first: int
    epsilon_step: float
    epsilon_total: float


class Ledger:
    """Hold the lines of a ledger that matter now; lines come in one at a time and are checked against the chain."""

    def __init__(self, origin: str) -> None:
        """origin: of the bank's privacy log; a ledger belongs to one."""
        self.head = digest("ledger", origin.encode("utf-8"))
        self.lines = 0
        self.reserved: list[tuple[int, Release]] = []
        self.heads: list[bytes] = []
        self.sent: set[int] = set()
        self._first = 0
        self._tally: dict[str, Counter[PrivacyEvent]] = {}

    def reserve(self, release: Release, cap: Cap, utc_us: int) -> tuple[Reservation, bytes]:
        """Return a reservation and the line that makes it, changing nothing; above the cap raises `RefusalError`."""
        if release.event.count != 1:
            raise MisuseError("ledger-count", "a reservation is for one release")
        now = max(utc_us, self.reserved[-1][0]) if self.reserved else utc_us
        self._forget(cap.since_us(now))
        total = epsilon_at(self._curve(release.job, [release.event]), cap.delta)
        if total > float(Fraction(cap.epsilon)):
            raise RefusalError(
                "budget-cap",
                f"one more release would bring epsilon to {total:.4g} in {cap.period_days} days, this bank's cap is "
                f"{cap.epsilon}",
            )
        step = epsilon_at(release.event.curve, cap.delta)
        made = Reservation(len(self.reserved), now, release, self._first, step, total)
        return made, self._line({"kind": "reserve", "utc_us": now, **_plain(release)})

    def spend(self, number: int) -> bytes:
        """Return the line that marks a reservation as sent."""
        if number in self.sent or not 0 <= number < len(self.reserved):
            raise MisuseError("ledger-spend", f"reservation {number} is unknown or was sent before")
        return self._line({"kind": "spend", "number": number})

    def take(self, line: bytes) -> None:
        """Take the next line, without its line end; one that is not the chain's next raises `VerificationError`."""
        damaged = VerificationError(
            "ledger-damaged", f"line {self.lines + 1} of the ledger is not the one written here"
        )
        document = decode_object(line, _LINE_BYTES, "a ledger's line")
        if document.pop("before", None) != self.head.hex():
            raise damaged
        try:
            if document["kind"] == "reserve":
                release = _release(document)
                self.reserved.append((int(str(document["utc_us"])), release))
                self._tally.setdefault(release.job, Counter())[release.event] += 1
            else:
                self.sent.add(int(str(document["number"])))
        except (KeyError, ValueError, RefusalError):
            raise damaged from None
        self.head = digest("ledger", self.head, line)
        self.lines += 1
        if document["kind"] == "reserve":
            self.heads.append(self.head)

    def forecast(self, job: str, events: Iterable[PrivacyEvent], cap: Cap, utc_us: int) -> float:
        """Return epsilon if a job released all of `events`, what it has released already being part of them."""
        self._forget(cap.since_us(utc_us))
        curves = [self._job_curve(other, []) for other in self._tally if other != job]
        both = zip(curve_of(events), self._job_curve(job, []), strict=True)
        return epsilon_at(add_curves([*curves, tuple(max(pair) for pair in both)]), cap.delta)

    def epsilon(self, cap: Cap, utc_us: int, job: str | None = None, banks: int = 1) -> float:
        """Return epsilon of the period, or of one job's part of it.

        banks: for a borrower with a record at so many banks that all release as this one does: a group of records.
        """
        self._forget(cap.since_us(utc_us))
        jobs = self._tally if job is None else {job: self._tally.get(job, Counter())}
        curves = (curve_of(event.in_banks(banks) for event in _counted(tally)) for tally in jobs.values())
        return epsilon_at(add_curves(curves), cap.delta)

    def jobs(self, cap: Cap, utc_us: int) -> tuple[str, ...]:
        """Return the jobs that count in the period, oldest first."""
        self._forget(cap.since_us(utc_us))
        return tuple(job for job, tally in self._tally.items() if tally.total())

    def _forget(self, since_us: int) -> None:
        while self._first < len(self.reserved) and self.reserved[self._first][0] < since_us:
            release = self.reserved[self._first][1]
            self._tally[release.job][release.event] -= 1
            self._first += 1
        # A clock that jumped ahead and came back must not leave anything forgotten.
        while self._first and self.reserved[self._first - 1][0] >= since_us:
            self._first -= 1
            release = self.reserved[self._first][1]
            self._tally[release.job][release.event] += 1

    def _curve(self, job: str, more: Iterable[PrivacyEvent]) -> Curve:
        jobs = dict.fromkeys([*self._tally, job])
        return add_curves(self._job_curve(each, more if each == job else ()) for each in jobs)

    def _job_curve(self, job: str, more: Iterable[PrivacyEvent]) -> Curve:
        return curve_of([*_counted(self._tally.get(job, Counter())), *more])

    def _line(self, document: Mapping[str, object]) -> bytes:
        return encode({**document, "before": self.head.hex()})


def _counted(tally: Counter[PrivacyEvent]) -> list[PrivacyEvent]:
    return [replace(event, count=count) for event, count in tally.items() if count]


def _plain(release: Release) -> dict[str, object]:
    event = release.event
    return {
        "job": release.job,
        "epoch": release.epoch,
        "position": release.position,
        "round": release.round,
        "name": release.name,
        "ask_sha256": release.ask_sha256,
        "dataset": release.dataset,
        "unit": release.unit,
        "rows": event.rows,
        "mechanism": event.mechanism,
        "neighbouring": event.neighbouring,
        # As text: variances go beyond what JSON's readers hold exactly.
        "variance": str(event.variance),
        "row_l1": str(event.row_l1),
        "row_l2_squared": str(event.row_l2_squared),
        "sampling_ppm": event.sampling_ppm,
    }


def _release(document: Mapping[str, object]) -> Release:
    texts = {name: str(document[name]) for name in ("job", "name", "ask_sha256", "dataset", "unit")}
    numbers = {name: int(str(document[name])) for name in ("epoch", "position", "round")}
    event = PrivacyEvent(
        rows=str(document["rows"]),
        variance=int(str(document["variance"])),
        row_l1=int(str(document["row_l1"])),
        row_l2_squared=int(str(document["row_l2_squared"])),
        sampling_ppm=int(str(document["sampling_ppm"])),
        mechanism=str(document["mechanism"]),
        neighbouring=str(document["neighbouring"]),
    )
    return Release(**texts, **numbers, event=event)  # type: ignore[arg-type]
