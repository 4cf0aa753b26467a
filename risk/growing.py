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

__all__ = ["Growth", "Rules", "Sums", "Tree"]

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
    """A node's sums in every place of every column, missing last: gradient, Hessian float64 and rows int64.

    Each is (columns in scope, most places + 1); places that a column lacks hold zeros. scope: their column numbers.
    """

    gradient: np.ndarray
    hessian: np.ndarray
    rows: np.ndarray
    scope: tuple[int, ...]

    def minus(self, other: "Sums") -> "Sums":
        """Return the sums of the other child, in the scope of `other`."""
        keep = [self.scope.index(number) for number in other.scope]
        return Sums(
            self.gradient[keep] - other.gradient,
            self.hessian[keep] - other.hessian,
            self.rows[keep] - other.rows,
            other.scope,
        )


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
        self._growth = growth
        self._nodes = [_Node(-np.inf, np.inf, 0)]
        self._sums: dict[int, Sums] = {}
        self._siblings: dict[int, tuple[int, int]] = {}
        self.scope: tuple[int, ...] = tuple(range(len(growth.columns))) if scope is None else scope
        self.wanted: tuple[int, ...] = (0,)

    def array(self, leaf_steps: float) -> np.ndarray:
        """Return the tree as `Forest` holds it, (nodes, 6) int64; leaf_steps: steps of one unit of log-odds."""
        rate = self._growth.rules.rate
        rows = [
            (node.column, node.cut, int(node.missing_left), node.left, node.right,
             0 if node.left else round(rate * node.weight * leaf_steps))
            for node in self._nodes
        ]  # fmt: skip
        return np.array(rows, dtype=np.int64)

    def take(self, sums: Sequence[Sums]) -> None:
        """Take the sums of the wanted nodes, derive their siblings', split what can be split, and want the next."""
        known: dict[int, Sums] = {}
        for number, received in zip(self.wanted, sums, strict=True):
            known[number] = received
            if number in self._siblings:
                parent, other = self._siblings[number]
                known[other] = self._sums[parent].minus(received)
        self._sums, self._siblings = known, {}
        children: list[int] = []
        for number in sorted(known):
            children += self._grow(number, known[number])
        self.wanted = tuple(children)

    def _grow(self, number: int, sums: Sums) -> list[int]:
        """Split a node if that gains anything; return the child whose sums are wanted, if any."""
        growth, node = self._growth, self._nodes[number]
        gradient, hessian = float(sums.gradient[0].sum()), float(sums.hessian[0].sum())
        node.weight = growth.weight(gradient, hessian, node.low, node.high)
        if node.depth >= growth.rules.depth or int(sums.rows[0].sum()) < growth.rules.least_rows:
            return []
        split = growth.best(sums, (node.low, node.high))
        if split is None:
            return []
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
            return []
        pair = (node.left, node.right)
        asked, other = pair if split.left[2] <= split.right[2] else pair[::-1]
        self._siblings[asked] = (number, other)
        return [asked]


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

    def beside(self, column: int) -> tuple[int, ...]:
        """Return the columns of the same dimension."""
        dimension = self.columns[column].dimension
        return tuple(n for n, each in enumerate(self.columns) if each.dimension == dimension)

    def weight(self, gradient: float, hessian: float, low: float, high: float) -> float:
        """Return a node's weight between its bounds."""
        if hessian <= 0.0:
            return 0.0
        return min(max(-gradient / (hessian + self.rules.penalty), low), high)

    def best(self, sums: Sums, bounds: tuple[float, float]) -> _Split | None:
        """Return the split of the largest gain, or None where none gains or may be made."""
        total = [array[0].sum() for array in (sums.gradient, sums.hessian, sums.rows)]
        left = [_both_ways(array) for array in (sums.gradient, sums.hessian, sums.rows)]
        right = [whole - part for whole, part in zip(total, left, strict=True)]
        gain = self._gains(sums, (left, right), bounds)
        parent = self._loss_drop(np.asarray(total[0]), np.asarray(total[1]), bounds)[0]
        gain = np.where(np.isfinite(gain), gain - parent, -np.inf).astype(np.float32)
        place = int(np.argmax(gain))
        row, position = divmod(place, gain.shape[1])
        if not gain[row, position] > _LEAST_GAIN:
            return None
        most = sums.gradient.shape[1] - 1
        missing_left = position >= most
        # Left to right first; then right to left, where place `cut` is the last one left of the split.
        cut = position if not missing_left else 2 * most - 1 - position - 1
        sides = [tuple(array[row, position] for array in side) for side in (left, right)]
        (lg, lh, ln), (rg, rh, rn) = sides
        return _Split(
            sums.scope[row], cut, missing_left, (float(lg), float(lh), int(ln)), (float(rg), float(rh), int(rn))
        )

    def _gains(
        self, sums: Sums, sides: tuple[list[np.ndarray], list[np.ndarray]], bounds: tuple[float, float]
    ) -> np.ndarray:
        rules, most = self.rules, sums.gradient.shape[1] - 1
        (left_gain, left_weight), (right_gain, right_weight) = (
            self._loss_drop(side[0], side[1], bounds) for side in sides
        )
        gain = left_gain + right_gain
        allowed = np.ones(gain.shape, dtype=bool)
        for side in sides:
            allowed &= (side[1] >= rules.least_weight) & (side[1] > 0.0) & (side[2] >= max(rules.least_child, 1))
        places = np.array([self.columns[number].places for number in sums.scope])[:, None]
        position = np.arange(2 * most)[None, :]
        forward = position < most
        allowed &= np.where(forward, position < places, 2 * most - 1 - position < places)
        allowed &= forward | (sums.rows[:, -1:] > 0)
        rising = np.array([self.columns[number].rising for number in sums.scope])[:, None]
        allowed &= ~((rising > 0) & (left_weight > right_weight)) & ~((rising < 0) & (left_weight < right_weight))
        return np.where(allowed, gain, -np.inf)

    def _loss_drop(
        self, gradient: np.ndarray, hessian: np.ndarray, bounds: tuple[float, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return twice the drop of the penalised loss at the bounded weight, and that weight."""
        curved = np.maximum(hessian + self.rules.penalty, 1e-300)
        weight = np.minimum(np.maximum(-gradient / curved, bounds[0]), bounds[1])
        return -(2.0 * gradient * weight + curved * weight * weight), weight


def _both_ways(array: np.ndarray) -> np.ndarray:
    """Return the left side's sums of every split: missing right, cut rising; then missing left, cut falling."""
    ordinary, missing = array[:, :-1], array[:, -1:]
    forward = np.cumsum(ordinary, axis=1)
    # The right side of a backward split starts at place i = most - 1, most - 2, ..., 0.
    backward = forward[:, -1:] + missing - np.cumsum(ordinary[:, ::-1], axis=1)
    return np.concatenate([forward, backward], axis=1)
