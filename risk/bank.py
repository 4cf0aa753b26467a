"""What one bank gains: its own model, the network's, and the mix, on its own hold-out rows.

It runs inside the bank; nothing of it is sent. Theory: all three are judged on rows that no model, cut or head has
seen; which one to use is chosen by out-of-fold scores of the training rows, never by the hold-out.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from risk.book import Book
from risk.catalogue import recipe
from risk.curve import fit_of
from risk.elementary import sigmoid
from risk.head import Choice, Head, OutOfFold, choose, fit_head
from risk.job import JobOutcome
from risk.metrics import freeze
from risk.model import Model, OwnModels
from risk.ranking import auc, ks

__all__ = ["BankResult", "bank_result", "out_of_fold", "own_models", "partner_models"]

_PARTNERS = {"trees": "scorecard"}
"""Of a recipe: the one whose own model the mix takes instead of the recipe's. A bank's own scorecard stands better
beside the network's trees than its own trees do, which see the same as the network's with fewer rows (ADR 0068)."""
_SCALING = ("points", "odds", "pdo")


@dataclass(frozen=True, eq=False, slots=True)
class BankResult:
    """Hold a bank's figures and what it takes home; a figure is None where its hold-out has one class only.

    own: the recipe's own model. partner: the own model that the head mixes with the network's, often the same.
    calibration: of each score the method, and on the hold-out `brier` and `ece` of its PDs as they come out of the
    model and as the bank's own curve corrects them.
    """

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
    partner: Model
    head: Head
    calibration: dict[str, dict[str, Any]]

    def to_report(self) -> dict[str, Any]:
        """Return the bank's entry of a report, as plain JSON values, without models."""
        names = [f"{figure}_{name}" for figure in ("auc", "ks") for name in ("own", "network", "mixed")]
        return {name: getattr(self, name) for name in ("rows_train", "rows_test", *names, "chosen", "calibration")}


def own_models(book: Book) -> OwnModels:
    """Train the job's recipe on this bank's rows alone: all training rows, and each half."""
    return recipe(book.spec.recipe).own(book)


def partner_models(book: Book, own: OwnModels) -> OwnModels:
    """Return the own models that the head mixes with the network's; own: those of the job's recipe."""
    name = _PARTNERS.get(book.spec.recipe)
    if name is None:
        return own
    other = recipe(name)
    scaling = {key: book.spec.parameters[key] for key in _SCALING if key in book.spec.parameters}
    parameters = other.parse_parameters(scaling)
    # Nothing of it leaves the bank, so it needs no noise; its rows are those of the job all the same.
    spec = replace(book.spec, recipe=name, version=other.version, parameters=parameters, multiplier=0, statement=None)
    beside = replace(book, spec=spec)
    object.__setattr__(beside, "split", book.split)
    return other.own(beside)


def out_of_fold(book: Book, outcome: JobOutcome, own: OwnModels, partner: OwnModels) -> tuple[OutOfFold, OutOfFold]:
    """Return the scores of half a and of half b by models that were trained without the row they score.

    The network's come from the other half's federation. The bank's own come from finer folds where it has them: its
    final model has twice the rows of a half, which matters in a small book.
    """
    mine, beside = _local(book, own), _local(book, partner)
    folds = []
    for name, network in (("half-a", outcome.half_b), ("half-b", outcome.half_a)):
        rows = book.rows(name)
        table = book.table.select(rows)
        folds.append(OutOfFold(table.target, network.logit(table), mine[rows], beside[rows]))
    return folds[0], folds[1]


def _local(book: Book, own: OwnModels) -> np.ndarray:
    logit = np.zeros(book.table.rows)
    for rows, model in own.folds or ((book.rows("half-a"), own.half_b), (book.rows("half-b"), own.half_a)):
        logit[rows] = model.logit(book.table.select(rows))
    return logit


def bank_result(book: Book, outcome: JobOutcome) -> BankResult:
    """Train the bank's own model and head, and measure all three on its hold-out rows."""
    own = own_models(book)
    partner = partner_models(book, own)
    folds = out_of_fold(book, outcome, own, partner)
    head = fit_head(folds)
    holdout = book.table.select(book.rows("holdout"))
    network_logit, own_logit = outcome.model.logit(holdout), own.full.logit(holdout)
    mixed_logit = head.logit(network_logit, partner.full.logit(holdout))
    scores: dict[Choice, np.ndarray] = {"own": own_logit, "network": network_logit, "mixed": mixed_logit}

    def figures(measure: Callable[[np.ndarray, np.ndarray], float | None]) -> list[float | None]:
        return [measure(holdout.target, logit) for logit in scores.values()]

    (auc_own, auc_network, auc_mixed), (ks_own, ks_network, ks_mixed) = figures(auc), figures(ks)
    kept = freeze(own.full, book)
    return BankResult(
        rows_train=len(book.rows("train")),
        rows_test=holdout.rows,
        auc_own=auc_own,
        auc_network=auc_network,
        auc_mixed=auc_mixed,
        ks_own=ks_own,
        ks_network=ks_network,
        ks_mixed=ks_mixed,
        chosen=choose(folds),
        own=kept,
        partner=kept if partner.full is own.full else freeze(partner.full, book),
        head=head,
        calibration={name: _calibration(head, name, holdout.target, logit) for name, logit in scores.items()},
    )


def _calibration(head: Head, choice: Choice, target: np.ndarray, logit: np.ndarray) -> dict[str, Any]:
    """Return the figures of one score's calibration, as plain JSON values."""
    curve = head.curves.of(choice)
    before, after = fit_of(target, sigmoid(logit)), fit_of(target, curve.pd(logit))
    return {
        "method": curve.method,
        "raw": None if before is None else asdict(before),
        "calibrated": None if after is None else asdict(after),
    }
