"""The recipe `validation`: how installed models do on the members' rows, by secure sums alone.

It trains nothing and its job produces no model: what it leaves is a report. Theory: every figure of model governance
(grades, drift, stability by period, segments, calibration, the gain of a challenger in shadow) is a function of counts,
and counts add up over members. `risk.validation_report` turns them into figures, the same at one bank, over all rows in
one place, and over the network; `risk.validation_groups` and `risk.score_cells` say what is too small to be asked.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from risk.book import Book
from risk.errors import InputError, MisuseError, RefusalError
from risk.model import Model, OwnModels, Trained
from risk.recipe import Ask, run_plain
from risk.release import Release
from risk.score_bins import SCORE_BINS
from risk.score_cells import cells_of, chosen_cuts, group_cuts
from risk.score_figures import ScoreCounts
from risk.spec import JobSpec
from risk.validation_asks import (
    SUM_CLASS,
    Pair,
    ask_labels,
    ask_pair,
    ask_ranks,
    ask_scores,
    ask_sizes,
    contribute_validation,
    size_slots,
    wanted_sums,
)
from risk.validation_groups import Groups, form_groups
from risk.validation_plan import Plan, parse_validation, plan_of
from risk.validation_report import Counted, Together, cut_off_bin, grade_cuts, validation_report

__all__ = ["ValidationOutcome", "ValidationRecipe", "local_validation"]


@dataclass(frozen=True, eq=False, slots=True)
class ValidationOutcome:
    """Hold what a validation job learned. report: plain JSON values, as `validation_report` lays them out."""

    report: Mapping[str, Any]


class ValidationRecipe:
    """Evaluate installed models by sums."""

    name = "validation"
    version = 1

    def parse_parameters(self, document: Mapping[str, Any]) -> dict[str, int | str]:
        """Return the parameters with defaults filled in; raise `InputError` for any that is unknown or unusable."""
        return parse_validation(document)

    def rounds(self, spec: JobSpec) -> Generator[Ask, np.ndarray, Trained]:
        """Refuse: a validation trains no model; `outcome_rounds` is its whole job."""
        raise MisuseError("validation-trains", "a validation trains no model")

    def outcome_rounds(self, spec: JobSpec) -> Generator[Ask, np.ndarray, ValidationOutcome]:
        """Ask for every sum of the job and return its report.

        Raises `RefusalError` where fewer rows are selected than may be shown.
        """
        plan = plan_of(spec)
        sizes = size_slots(plan, (yield ask_sizes(spec, plan)))
        least = int(spec.parameters["least_rows"])
        if sizes.selected < least:
            raise RefusalError("validation-rows", f"fewer than {least} rows are selected, so nothing is shown of them")
        fields = [spec.dictionary.field(coding.name) for coding in plan.segments]
        groups = form_groups(plan, fields, sizes.slots, (least, max(least, int(spec.parameters["period_rows"]))))
        if plan.beside and sizes.beside < least:
            raise RefusalError("validation-rows", f"fewer than {least} rows are held out, so nothing is shown of them")
        sums = (yield ask_scores(spec, plan, groups)).astype(np.int64)
        rows = sums.reshape(len(plan.models), groups.count, SCORE_BINS)
        cuts = [chosen_cuts(block[0], grade_cuts(model)) for model, block in zip(plan.models, rows, strict=True)]
        cut_offs = [cut_off_bin(spec, block[0], own) for block, own in zip(rows, cuts, strict=True)]
        cells = [_cells(plan, which, groups, block, cuts[which]) for which, block in enumerate(rows)]
        blocks = [(rows[m, g], cells[m][g]) for m in range(len(plan.models)) for g in range(groups.count)]
        bads = yield ask_labels(spec, plan, groups, [own for _, own in blocks])
        counts = yield from _rank_rounds(spec, plan, groups, _split_labels(blocks, bads))
        counted = [counts[m * groups.count : (m + 1) * groups.count] for m in range(len(plan.models))]
        together = None
        if len(plan.models) == 2:
            together = yield from _pair_rounds(spec, plan, [each[0] for each in counted], cut_offs)
        models = tuple(Counted(*each) for each in zip(plan.models, counted, cut_offs, strict=True))
        return ValidationOutcome(validation_report(spec, plan, groups, sizes, models, together))

    def half_rounds(self, spec: JobSpec, trained: Trained) -> Generator[Ask, np.ndarray, tuple[Model, Model]]:
        """Refuse, as `rounds` does."""
        raise MisuseError("validation-trains", "a validation trains no model")

    def releases(self, spec: JobSpec) -> tuple[Release, ...]:
        """Refuse: every figure here is a function of exact counts."""
        raise InputError(
            "validation-private", "recipe 'validation' has no form with differential privacy: run it exactly"
        )

    def contribute(self, ask: Ask, book: Book) -> np.ndarray:
        """Return a member's part of an asked sum, (ask.length,) int64."""
        return contribute_validation(ask, book)

    def own(self, book: Book) -> OwnModels:
        """Refuse, as `rounds` does."""
        raise MisuseError("validation-trains", "a validation trains no model")

    def decode_model(self, document: Mapping[str, Any]) -> Model:
        """Refuse: no model file is of this recipe."""
        raise InputError("validation-model", "model file: a validation job makes no model")


