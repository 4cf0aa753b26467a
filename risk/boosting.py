"""Steps of boosting in flight: which trees grow at the same time, on whose gradients, and what one sum carries.

How a node splits is `risk.growing`, what rows are asked is `risk.histogram`. A step is the trees of every federation
that grow on the same gradients: one of each dimension, or one. Theory: a level needs the sums of the level above, so a
tree of depth d costs d sums whatever it holds. Steps therefore overlap: the next one starts before the last ones are
grown, on gradients of the trees that are finished by then (delayed gradients, as in asynchronous boosting; Daning et
al., 2018). With a small rate a short delay costs hardly any accuracy, and sums are what a job waits for.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from risk.coding import Coding, encode_codings
from risk.forest import LEAF_BITS
from risk.growing import Growth, Tree, grow
from risk.histogram import Stage, ask_level, stack_trees, unpack_level
from risk.recipe import Ask
from risk.spec import JobSpec

__all__ = ["Seedbed", "grow_forests"]


@dataclass(frozen=True, eq=False, slots=True)
class Seedbed:
    """Say what a federation's forest grows on: columns and rules, encoded codings, and intercept in steps of 2**-30."""

    growth: Growth
    codings: tuple[Coding, ...]
    intercept: int


@dataclass(frozen=True, eq=False, slots=True)
class _Step:
    """Trees that grow on the same gradients, by federation; seen: trees of each that were finished at its start."""

    number: int
    seen: Mapping[str, int]
    trees: Mapping[str, list[Tree]]

    @property
    def growing(self) -> list[tuple[str, int, Tree]]:
        """Return the trees that want sums, with their federation and number."""
        return [(part, n, tree) for part, trees in self.trees.items() for n, tree in enumerate(trees) if tree.wanted]


def grow_forests(
    spec: JobSpec, beds: Mapping[str, Seedbed], most: int, staleness: int
) -> Generator[Ask, np.ndarray, dict[str, list[np.ndarray]]]:
    """Ask for the levels of all trees and return them, `most` of each federation or fewer where none can be split.

    staleness: whole steps that may be in flight when one starts, so that its gradients miss their trees.
    """
    trees: dict[str, list[np.ndarray]] = {part: [] for part in beds}
    stacked = {part: stack_trees(()) for part in beds}
    columns = {part: bed.growth.columns for part, bed in beds.items()}
    encoded = {part: encode_codings(bed.codings) for part, bed in beds.items()}
    depth = max(bed.growth.rules.depth for bed in beds.values())
    stride = -(-depth // (staleness + 1))
    flying: list[_Step] = []
    number, level, wait, ending = 0, 0, 0, False
    while True:
        if not ending and len(flying) <= staleness and (wait <= 0 or not flying):
            step = _start(number + 1, beds, trees, flying, most)
            if step.growing:
                number, wait = number + 1, stride
                flying.append(step)
        if not flying:
            return trees
        growing = [(step, *each) for step in flying for each in step.growing]
        stages = [
            Stage(
                name=f"{part}-{step.number}-{turn}",
                part=part,
                intercept=beds[part].intercept,
                trees=stacked[part],
                seen=step.seen[part],
                growing=tree.array(0.0),
                wanted=tree.wanted,
                scope=tree.scope,
                codings=encoded[part],
            )
            for step, part, turn, tree in growing
        ]
        level, wait = level + 1, wait - 1
        sums = yield ask_level(spec, f"level-{level}", columns, stages)
        found = unpack_level(sums, spec, columns, stages)
        grow([(tree, each) for (*_, tree), each in zip(growing, found, strict=True)])
        while flying and not flying[0].growing:
            ending = not _finish(flying.pop(0), trees) or ending
            stacked = {part: stack_trees(done) for part, done in trees.items()}


def _start(
    number: int,
    beds: Mapping[str, Seedbed],
    trees: Mapping[str, list[np.ndarray]],
    flying: Sequence[_Step],
    most: int,
) -> _Step:
    """Return a step of as many trees as are still to come; of none where the fullest forest has them all."""
    planned = {part: len(done) + sum(len(step.trees.get(part, ())) for step in flying) for part, done in trees.items()}
    left = 0 if max(planned.values()) >= most else most
    starting = {
        part: [Tree(bed.growth, scope) for scope in bed.growth.scopes()[: max(left - planned[part], 0)]]
        for part, bed in beds.items()
        if bed.growth.columns
    }
    return _Step(number, {part: len(done) for part, done in trees.items()}, starting)


def _finish(step: _Step, trees: Mapping[str, list[np.ndarray]]) -> bool:
    """Add a step's trees to the forests, but for those that could not be split; return whether there was any."""
    grown = [(part, tree.array(float(1 << LEAF_BITS))) for part, found in step.trees.items() for tree in found]
    for part, tree in grown:
        if len(tree) > 1:
            trees[part].append(tree)
    return any(len(tree) > 1 for _, tree in grown)
