"""The recipe `trees`: boosted trees on secure histograms, each tree confined to one dimension.

Both halves are here: the generator and `contribute`; how a node splits is `risk.growing`, what rows are asked is
`risk.histogram`. Theory: the trees of `hist` boosting (Chen and Guestrin, 2016) need sums of gradients and Hessians in
public bins only, so trees grown from secure sums are those of all rows in one place, bit for bit. The full forest
and the two halves' grow side by side, and in each a tree of every dimension on the same gradients, as blocks of
coordinates that share no field; one sum carries a level of all of them. How many trees are kept is chosen on the
halves: each half's forest is judged on the rows of the other, at every fifth tree, by two sums.

Cells: bins have 50 rows or more, a node is split only with 200 rows or more; a cell of a node may still hold few rows,
which is why a bank's permit has to allow exact trees. Where every sum carries noise, trees grow as `risk.private_trees`
says, and of the parameters of growing only the number of trees and their depth count.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from risk.binning import ask_bads, ask_rows, contribute_counts, label_cells, merge_rare, split_counts
from risk.book import Book
from risk.boosting import Seedbed, grow_forests
from risk.card import Scaling
from risk.coding import Coding, unmerged
from risk.elementary import ln_steps
from risk.forest import LEAF_BITS, Column, Forest, forest_from_document, tree_columns
from risk.growing import Growth, Rules
from risk.histogram import contribute_level
from risk.model import OwnModels, Trained
from risk.parameters import parameters_of
from risk.private_trees import contribute_private_trees, private_tree_releases, private_tree_rounds
from risk.recipe import Ask, run_plain
from risk.release import Release
from risk.sketch import contribute_sketch, sketch_rounds
from risk.spec import JobSpec
from risk.stopping import STEP, best_count, contribute_prefixes, prefix_rounds

__all__ = ["TreesRecipe"]

_PARAMETERS = {
    "trees": (60, 1, 500),
    "depth": (3, 1, 8),
    "rate_ppm": (200_000, 1_000, 1_000_000),
    "penalty": (100, 0, 1_000_000),
    "min_weight": (500, 0, 10_000_000),
    "min_split_rows": (200, 200, 1_000_000),
    "min_bin_rows": (50, 50, 100_000),
    "confined": (2, 0, 2),
    "staleness": (1, 0, 8),
    "choose_count": (1, 0, 1),
    "points": (600, 1, 100_000),
    "odds": (30, 1, 10_000),
    "pdo": (20, 1, 1_000),
}
"""Default, smallest and largest value.

rate in millionths; penalty and min_weight (of Hessian) in hundredths. confined: 0 no tree is, 1 each tree to the
dimension of its best first split, 2 one tree of every dimension grows on the same gradients. staleness: steps that may
be in flight when a step starts, whose trees its gradients miss (`risk.boosting`).
"""

_PARTS = ("full", "half-a", "half-b")
_HALVES = ("half-a", "half-b")
_LARGE_BOOK = 10_000


@dataclass(frozen=True, eq=False, slots=True)
class _Ground:
    """What all forests of a job stand on: codings, and for each federation its columns' order and intercept."""

    codings: tuple[Coding, ...]
    orders: Mapping[str, tuple[tuple[int, ...] | None, ...]]
    intercepts: Mapping[str, int]
    totals: Mapping[str, tuple[int, int]]
    dropped: tuple[tuple[str, str], ...]


