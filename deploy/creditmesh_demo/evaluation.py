"""Work out what only a demo can: figures over all members' rows, which no party of a real network could compute.

It sees every table, so nothing here is part of the product. Theory: a bank's own model on all members' hold-out rows
says what it knows of borrowers it does not serve; differences of two AUCs on the same rows carry the interval of
DeLong, DeLong and Clarke-Pearson (1988), so a small bank's lucky hold-out is not called a gain. Pooled training is the
same recipe on one book that holds every row, with the same rows held out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from creditmesh_demo.page.view import BankRow, Contrast
from risk.card import Scorecard
from risk.forest import Forest
from risk.head import Head
from risk.job import Book, JobOutcome, JobSpec, contribute, rounds
from risk.model import Model
from risk.ranking import auc, auc_deviation
from risk.recipe import Ask, run_plain
from risk.split import Split
from risk.table import concatenate

__all__ = ["BankModels", "Market", "judge", "model_difference", "pooled_book", "train_pooled", "without_figures"]

WIDTH_95 = 1.959964
FIGURES = tuple(f"{figure}_{model}" for figure in ("auc", "ks") for model in ("own", "network", "mixed"))


@dataclass(frozen=True, eq=False, slots=True)
class BankModels:
    """Hold what one bank took home; the head mixes the network's model with the partner."""

    own: Model
    partner: Model
    head: Head


@dataclass(frozen=True, slots=True)
class Market:
    """Hold the banks' rows of a result table and the network model's exact AUC on all hold-out rows."""

    banks: tuple[BankRow, ...]
    auc_exact: float | None


def judge(
    books: Mapping[str, Book],
    network: Model,
    models: Mapping[str, BankModels],
    reported: Mapping[str, Mapping[str, Any]],
) -> Market:
    """Judge every bank's models on its own hold-out rows and on those of all books.

    books: of every member whose rows stand behind the network's figures. models, reported: of the members that ended
    the job, reported as they wrote it into result.json; a member without models gets None for its figures.
    """
    holdouts = {member: book.table.select(book.rows("holdout")) for member, book in books.items()}
    whole = concatenate(list(holdouts.values()))
    market = network.logit(whole)
    banks = []
    for member, book in books.items():
        row = without_figures(member, book)
        if member in models:
            own, own_market = (models[member].own.logit(rows) for rows in (holdouts[member], whole))
            own_network = network.logit(holdouts[member])
            partner = models[member].partner.logit(holdouts[member])
            mixed, target = models[member].head.logit(own_network, partner), holdouts[member].target
            shown = {name: value for name, value in reported[member].items() if name in row.figures}
            row = BankRow(
                member,
                {**row.figures, **shown, "auc_own_market": auc(whole.target, own_market)},
                own_network=_contrast(target, own_network, own),
                own_mixed=_contrast(target, mixed, own),
                market=_contrast(whole.target, market, own_market),
            )
        banks.append(row)
    return Market(tuple(banks), auc(whole.target, market))


def without_figures(member: str, book: Book) -> BankRow:
    """Return the row of a bank that did not end the job: its rows are known, no figure is."""
    figures: dict[str, Any] = dict.fromkeys(FIGURES)
    rows = {"rows_train": len(book.rows("train")), "rows_test": len(book.rows("holdout"))}
    return BankRow(member, {**rows, **figures, "auc_own_market": None, "chosen": None}, None, None, None)


def _contrast(target: np.ndarray, better: np.ndarray, worse: np.ndarray) -> Contrast | None:
    first, second = auc(target, better), auc(target, worse)
    if first is None or second is None:
        return None
    width = WIDTH_95 * auc_deviation(target, better, worse)
    return Contrast(first - second, first - second - width, first - second + width)


def pooled_book(books: Sequence[Book], spec: JobSpec) -> Book:
    """Return one book of all rows, whose split is the union of the members' splits."""
    pooled = Book(concatenate([book.table for book in books]), spec)
    starts = np.cumsum([0, *(book.table.rows for book in books)])[:-1]
    parts = {
        name: np.concatenate([getattr(book.split, name) + start for book, start in zip(books, starts, strict=True)])
        for name in ("train", "holdout", "half_a", "half_b")
    }
    # The book drew a split of its own; pooled training must hold out exactly the rows that the members held out.
    object.__setattr__(pooled, "split", Split(**parts))
    return pooled


def train_pooled(books: Sequence[Book], spec: JobSpec) -> JobOutcome:
    """Train the job's recipe on all books' rows in one place."""
    # A book holds at most max_rows rows; where all together are more, the books stay apart and their integers are
    # added, which is the same sum.
    whole = sum(book.table.rows for book in books) <= spec.max_rows
    places = [pooled_book(books, spec)] if whole else list(books)

    def add(ask: Ask) -> np.ndarray:
        return np.asarray(np.sum([contribute(ask, place) for place in places], axis=0))

    outcome: JobOutcome = run_plain(rounds(spec), add)
    return outcome


def model_difference(first: Model, second: Model, books: Sequence[Book]) -> float | None:
    """Return the largest difference of two models: of scorecards' coefficients, or of trees' PDs on the books' rows.

    None for towers, whose training is not repeatable bit for bit. Coefficients are the intercept, each field's weight
    and each bin's WOE, all in units of log-odds; a field that only one card has, or whose bins differ, counts as a
    difference of at least 1.
    """
    if isinstance(first, Forest) and isinstance(second, Forest):
        return max(float(np.abs(first.pd(book.table) - second.pd(book.table)).max(initial=0.0)) for book in books)
    if not isinstance(first, Scorecard) or not isinstance(second, Scorecard):
        return None
    differences = [abs(first.intercept - second.intercept) / (1 << 20)]
    if [item.coding for item in first.fields] != [item.coding for item in second.fields]:
        return max(1.0, *differences)
    for one, two in zip(first.fields, second.fields, strict=True):
        differences.append(abs(one.weight - two.weight) / (1 << 20))
        differences += [abs(left - right) / (1 << 10) for left, right in zip(one.woe, two.woe, strict=True)]
    return max(differences)
