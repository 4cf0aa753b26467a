"""Decide at this bank whether a release may be made, and write it down before it is.

It adds no noise and reads no row. Theory: only the node spends the bank's budget. Before a job it computes what the
whole job would cost, on top of what was released before; before each release it reserves the cost of that release on
disk, so what the coordinator repeats, raises or restarts is charged again and refused at the cap. The record in the
privacy log rides on the commit that lets the part leave.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt
from typing import Protocol

from node.config import PermitSettings
from node.ledger_store import LedgerStore
from privacy.accountant import ACCOUNTANT, WHOLE_PPM, PrivacyEvent
from privacy.errors import RefusalError
from privacy.guarantee import Planned, check_plan
from privacy.ledger import Cap, Release, Reservation
from privacy.log.record import Entry
from privacy.manifest import Manifest
from privacy.secagg.binding import ask_digest

__all__ = ["Budget", "Noisy", "cap_of", "spend_entry"]


class Noisy(Protocol):
    """The part of a request that its cost follows from."""

    @property
    def name(self) -> str:
        """Return the request's name."""

    @property
    def rows(self) -> str:
        """Return which rows it counts."""

    @property
    def noise(self) -> int:
        """Return the variance of the noise in the sum."""

    @property
    def row_l1(self) -> int:
        """Return what one record can change in L1."""

    @property
    def row_l2_squared(self) -> int:
        """Return what one record can change in L2, squared."""

    @property
    def sampling_ppm(self) -> int:
        """Return the rate of Poisson sampling in millionths."""

    def encode(self) -> bytes:
        """Return the canonical bytes."""


def cap_of(permit: PermitSettings) -> Cap:
    """Return the cap that `[permit]` states."""
    return Cap(permit.epsilon_cap, permit.delta, permit.period_days)


@dataclass(frozen=True, slots=True)
class Budget:
    """Spend one bank's budget.

    dataset: 64 hex digits of the table in use. record: lets an entry ride on the next commit of the privacy log. now:
    reads UTC microseconds. unit: `borrower` where the table says whose each row is, else `record`.
    """

    store: LedgerStore
    cap: Cap
    dataset: str
    record: Callable[[Entry], None]
    now: Callable[[], int]
    unit: str = "record"

    def decide(self, manifest: Manifest, releases: Callable[[], tuple[Planned, ...]]) -> None:
        """Raise `RefusalError` unless a job keeps what it promises and fits under the cap; an exact job passes.

        Codes: guarantee-broken, permit-delta, budget-cap.
        """
        promised = manifest.dp
        if promised is None:
            return
        if Fraction(promised.delta) > Fraction(self.cap.delta):
            raise RefusalError(
                "permit-delta", f"the job promises delta {promised.delta}, the permit asks for {self.cap.delta} or less"
            )
        events = check_plan(releases(), promised)
        cost = self.store.ledger.forecast(manifest.job, events, self.cap, self.now())
        if cost > float(Fraction(self.cap.epsilon)):
            raise RefusalError(
                "budget-cap",
                f"the job would bring epsilon to {cost:.4g} in {self.cap.period_days} days, this bank's cap is "
                f"{self.cap.epsilon}",
            )

    def reserve(self, manifest: Manifest, at: tuple[int, int, int], request: Noisy) -> Reservation:
        """Reserve a request's release durably and let its record ride on the next commit.

        at: epoch, position and round. Raises `RefusalError` at the cap, for a request without noise, and for one that
        cannot be accounted for; nothing has changed then.
        """
        if request.noise <= 0:
            raise RefusalError("noise-missing", f"the request {request.name} of a job with noise carries none")
        event = PrivacyEvent(request.rows, request.noise, request.row_l1, request.row_l2_squared, request.sampling_ppm)
        asked = ask_digest(request.encode()).hex()
        release = Release(manifest.job, *at, request.name, asked, self.dataset, event, self.unit)
        made = self.store.reserve(release, self.cap, self.now())
        head = self.store.ledger.heads[made.number].hex()
        self.record(spend_entry(made, self.cap, manifest.purpose, head))
        return made

    def account(self, job: str) -> dict[str, object]:
        """Return what a job and the whole period have cost, beside the cap, as JSON values."""
        now, ledger = self.now(), self.store.ledger
        return {
            "epsilon": ledger.epsilon(self.cap, now, job),
            "epsilon_total": ledger.epsilon(self.cap, now),
            "epsilon_cap": self.cap.epsilon,
            "delta": self.cap.delta,
            "period_days": self.cap.period_days,
        }

    def spend(self, made: Reservation) -> None:
        """Note that a reserved release has left."""
        self.store.spend(made.number)


def spend_entry(made: Reservation, cap: Cap, purpose: str, head: str) -> Entry:
    """Return the `dp.spend` record of a reservation: all that its cost follows from. head: the ledger's, in hex."""
    release, event = made.release, made.release.event
    body = {
        "dataset": release.dataset,
        "unit": release.unit,
        "neighbouring": event.neighbouring,
        "mechanism": event.mechanism,
        "sampling": "none" if event.sampling_ppm == WHOLE_PPM else "poisson",
        "q": _decimal(event.sampling_ppm / WHOLE_PPM),
        "steps": event.count,
        "rows": event.rows,
        "variance": str(event.variance),
        "row_l1": str(event.row_l1),
        "row_l2_squared": str(event.row_l2_squared),
        "noise_multiplier": _decimal(sqrt(event.variance / event.row_l2_squared)),
        "clip_norm": _decimal(sqrt(event.row_l2_squared)),
        "delta": cap.delta,
        "accountant": ACCOUNTANT,
        "eps_step": _decimal(made.epsilon_step),
        "eps_total": _decimal(made.epsilon_total),
        "cap": cap.epsilon,
        "rng": "aes-256-ctr",
        "trust_model": "distributed",
        "entry": made.number,
        "first": made.first,
        "period_days": cap.period_days,
        "ask_sha256": release.ask_sha256,
        "ledger_sha256": head,
    }
    return Entry("dp.spend", body, purpose, release.job, release.round)


def _decimal(value: float) -> str:
    """Write a float as a decimal that reads back as the same float to 12 digits after the point at least."""
    return f"{value:.15f}".rstrip("0").rstrip(".")
