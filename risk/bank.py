"""What one bank gains: its own model, the network's, and the mix, on its own hold-out rows.

It runs inside the bank; nothing of it is sent. Theory: all three are judged on rows that no model, cut or head has
seen; which one to use is chosen by out-of-fold scores of the training rows, never by the hold-out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from risk.book import Book
from risk.catalogue import recipe
from risk.head import Choice, Head, OutOfFold, choose, fit_head
from risk.job import JobOutcome
from risk.model import Model, OwnModels
from risk.ranking import auc, ks

__all__ = ["BankResult", "bank_result", "out_of_fold", "own_models"]


@dataclass(frozen=True, eq=False, slots=True)
class BankResult:
    """Hold a bank's figures and what it takes home; a figure is None where its hold-out has one class only."""

    rows_train: int
    rows_test: int
    auc_own: float | None
    auc_network: float | None
    auc_mixed: float | None
    ks_own: float | None
    ks_network: float | None
    ks_mixed: float | None
    chosen: Choice
    own: Model
    head: Head

    def to_report(self) -> dict[str, Any]:
        """Return the bank's entry of a report, as plain JSON values, without models."""
        names = [f"{figure}_{name}" for figure in ("auc", "ks") for name in ("own", "network", "mixed")]
        return {name: getattr(self, name) for name in ("rows_train", "rows_test", *names, "chosen")}


def own_models(book: Book) -> OwnModels:
    """Train the job's recipe on this bank's rows alone: all training rows, and each half."""
    return recipe(book.spec.recipe).own(book)


def out_of_fold(book: Book, outcome: JobOutcome, own: OwnModels) -> tuple[OutOfFold, OutOfFold]:
    """Return the scores of half a and of half b by models that were trained without the row they score.

    The network's come from the other half's federation. The bank's own come from finer folds where it has them: its
    final model has twice the rows of a half, which matters in a small book.
    """
    own_folds = own.folds or ((book.rows("half-a"), own.half_b), (book.rows("half-b"), own.half_a))
    local = np.zeros(book.table.rows)
    for rows, model in own_folds:
        local[rows] = model.logit(book.table.select(rows))
    folds = []
    for name, network in (("half-a", outcome.half_b), ("half-b", outcome.half_a)):
        table = book.table.select(book.rows(name))
        folds.append(OutOfFold(table.target, network.logit(table), local[book.rows(name)]))
    return folds[0], folds[1]


def bank_result(book: Book, outcome: JobOutcome) -> BankResult:
    """Train the bank's own model and head, and measure all three on its hold-out rows."""
    own = own_models(book)
    folds = out_of_fold(book, outcome, own)
    head = fit_head(folds)
    holdout = book.table.select(book.rows("holdout"))
    network_logit, own_logit = outcome.model.logit(holdout), own.full.logit(holdout)
    mixed_logit = head.logit(network_logit, own_logit)

    def figures(measure: Callable[[np.ndarray, np.ndarray], float | None]) -> list[float | None]:
        return [measure(holdout.target, logit) for logit in (own_logit, network_logit, mixed_logit)]

    (auc_own, auc_network, auc_mixed), (ks_own, ks_network, ks_mixed) = figures(auc), figures(ks)
    return BankResult(
        rows_train=len(book.rows("train")),
        rows_test=holdout.rows,
        auc_own=auc_own,
        auc_network=auc_network,
        auc_mixed=auc_mixed,
        ks_own=ks_own,
        ks_network=ks_network,
        ks_mixed=ks_mixed,
        chosen=choose(*folds),
        own=own.full,
        head=head,
    )
