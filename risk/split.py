"""Which of a member's rows train, which are held out, and the two halves of the training rows.

It looks at the target and nothing else. Theory: a stratified permutation per class keeps the bad rate of every
part; the generator is seeded by the job's seed and the member's name, so a member repeats its own split without
telling it to anybody.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from risk.errors import MisuseError

__all__ = ["Split", "split"]


@dataclass(frozen=True, eq=False, slots=True)
class Split:
    """Hold row numbers, each array sorted int64: holdout and train are disjoint, the two halves make up train."""

    train: np.ndarray
    holdout: np.ndarray
    half_a: np.ndarray
    half_b: np.ndarray

    def rows(self, name: str) -> np.ndarray:
        """Return the row numbers of `train`, `holdout`, `half-a` or `half-b`."""
        parts = {"train": self.train, "holdout": self.holdout, "half-a": self.half_a, "half-b": self.half_b}
        if name not in parts:
            raise MisuseError("split-rows", f"no rows are called {name!r}; there are {', '.join(parts)}")
        return parts[name]


def split(target: np.ndarray, member: str, seed: int, holdout: float) -> Split:
    """Return the split of one member's rows.

    target: (n_rows,) int8 of 0 and 1. seed: the job's, at least 0. holdout: share held out, 0 to below 1. For class
    0, then 1, the row numbers are permuted; the first `int(holdout * n + 0.5)` are held out and the others go in
    turn to half a and half b.
    """
    if seed < 0 or not 0.0 <= holdout < 1.0:
        raise MisuseError("split-argument", f"seed {seed} or hold-out share {holdout} is out of range")
    generator = np.random.default_rng([seed, int(hashlib.sha256(member.encode()).hexdigest()[:8], 16)])
    held, first, second = [], [], []
    for label in (0, 1):
        order = generator.permutation(np.flatnonzero(target == label))
        count = int(holdout * len(order) + 0.5)
        held.append(order[:count])
        first.append(order[count::2])
        second.append(order[count + 1 :: 2])
    half_a, half_b = (np.sort(np.concatenate(rows)) for rows in (first, second))
    train = np.sort(np.concatenate([half_a, half_b]))
    return Split(train, np.sort(np.concatenate(held)), half_a, half_b)