def local_validation(book: Book) -> Mapping[str, Any]:
    """Return the same report over one bank's own rows, or why there is none; nothing of it is sent."""
    alone = Book(book.table, replace(book.spec, members=1), book.prf)
    try:
        rounds = ValidationRecipe().outcome_rounds(alone.spec)
        outcome = run_plain(rounds, lambda ask: contribute_validation(ask, alone))
    except RefusalError as error:
        return {"withheld": error.message}
    return cast(ValidationOutcome, outcome).report


def _cells(plan: Plan, which: int, groups: Groups, rows: np.ndarray, cuts: Sequence[int]) -> list[np.ndarray]:
    """Return every group's cell of each score bin; rows: (n_groups, 1000) int64 by one model; cuts: of all rows."""
    cells = [cells_of(cuts)] * groups.count
    if plan.beside:
        cells[1] = cells_of(chosen_cuts(rows[1], grade_cuts(plan.models[which])))
    for kind in groups.kinds:
        numbers = [group.number for group in groups.of_kind(kind) if group.number is not None]
        parts = [rows[number] for number in numbers]
        left = rows[0] - np.sum(parts, axis=0) if parts else rows[0]
        for number, own in zip(numbers, group_cuts(parts, left, cuts), strict=True):
            cells[number] = cells_of(own)
    return cells


def _split_labels(blocks: Sequence[tuple[np.ndarray, np.ndarray]], sums: np.ndarray) -> list[ScoreCounts]:
    counts, place = [], 0
    for rows, cells in blocks:
        size = int(cells.max()) + 1
        counts.append(ScoreCounts(rows, cells, sums[place : place + size].astype(np.int64), None, None))
        place += size
    return counts


def _rank_rounds(
    spec: JobSpec, plan: Plan, groups: Groups, counts: list[ScoreCounts]
) -> Generator[Ask, np.ndarray, list[ScoreCounts]]:
    """Ask for the sums over the bads that the counts allow, and add them."""
    ask = ask_ranks(spec, plan, groups, counts)
    if ask is None:
        return counts
    ranked, summed = wanted_sums(plan, groups, counts)
    sums = (yield ask).tolist()
    for place, value in zip(ranked, sums, strict=False):
        counts[place] = replace(counts[place], ranks=int(value))
    for place, value in zip(summed, sums[len(ranked) :], strict=True):
        counts[place] = replace(counts[place], pds=int(value))
    return counts


def _pair_rounds(
    spec: JobSpec, plan: Plan, whole: Sequence[ScoreCounts], cut_offs: Sequence[int]
) -> Generator[Ask, np.ndarray, Together]:
    first, second = (grade_cuts(model) for model in plan.models)
    pair = Pair((cut_offs[0], cut_offs[1]), (tuple(first), tuple(second)))
    sums = (yield ask_pair(spec, plan, whole, pair)).astype(np.int64)
    matrix = sums[8:].reshape(len(first) + 1, len(second) + 1)
    enough = whole[0].rarer_class >= SUM_CLASS
    moments = (int(sums[0]), int(sums[1]), int(sums[2]), int(sums[3])) if enough else None
    return Together(moments, tuple(sums[4:8].tolist()), tuple(map(tuple, matrix.tolist())))
