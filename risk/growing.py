"""Where to split a node, from its summed gradients, Hessians and row counts.

It sees sums only, no row. Theory: second-order boosting (Friedman, 2001; Chen and Guestrin, 2016). A split's gain is
the drop of the penalised quadratic loss; a node's weight is -G / (H + lambda), held between the bounds that monotone
splits above it have set. Missing values are tried on both sides. Gains are compared in float32 in a fixed order
(column, missing right before missing left, then place), as the reference implementation of `hist` does, so that
equal data give equal trees.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from risk.forest import Column

__all__ = ["Growth", "Rules", "Sums", "Tree", "grow"]

_LEAST_GAIN = 1e-6


@dataclass(frozen=True, slots=True)
class Rules:
    """Say how trees grow.

    depth: most splits above a leaf. least_weight: fewest units of Hessian in a child. penalty: lambda on squared
    weights. rate: share of a leaf that is kept. least_rows: fewest rows of a node that may be split. least_child:
    fewest rows of a child. confined: whether a tree splits on one dimension only. together: whether one of every
    dimension grows on the same gradients.
    """

    depth: int
    least_weight: float
    penalty: float
    rate: float
    least_rows: int
    least_child: int
    confined: bool
    together: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Sums:
    """Some nodes' sums in every place of every column, missing last: gradient, Hessian float64 and rows int64.

    Each is (nodes, columns in scope, most places + 1); places that a column lacks hold zeros. scope: column numbers.
    """

    gradient: np.ndarray
    hessian: np.ndarray
    rows: np.ndarray
    scope: tuple[int, ...]

    @property
    def each(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the three arrays."""
        return self.gradient, self.hessian, self.rows

    def picked(self, nodes: Sequence[int], scope: tuple[int, ...]) -> "Sums":
        """Return these nodes' sums in these columns, all of them in the scope."""
        if scope == self.scope:
            return self._with([array[list(nodes)] for array in self.each])
        keep = np.ix_(nodes, [self.scope.index(number) for number in scope])
        return Sums(self.gradient[keep], self.hessian[keep], self.rows[keep], scope)

    def minus(self, other: "Sums") -> "Sums":
        """Return the sums of the other children, node by node."""
        return self._with([mine - theirs for mine, theirs in zip(self.each, other.each, strict=True)])

    def beside(self, *others: "Sums") -> "Sums":
        """Return the nodes of all, these first."""
        return self._with([np.concatenate(arrays) for arrays in zip(self.each, *(o.each for o in others), strict=True)])

    def _with(self, each: Sequence[np.ndarray]) -> "Sums":
        gradient, hessian, rows = each
        return Sums(gradient, hessian, rows, self.scope)


@dataclass(slots=True)
class _Node:
    low: float
    high: float
    depth: int
    weight: float = 0.0
    column: int = 0
    cut: int = 0
    missing_left: bool = False
    left: int = 0
    right: int = 0


@dataclass(frozen=True, slots=True)
class _Split:
    column: int
    cut: int
    missing_left: bool
    left: tuple[float, float, int]
    right: tuple[float, float, int]


