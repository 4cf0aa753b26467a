"""Work out what epsilon costs in accuracy: the same recipe, exact and at several epsilons, in one process.

Only a demo can: it holds every bank's rows, and each point spends a budget that a real network spends once. Noise is
the product's own, drawn share by share as nodes draw it, and sized by the product's accountant over the job's whole
life (bins, training and metrics). Theory: with secure aggregation the honest banks' shares together reach the noise
that one borrower needs; without it every bank must reach it alone, so the sum holds as many times that variance as
there are banks. Both are computed here, none is extrapolated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from math import isqrt
from statistics import fmean

import numpy as np

from privacy.accountant import PrivacyEvent, calibrate
from privacy.noise import share_variance, skellam
from privacy.roster import fewest_honest
from risk.errors import InputError
from risk.job import Book, JobSpec, contribute, releases, rounds
from risk.model import Model
from risk.ranking import auc
from risk.recipe import Ask, run_plain
from risk.sampling import for_upload
from risk.table import Table, concatenate

__all__ = ["DELTA", "Price", "PricePoint", "multiplier_for", "price", "train_private"]

DELTA = "0.000001"


@dataclass(frozen=True, slots=True)
class PricePoint:
    """Hold the network's AUC at one epsilon, over some draws of the noise: mean, least and largest.

    alone: the mean if every bank had to hide its rows by itself, without secure aggregation.
    """

    epsilon: str
    multiplier: int
    auc: float
    lowest: float
    highest: float
    alone: float


@dataclass(frozen=True, slots=True)
class Price:
    """Hold one recipe's AUC without noise and with it, on the same hold-out rows; reason: why there are no points."""

    recipe: str
    exact: float | None
    points: tuple[PricePoint, ...]
    reason: str = ""


def multiplier_for(spec: JobSpec, epsilon: str, delta: str = DELTA) -> int:
    """Return the least noise multiplier, in millionths, under which the job's whole life costs at most epsilon."""
    announced = releases(spec)

    def events(multiplier: int) -> list[PrivacyEvent]:
        return [
            PrivacyEvent(
                rows=release.rows,
                variance=release.variance(multiplier),
                row_l1=release.row_l1,
                row_l2_squared=release.row_l2_squared,
                sampling_ppm=release.sampling_ppm,
                count=release.count,
            )
            for release in announced
        ]

    return calibrate(events, epsilon, delta)


def price(books: Mapping[str, Book], spec: JobSpec, epsilons: Sequence[str], draws: int = 3) -> Price:
    """Return what epsilon costs one recipe, every model judged on the books' hold-out rows.

    books: as they stand in the run, so that every point has the same training and hold-out rows. epsilons: decimals.
    """
    spec = replace(spec, multiplier=0, statement=None, members=len(books))
    try:
        multipliers = [multiplier_for(spec, epsilon) for epsilon in epsilons]
    except InputError as error:
        return Price(spec.recipe, None, (), error.message)
    places = {bank: _book(book, spec) for bank, book in books.items()}
    whole = concatenate([book.table.select(book.rows("holdout")) for book in places.values()])
    exact = auc(whole.target, _train_exact(spec, places).logit(whole))
    if exact is None or len(books) < 4:
        return Price(spec.recipe, exact, (), "fewer than four banks, or a hold-out of one class")
    points = []
    for epsilon, multiplier in zip(epsilons, multipliers, strict=True):
        # Without secure aggregation each bank's share alone must reach what the honest banks' reach together.
        alone = isqrt(multiplier * multiplier * fewest_honest(len(books))) + 1
        together, apart = (
            [_area(replace(spec, multiplier=level), places, whole, f"{epsilon}|{draw}") for draw in range(draws)]
            for level in (multiplier, alone)
        )
        points.append(PricePoint(epsilon, multiplier, fmean(together), min(together), max(together), fmean(apart)))
    return Price(spec.recipe, exact, tuple(points))


def train_private(spec: JobSpec, books: Mapping[str, Book], seed: str) -> Model:
    """Train under the job's multiplier with a share of noise from every book; seed: names the draws."""

    def total(ask: Ask) -> np.ndarray:
        vector = np.zeros(ask.length, dtype=np.int64)
        variance = share_variance(ask.noise, spec.members)
        for bank, book in books.items():
            key = sha256(f"{seed}|{spec.seed}|{bank}|{ask.part}|{ask.name}".encode()).digest()
            vector += contribute(ask, for_upload(book, key)) + skellam(key, ask.length, variance)
        return vector

    return run_plain(rounds(spec), total).model


def _area(spec: JobSpec, books: Mapping[str, Book], whole: Table, seed: str) -> float:
    placed = {bank: _book(book, spec) for bank, book in books.items()}
    return auc(whole.target, train_private(spec, placed, seed).logit(whole)) or 0.0


def _train_exact(spec: JobSpec, books: Mapping[str, Book]) -> Model:
    def total(ask: Ask) -> np.ndarray:
        return np.asarray(np.sum([contribute(ask, book) for book in books.values()], axis=0))

    return run_plain(rounds(spec), total).model


def _book(book: Book, spec: JobSpec) -> Book:
    """Return the same rows under another spec, split as they were."""
    other = Book(book.table, spec, book.prf or _drawn)
    object.__setattr__(other, "split", book.split)
    return other


def _drawn(message: bytes) -> bytes:
    # The demo's own draw: no bank has a key in an exact run, and nothing of this leaves the process.
    return sha256(b"price of privacy|" + message).digest()
