"""The recipe `scorecard`: sketch, bins, WOE, Newton, points.

Both halves of the recipe are here: the generator that asks for sums, and `contribute`, which answers with one
member's part. The counts, sketch and Newton it is made of have modules of their own. Theory: a logistic model on
weights of evidence (Siddiqi, 2006); all that it learns are sums over rows, hence it equals the scorecard of all
rows in one place bit for bit.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from risk.assembly import assemble
from risk.binning import (
    BinRules,
    Counted,
    ask_bads,
    ask_rows,
    bin_field,
    contribute_counts,
    label_cells,
    merge_rare,
    split_counts,
)
from risk.book import Book
from risk.card import Scorecard, card_from_document
from risk.coding import Coding, unmerged
from risk.elementary import ln_steps
from risk.model import Model, OwnModels, Trained
from risk.newton import WEIGHT_BITS, Fitted, contribute_newton, newton_rounds
from risk.parameters import parameters_of
from risk.private_bins import cell_release
from risk.private_calibration import calibrate_release
from risk.private_newton import newton_releases
from risk.private_scorecard import contribute_private, private_rounds
from risk.recipe import Ask, run_plain
from risk.rejects import FACTOR, METHOD, inferred_rounds, parcelled, parse_inference, with_inferred
from risk.release import Release
from risk.sketch import contribute_sketch, sketch_rounds
from risk.spec import JobSpec

__all__ = ["ScorecardRecipe", "own_rules"]

_PARAMETERS = {
    "max_bins": (8, 2, 20),
    "min_bin_rows": (50, 50, 100_000),
    "min_bin_bads": (5, 5, 10_000),
    "min_share_ppm": (50_000, 1_000, 500_000),
    "min_chi2": (100, 0, 10_000),
    "min_iv": (50, 0, 10_000),
    "ridge": (1_000, 1, 1_000_000),
    "points": (600, 1, 100_000),
    "odds": (30, 1, 10_000),
    "pdo": (20, 1, 1_000),
}
"""Default, smallest and largest value of every parameter; units as in `BinRules`, `newton_rounds` and `Scaling`."""

_FOLDS = 10
_FOLD_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class _Plan:
    """Hold the bins whose labels may be asked, and the rows counted in them, one count per federation."""

    codings: tuple[Coding, ...]
    counts: tuple[tuple[tuple[int, ...], ...], ...]
    dropped: tuple[tuple[str, str], ...]


class ScorecardRecipe:
    """Train a scorecard by sums."""

    name = "scorecard"
    version = 1

    def parse_parameters(self, document: Mapping[str, Any]) -> dict[str, int | str]:
        """Return the parameters with defaults filled in; raise `InputError` for any that is unknown or unusable."""
        others = {key: value for key, value in document.items() if key not in (METHOD, FACTOR)}
        return {**parameters_of(self.name, _PARAMETERS, others), **parse_inference(document)}

    def rounds(self, spec: JobSpec) -> Generator[Ask, np.ndarray, Trained]:
        """Ask for the sums that train the full federation's scorecard."""
        if spec.private:
            return (yield from private_rounds(spec, _rules(spec)))
        return (yield from _full_rounds(spec, _rules(spec)))

    def inferred_rounds(self, spec: JobSpec, accepts: Model) -> Generator[Ask, np.ndarray, Model]:
        """Ask for the sums that train a second card from accepted and rejected rows; accepts: with its reference."""
        trained = yield from inferred_rounds(spec, _full_rounds(spec, _rules(spec)), accepts)
        return with_inferred(trained, accepts)

    def half_rounds(self, spec: JobSpec, trained: Trained) -> Generator[Ask, np.ndarray, tuple[Scorecard, Scorecard]]:
        """Ask for the sums that train the scorecards of half a and half b."""
        return (yield from _half_rounds(spec, trained.carry, _rules(spec)))

    def releases(self, spec: JobSpec) -> tuple[Release, ...]:
        """Return what training with differential privacy releases: one count, two Newton sums, one histogram."""
        return (cell_release(spec), *newton_releases(spec), calibrate_release())

    def contribute(self, ask: Ask, book: Book) -> np.ndarray:
        """Return a member's part of an asked sum, (ask.length,) int64, no entry larger than `ask.bound`."""
        if ask.noise:
            return contribute_private(ask, book)
        book = parcelled(ask, book)
        if ask.name.startswith("sketch-"):
            return contribute_sketch(ask, book)
        if ask.name.startswith("newton-"):
            return contribute_newton(ask, book)
        return contribute_counts(ask, book)

    def own(self, book: Book) -> OwnModels:
        """Train scorecards on one bank's rows alone, with its own cuts and the rules of `own_rules`."""
        # Nothing of it leaves the bank, so it needs no noise, and its file promises none.
        spec = replace(book.spec, members=1, multiplier=0, statement=None)
        rows = len(book.rows("train"))
        rules, half_rules = own_rules(_rules(spec), rows), own_rules(_rules(spec), rows // 2)
        trained = run_plain(_full_rounds(spec, rules), lambda ask: self.contribute(ask, book))
        halves = _half_rounds(spec, trained.carry, half_rules)
        half_a, half_b = run_plain(halves, lambda ask: self.contribute(ask, book))
        return OwnModels(trained.model, half_a, half_b, self._own_folds(book))

    def _own_folds(self, book: Book) -> tuple[tuple[np.ndarray, Scorecard], ...]:
        """Train a small book's scorecard without each tenth of its rows; half of a small book would flatter nobody."""
        train = book.rows("train")
        if len(train) > _FOLD_ROWS:
            return ()
        target = book.table.target[train]
        turn = np.empty(len(train), dtype=np.int64)
        for label in (0, 1):
            turn[target == label] = np.arange(np.count_nonzero(target == label)) % _FOLDS
        spec = replace(book.spec, members=1, holdout_ppm=0, multiplier=0, statement=None)
        folds = []
        for fold in range(_FOLDS):
            part = Book(book.table.select(train[turn != fold]), spec)
            rules = own_rules(_rules(spec), part.table.rows)
            trained = run_plain(_full_rounds(spec, rules), partial(self.contribute, book=part))
            folds.append((train[turn == fold], trained.model))
        return tuple(folds)

    def decode_model(self, document: Mapping[str, Any]) -> Scorecard:
        """Return the scorecard of a document; raise `InputError` for any that is none."""
        return card_from_document(f"{self.name}/{self.version}", document)


def own_rules(rules: BinRules, rows: int) -> BinRules:
    """Return the rules for a bank's own model, which needs no cell rule: a small book has smaller bins.

    rows: training rows of the bank. A bin needs 2.5 % of the rows (5 to 50 rows), and two of each class.
    """
    return replace(
        rules,
        min_rows=min(rules.min_rows, max(5, rows // 40)),
        min_share_ppm=min(rules.min_share_ppm, 25_000),
        min_class=min(rules.min_class, 2),
    )


def _rules(spec: JobSpec) -> BinRules:
    values = spec.parameters
    return BinRules(
        min_rows=int(values["min_bin_rows"]),
        min_share_ppm=int(values["min_share_ppm"]),
        min_class=int(values["min_bin_bads"]),
        max_bins=int(values["max_bins"]),
        min_chi2=int(values["min_chi2"]),
        min_iv=int(values["min_iv"]),
    )


def _full_rounds(spec: JobSpec, rules: BinRules) -> Generator[Ask, np.ndarray, Trained]:
    cuts = yield from sketch_rounds(spec, "full", "train")
    codings = tuple(unmerged(field, cuts.get(field.name, ())) for field in spec.dictionary.model_fields)
    counts = split_counts(codings, (yield ask_rows(spec, ("full",), codings)), 1)
    plan = _plan(codings, counts, rules.min_rows)
    model = yield from _fit(spec, "full", plan, 0, rules)
    return Trained(model, codings)


def _half_rounds(
    spec: JobSpec, codings: tuple[Coding, ...], rules: BinRules
) -> Generator[Ask, np.ndarray, tuple[Scorecard, Scorecard]]:
    """Train both halves on bins that have enough rows in either.

    Were they merged apart, the difference of the full and a half's counts would show a smaller bin of the other half.
    """
    halves = ("half-a", "half-b")
    counts = []
    for part in halves:
        counts += split_counts(codings, (yield ask_rows(spec, (part,), codings)), 1)
    plan = _plan(codings, counts, rules.min_rows)
    first = yield from _fit(spec, halves[0], plan, 0, rules)
    second = yield from _fit(spec, halves[1], plan, 1, rules)
    return first, second


def _plan(codings: Sequence[Coding], counts: Sequence[Sequence[tuple[int, ...]]], min_rows: int) -> _Plan:
    """Merge bins until each has enough rows in every count; a field left with one ordinary bin is dropped."""
    kept, rows, dropped = [], [], []
    for place, coding in enumerate(codings):
        seen = [count[place] for count in counts]
        partition = merge_rare(coding, seen, min_rows)
        if len(partition) == 1:
            empty = not any(sum(count[: coding.ordinary]) for count in seen)
            dropped.append((coding.name, "it is missing in every row" if empty else "too few rows outside one bin"))
            continue
        kept.append(coding.merged(partition))
        merged = [tuple(sum(count[i] for i in run) for run in partition) + count[coding.ordinary :] for count in seen]
        rows.append(tuple(merged))
    if not kept:
        # Labels of all rows in one cell still give the rate of bads.
        everything = codings[0].merged([list(range(codings[0].ordinary))])
        seen = [(sum(count[0][: codings[0].ordinary]), *count[0][codings[0].ordinary :]) for count in counts]
        return _Plan((everything,), (tuple(seen),), tuple(dropped))
    return _Plan(tuple(kept), tuple(rows), tuple(dropped))


def _fit(spec: JobSpec, part: str, plan: _Plan, which: int, rules: BinRules) -> Generator[Ask, np.ndarray, Scorecard]:
    """Ask for labels and for Newton's sums, and return the card; `which` names the plan's count of this part."""
    cells = label_cells(plan.codings, plan.counts, rules.min_rows)
    sums = yield ask_bads(spec, (part,), plan.codings, cells)
    counted = _count_fields(plan, which, cells, sums)
    directions = {field.name: field.risk_when_rising for field in spec.dictionary.model_fields}
    binned = [bin_field(item, directions[item.coding.name], rules) for item in counted]
    used = [item for item in binned if item.reason is None]
    names = {name for name, _ in plan.dropped}
    dropped = [*plan.dropped, *((i.coding.name, i.reason) for i in binned if i.reason and i.coding.name not in names)]
    rows = sum(counted[0].rows)
    bads = sum(bad for bad in counted[0].bads if bad is not None)
    start = ln_steps(2 * bads + 1, 2 * max(rows - bads, 0) + 1, WEIGHT_BITS)
    fitted = Fitted(start, (), (), 0, True)
    if used:
        fitted = yield from newton_rounds(spec, part, used, start, int(spec.parameters["ridge"]))
    dropped += [(used[place].coding.name, "its weight is negative beside the others") for place in fitted.dropped]
    training = {"bads": bads, "part": part, "rounds": fitted.rounds, "rows": rows, "settled": fitted.settled}
    return assemble(spec, used, fitted, dropped, training)


def _count_fields(plan: _Plan, which: int, cells: np.ndarray, sums: np.ndarray) -> list[Counted]:
    """Give each bin its bads; rows that share a cell are counted with the bin that the cell is named for."""
    counted, place = [], 0
    for coding, seen in zip(plan.codings, plan.counts, strict=True):
        own = [int(cell) for cell in cells[place : place + coding.bins]]
        place += coding.bins
        rows, bads = list(seen[which]), [int(sums[cell]) for cell in own]
        result: list[int | None] = list(bads)
        for number in range(coding.ordinary, coding.bins):
            host = own.index(own[number])
            if host != number:
                rows[host] += rows[number]
                rows[number], result[number] = 0, None
        counted.append(Counted(coding, tuple(rows), tuple(result)))
    return counted