class Tree:
    """One tree while it grows, level by level."""

    def __init__(self, growth: "Growth", scope: tuple[int, ...] | None = None) -> None:
        """scope: the columns that it may split on, all by default."""
        self.growth = growth
        self._nodes = [_Node(-np.inf, np.inf, 0)]
        self._level: tuple[list[int], Sums] | None = None
        self._siblings: dict[int, tuple[int, int]] = {}
        self.scope: tuple[int, ...] = tuple(range(len(growth.columns))) if scope is None else scope
        self.wanted: tuple[int, ...] = (0,)

    def array(self, leaf_steps: float) -> np.ndarray:
        """Return the tree as `Forest` holds it, (nodes, 6) int64; leaf_steps: steps of one unit of log-odds."""
        rate = self.growth.rules.rate
        rows = [
            (node.column, node.cut, int(node.missing_left), node.left, node.right,
             0 if node.left else round(rate * node.weight * leaf_steps))
            for node in self._nodes
        ]  # fmt: skip
        return np.array(rows, dtype=np.int64)

    def take(self, sums: Sums) -> tuple[list[int], Sums, np.ndarray]:
        """Take the sums of the wanted nodes and derive their siblings'; return the nodes that may be split.

        Returned are their numbers, sums and bounds, (nodes, 2) float64, for `Growth.best`.
        """
        numbers = list(self.wanted)
        if self._level is not None:
            before, parents = self._level
            pairs = [self._siblings[number] for number in numbers]
            above = parents.picked([before.index(parent) for parent, _ in pairs], sums.scope)
            numbers += [other for _, other in pairs]
            sums = sums.beside(above.minus(sums))
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        numbers, sums = [numbers[place] for place in order], sums.picked(order, sums.scope)
        self._level, self._siblings = (numbers, sums), {}
        nodes = [self._nodes[number] for number in numbers]
        gradient, hessian, rows = (array[:, 0].sum(axis=-1).tolist() for array in sums.each)
        for place, node in enumerate(nodes):
            node.weight = self.growth.weight(gradient[place], hessian[place], node.low, node.high)
        least, depth = self.growth.rules.least_rows, self.growth.rules.depth
        open_ = [place for place, node in enumerate(nodes) if node.depth < depth and rows[place] >= least]
        bounds = np.array([(nodes[place].low, nodes[place].high) for place in open_]).reshape(-1, 2)
        return [numbers[place] for place in open_], sums.picked(open_, sums.scope), bounds

    def split(self, numbers: Sequence[int], splits: "Sequence[_Split | None]") -> None:
        """Split these nodes, but for those with None, and want the sums of their smaller children."""
        children = [self._divide(number, split) for number, split in zip(numbers, splits, strict=True) if split]
        self.wanted = tuple(child for child in children if child)

    def _divide(self, number: int, split: "_Split") -> int:
        """Split a node; return the child whose sums are wanted, 0 for neither."""
        growth, node = self.growth, self._nodes[number]
        weights = [growth.weight(side[0], side[1], node.low, node.high) for side in (split.left, split.right)]
        rising, middle = growth.columns[split.column].rising, (weights[0] + weights[1]) / 2.0
        bounds = [[node.low, node.high], [node.low, node.high]]
        if rising:
            bounds[0][int(rising > 0)] = bounds[1][int(rising < 0)] = middle
        node.column, node.cut, node.missing_left = split.column, split.cut, split.missing_left
        node.left, node.right = len(self._nodes), len(self._nodes) + 1
        for (low, high), weight in zip(bounds, weights, strict=True):
            self._nodes.append(_Node(low, high, node.depth + 1, weight))
        if number == 0 and growth.rules.confined:
            self.scope = growth.beside(split.column)
        large = max(split.left[2], split.right[2])
        if node.depth + 1 >= growth.rules.depth or large < growth.rules.least_rows:
            return 0
        pair = (node.left, node.right)
        asked, other = pair if split.left[2] <= split.right[2] else pair[::-1]
        self._siblings[asked] = (number, other)
        return asked