class TreesRecipe:
    """Train boosted trees by sums."""

    name = "trees"
    version = 1

    def parse_parameters(self, document: Mapping[str, Any]) -> dict[str, int | str]:
        """Return the parameters with defaults filled in; raise `InputError` for any that is unknown or unusable."""
        return parameters_of(self.name, _PARAMETERS, document)

    def rounds(self, spec: JobSpec) -> Generator[Ask, np.ndarray, Trained]:
        """Ask for the sums that train the three forests; the halves' wait in `carry`."""
        if spec.private:
            return (yield from private_tree_rounds(spec))
        forests = yield from _forest_rounds(spec, _rules(spec), int(spec.parameters["staleness"]))
        return Trained(forests["full"], (forests["half-a"], forests["half-b"]))

    def half_rounds(self, spec: JobSpec, trained: Trained) -> Generator[Ask, np.ndarray, tuple[Forest, Forest]]:
        """Return the halves' forests, which were trained beside the full one."""
        yield from ()
        halves: tuple[Forest, Forest] = trained.carry
        return halves

    def releases(self, spec: JobSpec) -> tuple[Release, ...]:
        """Return what training with differential privacy releases: a card's sums, then leaves of random trees."""
        return private_tree_releases(spec)

    def contribute(self, ask: Ask, book: Book) -> np.ndarray:
        """Return a member's part of an asked sum, (ask.length,) int64, no entry larger than `ask.bound`."""
        if ask.noise:
            return contribute_private_trees(ask, book)
        if ask.name.startswith("sketch-"):
            return contribute_sketch(ask, book)
        if ask.name.startswith("level-"):
            return contribute_level(ask, book)
        if ask.name.startswith("prefix-"):
            return contribute_prefixes(ask, book)
        return contribute_counts(ask, book)

    def own(self, book: Book) -> OwnModels:
        """Train forests on one bank's rows alone, with its own cuts and the rules of `_own_rules`."""
        # Nothing of it leaves the bank, so it needs no noise.
        spec = replace(book.spec, members=1, multiplier=0)
        rows = len(book.rows("train"))
        # Nobody waits for these sums, so no step starts before the last one ended.
        rounds = _forest_rounds(spec, _own_rules(_rules(spec), rows), 0, min(50, max(5, rows // 80)))
        forests = run_plain(rounds, lambda ask: self.contribute(ask, book))
        return OwnModels(forests["full"], forests["half-a"], forests["half-b"])

    def decode_model(self, document: Mapping[str, Any]) -> Forest:
        """Return the forest of a document; raise `InputError` for any that is none."""
        return forest_from_document(f"{self.name}/{self.version}", document)


def _rules(spec: JobSpec) -> Rules:
    values = {name: int(value) for name, value in spec.parameters.items()}
    return Rules(
        depth=values["depth"],
        least_weight=values["min_weight"] / 100.0,
        penalty=values["penalty"] / 100.0,
        rate=values["rate_ppm"] / 1_000_000.0,
        least_rows=values["min_split_rows"],
        least_child=1,
        confined=values["confined"] > 0,
        together=values["confined"] == 2,
    )


def _own_rules(rules: Rules, rows: int) -> Rules:
    """Return the rules for a bank's own forest, which needs no cell rule: shallow trees and slow steps in a small book.

    rows: training rows of the bank. Measured on both real rooms: .004 to .006 AUC above the network's own rules.
    """
    least = min(rules.least_rows, max(20, rows // 20))
    if rows >= _LARGE_BOOK:
        return replace(rules, least_rows=least)
    return replace(rules, least_rows=least, depth=min(rules.depth, 2), least_weight=min(rules.least_weight, 3.0),
                   penalty=max(rules.penalty, 3.0), rate=min(rules.rate, 0.1))  # fmt: skip


def _forest_rounds(
    spec: JobSpec, rules: Rules, staleness: int, min_bin_rows: int | None = None
) -> Generator[Ask, np.ndarray, dict[str, Forest]]:
    """Ask for everything that the forests of these federations need."""
    ground = yield from _ground_rounds(spec, _PARTS, min_bin_rows or int(spec.parameters["min_bin_rows"]))
    beds = {}
    for part in _PARTS:
        codings = _ordered(ground, part)
        beds[part] = Seedbed(Growth(tree_columns(codings, spec.dictionary), rules), codings, ground.intercepts[part])
    trees = yield from grow_forests(spec, beds, int(spec.parameters["trees"]), staleness)
    forests = {part: _forest(spec, ground, part, beds[part].growth.columns, trees[part]) for part in _PARTS}
    if int(spec.parameters["choose_count"]) and all(forests[part].trees for part in _HALVES):
        histograms = yield from prefix_rounds(spec, {part: forests[part] for part in _HALVES})
        forests = _shortened(forests, best_count(histograms))
    return forests


def _ground_rounds(spec: JobSpec, parts: Sequence[str], min_rows: int) -> Generator[Ask, np.ndarray, _Ground]:
    """Ask for cuts, row counts and labels; return the bins and every federation's intercept and order of levels."""
    cuts = yield from sketch_rounds(spec, "full", "train")
    finest = tuple(unmerged(field, cuts.get(field.name, ())) for field in spec.dictionary.model_fields)
    counts = dict(zip(parts, split_counts(finest, (yield ask_rows(spec, parts, finest)), len(parts)), strict=True))
    # Merged alike for all, by the halves' counts: no difference of two federations shows a smaller bin.
    seen = [counts[part] for part in parts if part != "full"] or [counts["full"]]
    codings: list[Coding] = []
    rows: dict[str, list[tuple[int, ...]]] = {part: [] for part in parts}
    dropped: list[tuple[str, str]] = []
    for place, coding in enumerate(finest):
        partition = merge_rare(coding, [count[place] for count in seen], min_rows)
        merged = coding.merged(partition)
        if merged.bins == 2 and not any(count[place][-1] for count in seen):
            dropped.append((coding.name, "its bins merge to one"))
            continue
        codings.append(merged)
        for part in parts:
            count = counts[part][place]
            rows[part].append(tuple(sum(count[i] for i in run) for run in partition) + count[coding.ordinary :])
    if not codings:
        whole = finest[0].merged([list(range(finest[0].ordinary))])
        codings = [whole]
        for part in parts:
            count = counts[part][0]
            rows[part] = [(sum(count[: finest[0].ordinary]), *count[finest[0].ordinary :])]
    cells = label_cells(codings, [[rows[part][i] for part in parts] for i in range(len(codings))], min_rows)
    orders, intercepts, totals = {}, {}, {}
    asked = (yield ask_bads(spec, parts, codings, cells)).reshape(len(parts), -1)
    for part, bads in zip(parts, asked, strict=True):
        orders[part] = _orders(codings, rows[part], bads, cells)
        bad = sum(int(bads[cell]) for cell in sorted(set(cells[: codings[0].bins].tolist())))
        total = sum(rows[part][0])
        totals[part] = (total, bad)
        intercepts[part] = ln_steps(2 * bad + 1, 2 * max(total - bad, 0) + 1, LEAF_BITS)
    kept = () if len(dropped) == len(finest) else tuple(codings)
    return _Ground(kept, orders, intercepts, totals, tuple(dropped))


def _orders(
    codings: Sequence[Coding], rows: Sequence[Sequence[int]], bads: np.ndarray, cells: np.ndarray
) -> tuple[tuple[int, ...] | None, ...]:
    """Return for every category its groups by rising share of bads, None for other fields."""
    orders: list[tuple[int, ...] | None] = []
    place = 0
    for coding, counted in zip(codings, rows, strict=True):
        own = cells[place : place + coding.bins]
        place += coding.bins
        if coding.kind != "category":
            orders.append(None)
            continue
        rate = [int(bads[own[i]]) / max(counted[i], 1) for i in range(coding.ordinary)]
        orders.append(tuple(sorted(range(coding.ordinary), key=lambda i: (rate[i], i))))
    return tuple(orders)


def _ordered(ground: _Ground, part: str) -> tuple[Coding, ...]:
    """Return the codings with every category's groups in the order of this federation's labels."""
    result = []
    for coding, order in zip(ground.codings, ground.orders[part], strict=True) if ground.codings else ():
        groups = tuple(coding.groups[i] for i in order) if order is not None else coding.groups
        result.append(replace(coding, groups=groups))
    return tuple(result)


def _forest(
    spec: JobSpec, ground: _Ground, part: str, columns: tuple[Column, ...], trees: Sequence[np.ndarray]
) -> Forest:
    values = spec.parameters
    rows, bads = ground.totals[part]
    job = {"holdout_ppm": spec.holdout_ppm, "max_rows": spec.max_rows, "members": spec.members, "seed": spec.seed}
    return Forest(
        recipe=spec.label,
        columns=columns,
        trees=tuple(trees),
        intercept=ground.intercepts[part],
        confined=int(values["confined"]) > 0,
        scaling=Scaling(int(values["points"]), int(values["odds"]), int(values["pdo"])),
        dropped=ground.dropped,
        dictionary=spec.dictionary.digest(),
        training={**job, "bads": bads, "part": part, "rows": rows, "parameters": dict(values)},
    )


def _shortened(forests: Mapping[str, Forest], count: int) -> dict[str, Forest]:
    """Return the forests with the chosen number of trees; the full one, with twice the rows, may keep a step more."""
    kept = {part: count + (STEP if part == "full" else 0) for part in forests}
    return {part: replace(forest, trees=forest.trees[: kept[part]]) for part, forest in forests.items()}
