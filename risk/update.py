"""A member's part of a weighted mean of arrays, in whole numbers.

A part is the vector (n * (after - before), n): each entry of the change is clipped to 8 in size, multiplied by the
member's number of examples and rounded to 24 fraction bits; the last entry is n itself. It trains nothing and
knows no network. Theory: the mean over members weighted by n (McMahan 2017) is before + sum(n * change) / sum(n), a
function of two sums; whole numbers add up exactly in any order, and a declared clip bounds what they can reach.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from risk.errors import InputError, MisuseError, RefusalError

__all__ = ["STEP", "STRATEGIES", "UpdateLayout", "check_strategy", "on_grid", "whole_steps"]

_FRACTION_BITS = 24
STEP = 2.0**-_FRACTION_BITS
"""Arrays that members derive alike are whole multiples of this."""
STRATEGIES = ("FedAvg", "FedProx", "FedAdam")
"""The strategies that a job may name."""
_SINGLE_UPDATES = frozenset(
    ("Bulyan", "FedMedian", "FedTrimmedAvg", "FedXgbBagging", "FedXgbCyclic", "Krum", "MultiKrum", "QFedAvg")
)
_CLIP = 8


def check_strategy(name: object) -> str:
    """Return the name of a strategy that is a function of the weighted mean; raise `InputError` for any other."""
    if name in STRATEGIES:
        return str(name)
    offered = ", ".join(STRATEGIES)
    if name in _SINGLE_UPDATES:
        raise InputError(
            "strategy-single-updates",
            f"[parameters]: strategy {name} looks at single members' updates, which a secure sum never shows; "
            f"use one of {offered}",
        )
    raise InputError("strategy-unknown", f"[parameters]: strategy {name!r} is not offered; use one of {offered}")


def whole_steps(array: np.ndarray) -> np.ndarray:
    """Return the array in whole steps of `STEP`, int64 of the same shape, rounded half to even."""
    return np.asarray(np.rint(np.asarray(array, dtype=np.float64) / STEP).astype(np.int64))


def on_grid(array: np.ndarray) -> np.ndarray:
    """Return the array rounded to whole multiples of `STEP`, float64; zero has one sign."""
    return np.asarray(whole_steps(array) * STEP)


@dataclass(frozen=True, slots=True)
class UpdateLayout:
    """Say where arrays stand in the vector, and how large an entry may become.

    shapes: of each array by name; the vector holds them in the order of their names, each in C order, then the
    number of examples. members, max_rows: of the job. Raises `InputError` where a sum could leave 63 bits.
    """

    shapes: Mapping[str, tuple[int, ...]]
    members: int
    max_rows: int

    def __post_init__(self) -> None:
        if self.members * self.bound >= 1 << 63:
            raise InputError(
                "job-headroom",
                f"job: members x max_rows = {self.members * self.max_rows} leaves no room for sums of updates in 64 "
                "bits; lower max_rows",
            )

    @property
    def length(self) -> int:
        """Return the number of entries, the last one included."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values()) + 1

    @property
    def bound(self) -> int:
        """Return the largest size of one member's entry."""
        return (self.max_rows * _CLIP) << _FRACTION_BITS

    def part(
        self, before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], examples: int
    ) -> tuple[np.ndarray, int]:
        """Return a member's vector, (length,) int64, and how many entries of its change were clipped.

        before, after: float64 arrays of the layout's shapes. The count of clipped entries is for the member alone.
        Raises `RefusalError` where a change is not a finite number, and where examples exceed max_rows.
        """
        if not 1 <= examples <= self.max_rows:
            raise RefusalError("update-examples", f"{examples} examples, the job allows 1 to {self.max_rows}")
        change = self._flat(after) - self._flat(before)
        if not bool(np.isfinite(change).all()):
            raise RefusalError(
                "update-not-finite",
                "local training gave a weight that is not a finite number; lower the learning rate",
            )
        clipped = int(np.count_nonzero(np.abs(change) > _CLIP))
        entries = np.rint(np.clip(change, -_CLIP, _CLIP) * float(examples << _FRACTION_BITS)).astype(np.int64)
        return np.append(entries, np.int64(examples)), clipped

    def mean(self, before: Mapping[str, np.ndarray], total: np.ndarray) -> tuple[dict[str, np.ndarray], int]:
        """Return the mean arrays, float64, and the number of examples that a sum of parts holds.

        total: (length,) int64. Raises `MisuseError` for a sum in which nobody had an example.
        """
        if total.shape != (self.length,) or int(total[-1]) < 1:
            raise MisuseError("update-sum", f"a sum of shape {total.shape} holds no mean of {self.length - 1} entries")
        examples = int(total[-1])
        change = total[:-1].astype(np.float64) / float(examples << _FRACTION_BITS)
        arrays: dict[str, np.ndarray] = {}
        place = 0
        for name in sorted(self.shapes):
            size = int(np.prod(self.shapes[name]))
            arrays[name] = before[name] + change[place : place + size].reshape(self.shapes[name])
            place += size
        return arrays, examples

    def _flat(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        shapes = {name: array.shape for name, array in arrays.items()}
        if shapes != dict(self.shapes):
            raise MisuseError("update-shapes", "arrays do not have the shapes of the layout")
        return np.concatenate([np.asarray(arrays[name], dtype=np.float64).ravel() for name in sorted(self.shapes)])
