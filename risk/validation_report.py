"""The report of a validation, from counts: what model governance asks of a model, and of two.

It sees counts, never a row. Theory: all figures come from the functions that a bank uses on its own rows
(`risk.score_figures`, `risk.drift`, `risk.grades`, `risk.fairness`, `risk.stability`, `risk.comparison`), so the
network's report and a bank's differ in their rows alone. What is withheld is said to be withheld.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from risk.comparison import auc_error, compare
from risk.drift import csi, drift
from risk.elementary import sigmoid
from risk.fairness import Segment, fairness
from risk.grades import grade_figures, is_monotone
from risk.model import Model
from risk.months import month_text
from risk.prior import class_weights, prior_shift
from risk.promotion import promotion
from risk.reference import Reference
from risk.score_bins import SCORE_BINS, STEPS_PER_LOGIT, bin_pds
from risk.score_figures import ScoreCounts, confusion_at, score_figures
from risk.spec import JobSpec
from risk.stability import stability
from risk.validation_asks import Sizes
from risk.validation_groups import Groups
from risk.validation_plan import Plan, until_of

__all__ = ["FORMAT", "Counted", "Together", "cut_off_bin", "grade_cuts", "validation_report"]

FORMAT = "creditmesh-validation/1"
_ROLES = ("champion", "challenger")


@dataclass(frozen=True, eq=False, slots=True)
class Counted:
    """Hold one model, its counts by group (the whole first), and its cut-off: the first score bin that is declined."""

    model: Model
    groups: Sequence[ScoreCounts]
    cut_off: int


@dataclass(frozen=True, slots=True)
class Together:
    """Hold how two models' scores go together.

    moments: as `risk.comparison.compare` needs them, None for too few rows of a class. swap: rows that both approve,
    that the champion alone does, that the challenger alone does, that neither does. grades: rows by the champion's
    grade and the challenger's.
    """

    moments: tuple[int, int, int, int] | None
    swap: tuple[int, ...]
    grades: tuple[tuple[int, ...], ...]


def cut_off_bin(spec: JobSpec, rows: np.ndarray, cuts: Sequence[int]) -> int:
    """Return the first score bin that the cut-off declines; rows: (1000,) int64 of all selected rows.

    The cut-off is the PD that the job names, or else approves the share of rows that it names, moved to the nearest of
    `cuts`, where labels are asked anyway. Without cuts it stands where it was asked, and its bads are withheld.
    """
    limit, below = int(spec.parameters["cutoff_pd_ppm"]), np.concatenate([[0], np.cumsum(rows)])
    if limit:
        asked = int(np.searchsorted(bin_pds(), limit / 1_000_000, side="right"))
    else:
        wanted = -(-int(rows.sum()) * int(spec.parameters["approve_ppm"]) // 1_000_000)
        asked = int(np.searchsorted(below, wanted))
    return min(cuts, key=lambda cut: (abs(int(below[cut] - below[asked])), abs(cut - asked)), default=asked)


def grade_cuts(model: Model) -> list[int]:
    """Return the first score bin of every grade of the model's frozen scale but the first; none without a reference."""
    if model.reference is None:
        return []
    return [cut + SCORE_BINS // 2 for cut in model.reference.scale.cuts]


def validation_report(
    spec: JobSpec, plan: Plan, groups: Groups, sizes: Sizes, models: Sequence[Counted], together: Together | None
) -> dict[str, Any]:
    """Return the report as plain JSON values; the same counts give the same report, whoever counted."""
    entries = {}
    for place, counted in enumerate(models):
        entry: dict[str, Any] = {"sha256": plan.digests[place], "recipe": counted.model.recipe}
        entry |= _facts(spec, plan, sizes, place)
        entries[_ROLES[place]] = entry | _figures(spec, groups, sizes.fields[place], counted)
    report: dict[str, Any] = {
        "format": FORMAT,
        "rows": {
            "selection": plan.selection,
            "months": None if plan.months is None else [month_text(month) for month in plan.months],
            "selected": sizes.selected,
            "least_rows": spec.parameters["least_rows"],
        },
        "models": entries,
        "comparison": None,
    }
    if together is not None:
        report["comparison"] = _comparison(models, together, entries)
    return report


def _facts(spec: JobSpec, plan: Plan, sizes: Sizes, place: int) -> dict[str, Any]:
    """Return what is known of a model's training. same_rows: whether today's split has its training rows in number."""
    model = plan.models[place]
    until, trained = until_of(model), model.training.get("rows")
    known = plan.selection in ("holdout", "out-of-time") and type(trained) is int and "privacy" not in model.training
    return {
        "same_dictionary": model.dictionary == spec.dictionary.digest(),
        "same_rows": sizes.train[place] == int(trained or 0) - int(model.training.get("rejects", 0)) if known else None,
        "trained_until": None if until is None else month_text(until),
        "reference": "frozen with the model" if model.reference is not None else "no reference",
    }


def _figures(spec: JobSpec, groups: Groups, fields: dict[str, tuple[int, ...]], counted: Counted) -> dict[str, Any]:
    whole, reference = counted.groups[0], counted.model.reference
    beside = [group.number for group in groups.of_kind("holdout")]
    entry: dict[str, Any] = {
        "scores": score_figures(whole).to_document() | {"auc_error": auc_error(whole)},
        "holdout": score_figures(counted.groups[beside[0]]).to_document() if beside and beside[0] is not None else None,
        "cut_off": _cut_off(whole, counted.cut_off),
        "drift": None,
        "holdout_drift": None,
        "fields": [],
        "grades": None,
        "stability": _stability(groups, counted),
        "fairness": [each.to_document() for each in _fairness(groups, counted)],
        "prior": _prior(spec, counted),
    }
    if reference is not None:
        entry["drift"] = _drift(reference, whole)
        if beside and beside[0] is not None:
            entry["holdout_drift"] = _drift(reference, counted.groups[beside[0]])
        entry["fields"] = [each.to_document() for each in csi(reference.field_rows(), fields)]
        entry["grades"] = _grades(counted, reference)
    return entry


def _drift(reference: Reference, counts: ScoreCounts) -> dict[str, Any]:
    return drift("score", reference.score_rows, reference.score_counts_of_bins(counts.rows)).to_document()


def _cut_off(counts: ScoreCounts, start: int) -> dict[str, Any]:
    """Return the cut-off: the PD at the edge of the last approved score bin, rows approved, and the confusion."""
    approved, _ = counts.below(start)
    found = confusion_at(counts, start)
    edge = sigmoid(np.array([(start - SCORE_BINS // 2) / STEPS_PER_LOGIT]))
    shown = {"confusion": None, "withheld": True} if found is None else {"confusion": found.to_document()}
    return {"pd": float(edge[0]), "first_declined_bin": start, "rows_approved": approved, **shown}


def _grades(counted: Counted, reference: Reference) -> dict[str, Any]:
    """Return the grades' calibration; grades whose limit is too near another one are told together."""
    counts = counted.groups[0]
    edges = [0, *grade_cuts(counted.model), SCORE_BINS]
    kept = [place for place, edge in enumerate(edges) if counts.below(edge)[1] is not None]
    names = [(first + 1, last) for first, last in pairwise(kept)]
    below = [counts.below(edges[place]) for place in kept]
    rows = [high[0] - low[0] for low, high in pairwise(below)]
    bads = [(high[1] or 0) - (low[1] or 0) for low, high in pairwise(below)]
    pds = []
    for first, last in names:
        own = slice(edges[first - 1], edges[last])
        inside = counts.rows[own]
        frozen = reference.scale.pds[first - 1]
        pds.append(float(np.sum(inside * bin_pds()[own])) / int(inside.sum()) if inside.sum() else frozen)
    figures = []
    for name, found in zip(names, grade_figures(rows, bads, pds), strict=True):
        frozen_rows, frozen_bads = (sum(part[name[0] - 1 : name[1]]) for part in
                                    (reference.scale.rows, reference.scale.bads))  # fmt: skip
        figures.append({**found.to_document(), "grade": name[0], "last_grade": name[1],
                        "frozen_rate": frozen_bads / frozen_rows if frozen_rows else None})  # fmt: skip
    return {"monotone": is_monotone(rows, bads), "grades": figures, "of": reference.scale.size}


def _stability(groups: Groups, counted: Counted) -> list[dict[str, Any]]:
    reference, named = counted.model.reference, groups.of_kind("period")
    figures, moved = [], []
    for group in named:
        counts = None if group.number is None else counted.groups[group.number]
        figures.append(None if counts is None else score_figures(counts))
        known = counts is not None and reference is not None
        moved.append(
            drift("score", reference.score_rows, reference.score_counts_of_bins(counts.rows))  # type: ignore[union-attr]
            if known
            else None
        )
    return [each.to_document() for each in stability([group.name for group in named], figures, moved)]


def _fairness(groups: Groups, counted: Counted) -> list[Any]:
    found = []
    for kind in groups.kinds:
        if kind == "period":
            continue
        segments = []
        for group in groups.of_kind(kind):
            if group.number is None:
                segments.append(Segment(group.name, None, None))
                continue
            counts = counted.groups[group.number]
            segments.append(Segment(group.name, counts.below(counted.cut_off)[0], score_figures(counts)))
        found.append(fairness(kind.removeprefix("segment:"), segments))
    return found


def _prior(spec: JobSpec, counted: Counted) -> dict[str, Any] | None:
    """Return how the PDs fit a population of the bad rate that the job names, each class weighted to that rate."""
    ppm = int(spec.parameters["population_bad_ppm"])
    counts, training = counted.groups[0], counted.model.training
    bads, rows = int(counts.bads.sum()), int(counts.rows.sum())
    if not ppm or not 0 < bads < rows:
        return None
    told = type(training.get("bads")) is int and type(training.get("rows")) is int
    rate = training["bads"] / training["rows"] if told else bads / rows
    shift = prior_shift(rate, ppm / 1_000_000)
    good, bad = class_weights(bads / rows, ppm / 1_000_000)
    cell_bads = counts.bads.astype(np.float64)
    weighted_bads = bad * cell_bads
    weighted_rows = good * (counts.cell_rows - cell_bads) + weighted_bads
    centres = (np.arange(SCORE_BINS) - SCORE_BINS // 2 + 0.5) / STEPS_PER_LOGIT
    expected = np.zeros(len(cell_bads))
    np.add.at(expected, counts.cells, counts.rows * sigmoid(centres + shift))
    expected *= weighted_rows / np.maximum(counts.cell_rows, 1)
    return {
        "population_bad_rate": ppm / 1_000_000,
        "training_bad_rate": rate,
        "log_odds_shift": shift,
        "mean_pd": float(expected.sum() / weighted_rows.sum()),
        "bad_rate": float(weighted_bads.sum() / weighted_rows.sum()),
        "ece": float(np.abs(expected - weighted_bads).sum() / weighted_rows.sum()),
    }


def _comparison(models: Sequence[Counted], together: Together, entries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    gain = None
    if together.moments is not None:
        gain = compare(models[0].groups[0], models[1].groups[0], together.moments)
    entries["challenger"]["gain"] = None if gain is None else gain.to_document()
    names = ("both_approve", "champion_alone", "challenger_alone", "neither")
    return {
        "gain": entries["challenger"]["gain"],
        "swap": dict(zip(names, together.swap, strict=True)),
        "migration": [list(row) for row in together.grades],
        "promotion": promotion(entries["champion"], entries["challenger"]).to_document(),
    }
