"""The scorecard's form with differential privacy: one count, two Newton sums, one histogram of scores, points.

It adds no noise and keeps no ledger. Theory: bins, evidence and weights are functions of four noisy sums over the
training rows, so the card costs what the sums cost (post-processing). No half federations are asked: a model that
hardly depends on any one row scores its own training rows almost as it scores new ones, so a bank's private head may
take the full model's scores.
"""

from collections.abc import Generator, Sequence

import numpy as np

from risk.assembly import assemble
from risk.binning import Binned, BinRules
from risk.book import Book
from risk.elementary import ln_steps
from risk.model import Trained
from risk.newton import WEIGHT_BITS, Fitted
from risk.private_bins import COUNTS, ask_cells, contribute_cells, private_bins, public_codings
from risk.private_calibration import CALIBRATE, contribute_calibrate, private_calibration
from risk.private_newton import PrivateFit, contribute_noisy_newton, private_newton_rounds
from risk.recipe import Ask, EndedEarly
from risk.release import opened_variance
from risk.spec import JobSpec

__all__ = ["contribute_private", "private_rounds"]


def private_rounds(spec: JobSpec, rules: BinRules) -> Generator[Ask, np.ndarray, Trained]:
    """Ask for the noisy sums of a scorecard; `carry` is the middle and the spread of the logits.

    Ended early once the counts are there, it returns the card reached so far, and `carry` is None.
    """
    codings = public_codings(spec)
    ask = ask_cells(spec, codings)
    sums = yield ask
    binned, rows, rate = private_bins(spec, codings, sums, opened_variance(spec, ask), rules)
    used = [item for item in binned if item.reason is None]
    dropped = [(item.coding.name, item.reason) for item in binned if item.reason is not None]
    chance = round(rate * (1 << WEIGHT_BITS))
    fitted = Fitted(ln_steps(chance, (1 << WEIGHT_BITS) - chance, WEIGHT_BITS), (), (), 0, True)
    carry: tuple[float, float] | None = (fitted.intercept / float(1 << WEIGHT_BITS), 1.0)
    if used:
        fit, whole = yield from _weigh(spec, used, rows, rate)
        fitted, carry = fit.fitted, (fit.middle, fit.spread) if whole else None
    dropped += [(used[place].coding.name, "its weight is negative beside the others") for place in fitted.dropped]
    training = {
        "bads": round(rows * rate),
        "part": "full",
        "rounds": fitted.rounds,
        "rows": round(rows),
        "settled": fitted.settled,
    }
    return Trained(assemble(spec, used, fitted, dropped, training), carry)


def _weigh(
    spec: JobSpec, used: Sequence[Binned], rows: float, rate: float
) -> Generator[Ask, np.ndarray, tuple[PrivateFit, bool]]:
    """Return the calibrated weights and True; ended early, the weights reached so far and False."""
    fit = yield from private_newton_rounds(spec, used, rows, rate)
    if not fit.fitted.settled:
        return fit, False
    try:
        return (yield from private_calibration(spec, fit)), True
    except EndedEarly:
        return fit, False


def contribute_private(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's exact part of a sum that carries noise, (ask.length,) int64."""
    if ask.name == COUNTS:
        return contribute_cells(ask, book)
    if ask.name == CALIBRATE:
        return contribute_calibrate(ask, book)
    return contribute_noisy_newton(ask, book)
