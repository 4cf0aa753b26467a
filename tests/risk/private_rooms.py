"""Jobs with differential privacy in one process: a keyed split, and noise from a seeded generator."""

import hmac
from collections.abc import Callable, Sequence

import numpy as np

from risk.book import Book
from risk.job import JobOutcome, contribute, rounds
from risk.recipe import Ask, run_plain
from risk.release import opened_variance
from risk.sampling import for_upload
from risk.spec import JobSpec
from risk.table import Table

__all__ = ["private_books", "prf_of", "train_noisy"]


def prf_of(name: str) -> Callable[[bytes], bytes]:
    """Return the keyed function of a bank whose key is its name."""
    return lambda message: hmac.digest(name.encode(), message, "sha256")


def private_books(tables: Sequence[Table], spec: JobSpec) -> list[Book]:
    """Return one book a member, each with a key of its own."""
    return [Book(table, spec, prf_of(table.member)) for table in tables]


def train_noisy(spec: JobSpec, books: Sequence[Book], seed: int = 0, asks: list[Ask] | None = None) -> JobOutcome:
    """Run a whole job with Skellam noise of the variance that an opened sum of all members holds."""
    rng = np.random.default_rng(seed)

    def total(ask: Ask) -> np.ndarray:
        if asks is not None:
            asks.append(ask)
        upload = seed.to_bytes(16, "big")
        half = opened_variance(spec, ask) / 2.0
        noise = rng.poisson(half, ask.length) - rng.poisson(half, ask.length)
        return np.asarray(np.sum([contribute(ask, for_upload(book, upload)) for book in books], axis=0) + noise)

    outcome: JobOutcome = run_plain(rounds(spec), total)
    return outcome