@dataclass(frozen=True, eq=False, slots=True)
class Growth:
    """What all trees of a forest share: their columns and rules."""

    columns: tuple[Column, ...]
    rules: Rules

    def scopes(self) -> list[tuple[int, ...]]:
        """Return the columns of every tree that grows on the same gradients: one of all, or one a dimension."""
        if not self.rules.together:
            return [tuple(range(len(self.columns)))]
        dimensions = dict.fromkeys(each.dimension for each in self.columns)
        return [tuple(n for n, each in enumerate(self.columns) if each.dimension == name) for name in dimensions]

    def form(self, scope: tuple[int, ...]) -> tuple[tuple[int, int, int], ...]:
        """Return what a search for splits sees of these columns: number, places and direction of each."""
        return tuple((number, self.columns[number].places, self.columns[number].rising) for number in scope)

    def beside(self, column: int) -> tuple[int, ...]:
        """Return the columns of the same dimension."""
        dimension = self.columns[column].dimension
        return tuple(n for n, each in enumerate(self.columns) if each.dimension == dimension)

    def weight(self, gradient: float, hessian: float, low: float, high: float) -> float:
        """Return a node's weight between its bounds."""
        if hessian <= 0.0:
            return 0.0
        return min(max(-gradient / (hessian + self.rules.penalty), low), high)

    def best(self, sums: Sums, bounds: np.ndarray) -> list[_Split | None]:
        """Return each node's split of the largest gain, None where none gains or may be made.

        bounds: (nodes, 2) float64, the least and the largest weight of each node.
        """
        if not len(bounds):
            return []
        low, high = bounds[:, 0], bounds[:, 1]
        total = [array[:, 0].sum(axis=-1) for array in sums.each]
        # Where no row is missing anywhere, the second direction would only repeat the first.
        ways = _both_ways if sums.rows[:, :, -1].any() else _one_way
        left = [ways(array) for array in sums.each]
        right = [whole[:, None, None] - part for whole, part in zip(total, left, strict=True)]
        gain = self._gains(sums, (left, right), (low[:, None, None], high[:, None, None]))
        parent = self._loss_drop(total[0], total[1], (low, high))[0][:, None, None]
        gain = np.where(np.isfinite(gain), gain - parent, -np.inf).astype(np.float32)
        nodes, width = len(gain), gain.shape[2]
        flat = np.argmax(gain.reshape(nodes, -1), axis=1)
        node, row, position = np.arange(nodes), flat // width, flat % width
        gains = (gain[node, row, position] > _LEAST_GAIN).tolist()
        most = sums.gradient.shape[2] - 1
        # Left to right first; then right to left, where place `cut` is the last one left of the split.
        cut = np.where(position < most, position, 2 * most - 1 - position - 1).tolist()
        places = [[array[node, row, position].tolist() for array in side] for side in (left, right)]
        sides = [list(zip(*side, strict=True)) for side in places]
        column, backward = row.tolist(), (position >= most).tolist()
        return [
            _Split(sums.scope[column[n]], cut[n], backward[n], sides[0][n], sides[1][n]) if gains[n] else None
            for n in range(nodes)
        ]

    def _gains(
        self,
        sums: Sums,
        sides: tuple[list[np.ndarray], list[np.ndarray]],
        bounds: tuple[np.ndarray, np.ndarray],
    ) -> np.ndarray:
        rules, most = self.rules, sums.gradient.shape[2] - 1
        (left_gain, left_weight), (right_gain, right_weight) = (
            self._loss_drop(side[0], side[1], bounds) for side in sides
        )
        places = np.array([self.columns[number].places for number in sums.scope])[:, None]
        rising = np.array([self.columns[number].rising for number in sums.scope])[:, None]
        position = np.arange(left_gain.shape[2])[None, :]
        forward = position < most
        allowed = np.where(forward, position < places, 2 * most - 1 - position < places)
        allowed = allowed & (forward | (sums.rows[:, :, -1:] > 0))
        for side in sides:
            allowed &= (side[1] >= rules.least_weight) & (side[1] > 0.0) & (side[2] >= max(rules.least_child, 1))
        allowed &= ~((rising > 0) & (left_weight > right_weight)) & ~((rising < 0) & (left_weight < right_weight))
        return np.where(allowed, left_gain + right_gain, -np.inf)

    def _loss_drop(
        self, gradient: np.ndarray, hessian: np.ndarray, bounds: tuple[np.ndarray, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return twice the drop of the penalised loss at the bounded weight, and that weight."""
        curved = np.maximum(hessian + self.rules.penalty, 1e-300)
        weight = np.minimum(np.maximum(-gradient / curved, bounds[0]), bounds[1])
        return -(2.0 * gradient * weight + curved * weight * weight), weight


def _one_way(array: np.ndarray) -> np.ndarray:
    """Return the left side's sums of every split: cut rising, with whatever is missing on the right."""
    return np.cumsum(array[..., :-1], axis=-1)


def _both_ways(array: np.ndarray) -> np.ndarray:
    """Return the left side's sums of every split: missing right, cut rising; then missing left, cut falling."""
    ordinary, missing = array[..., :-1], array[..., -1:]
    forward = _one_way(array)
    # The right side of a backward split starts at place i = most - 1, most - 2, ..., 0.
    backward = forward[..., -1:] + missing - np.cumsum(ordinary[..., ::-1], axis=-1)
    return np.concatenate([forward, backward], axis=-1)


def grow(pairs: Sequence[tuple[Tree, Sums]]) -> None:
    """Give each tree the sums that it wanted and split what can be split; trees of alike columns in one search."""
    groups: dict[object, list[tuple[Tree, list[int], Sums, np.ndarray]]] = {}
    for tree, sums in pairs:
        numbers, asked, bounds = tree.take(sums)
        alike = tree.growth.rules, asked.gradient.shape[1:], tree.growth.form(asked.scope)
        groups.setdefault(alike, []).append((tree, numbers, asked, bounds))
    for group in groups.values():
        trees, lists, asked_of, bounds_of = zip(*group, strict=True)
        joined = asked_of[0].beside(*asked_of[1:])
        splits = iter(trees[0].growth.best(joined, np.concatenate(bounds_of)))
        for tree, numbers in zip(trees, lists, strict=True):
            tree.split(numbers, [next(splits) for _ in numbers])
