"""What a lender without much of a past gains: its own model, the network of the others, and the mix, as rows come in.

It trains no network. Theory: the newcomer was no member, so the network's model has seen none of its rows, and its
score of any of them is honest; its own model is judged out of fold as ever. The first rows of a fixed order are what
the lender has; the hold-out rows stay the same for every number of rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from risk.bank import bank_result
from risk.book import Book
from risk.head import Choice
from risk.job import JobOutcome
from risk.model import Model
from risk.split import Split

__all__ = ["NewcomerStep", "newcomer_steps", "with_rows"]

_LEAST_OF_CLASS = 4


@dataclass(frozen=True, slots=True)
class NewcomerStep:
    """Hold AUCs on the hold-out rows with so many training rows; None where the hold-out has one class only."""

    rows: int
    own: float | None
    network: float | None
    mixed: float | None
    chosen: Choice

    @property
    def taken(self) -> float | None:
        """Return the AUC of the score that the lender's training rows choose."""
        return {"own": self.own, "network": self.network, "mixed": self.mixed}[self.chosen]


def newcomer_steps(book: Book, network: Model, sizes: Sequence[int]) -> tuple[NewcomerStep, ...]:
    """Return one step for every size that the book has rows for, with both classes in either half.

    book: the newcomer's, split by the job's seed; network: trained without it.
    """
    steps = []
    outcome = JobOutcome(network, network, network, None)
    for size in sizes:
        if size > len(book.rows("train")):
            continue
        small = with_rows(book, size)
        if min(np.bincount(small.table.target[small.rows("train")], minlength=2)) < _LEAST_OF_CLASS:
            continue
        found = bank_result(small, outcome)
        steps.append(NewcomerStep(size, found.auc_own, found.auc_network, found.auc_mixed, found.chosen))
    return tuple(steps)


def with_rows(book: Book, size: int) -> Book:
    """Return the book with that many training rows, the classes in the proportion of all of them."""
    train = book.rows("train")
    target = book.table.target
    order = np.random.default_rng([book.spec.seed, 1]).permutation(train)
    bads, goods = order[target[order] == 1], order[target[order] == 0]
    count = round(size * len(bads) / max(len(train), 1))
    chosen = [np.sort(goods[: size - count]), np.sort(bads[:count])]
    halves = [np.sort(np.concatenate([rows[start::2] for rows in chosen])) for start in (0, 1)]
    small = replace(book)
    object.__setattr__(small, "split", Split(np.sort(np.concatenate(chosen)), book.rows("holdout"), *halves))
    return small
