"""How far a distribution has moved from the one that was frozen with the model: PSI and CSI from counts.

It sees counts in bins, never a row or a model, so a bank, all rows in one place and the network compute one figure by
one function. Theory: population stability index = sum of (a - b) ln(a / b) over bins, a and b the shares then and now
(Siddiqi, 2006); of a score it is called PSI, of a field CSI (characteristic stability). Below 0.1 is stable, up to 0.25
is to be watched, above is to be acted on. Where one side of a bin is empty, half a row stands for it, which keeps the
figure finite; a bin that is empty on both sides says nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from risk.elementary import ln
from risk.errors import MisuseError

__all__ = ["ACT", "WATCH", "Band", "Drift", "band", "csi", "drift", "psi"]

WATCH, ACT = 0.1, 0.25
Band = Literal["stable", "watch", "act"]


@dataclass(frozen=True, slots=True)
class Drift:
    """Hold how far one distribution moved.

    name: `score` or a field. psi: None where one of the two has no row at all. band: of psi. reference, observed: rows
    in each bin, then and now.
    """

    name: str
    psi: float | None
    band: Band | None
    reference: tuple[int, ...]
    observed: tuple[int, ...]

    def to_document(self) -> dict[str, Any]:
        """Return the figures as plain JSON values."""
        counts = {"observed": list(self.observed), "reference": list(self.reference)}
        return {"name": self.name, "psi": self.psi, "band": self.band, **counts}


def psi(reference: Sequence[int], observed: Sequence[int]) -> float | None:
    """Return the population stability index of two counts over the same bins; None where either is empty.

    Raises `MisuseError` for counts of different length or below 0.
    """
    first, second = [int(count) for count in reference], [int(count) for count in observed]
    if len(first) != len(second) or min((*first, *second), default=0) < 0:
        raise MisuseError("drift-counts", f"counts over {len(first)} and {len(second)} bins, or one below 0")
    rows, others = sum(first), sum(second)
    if not rows or not others:
        return None
    total = 0.0
    for a, b in zip(first, second, strict=True):
        if a or b:
            # In half rows, so that the stand-in for an empty bin is whole.
            a2, b2 = 2 * a + (a == 0), 2 * b + (b == 0)
            total += (a2 / (2 * rows) - b2 / (2 * others)) * ln(a2 * others, b2 * rows)
    return total


def band(value: float | None) -> Band | None:
    """Return what a stability index calls for: below 0.1 nothing, up to 0.25 watching, above it acting."""
    if value is None:
        return None
    if value < WATCH:
        return "stable"
    return "watch" if value <= ACT else "act"


def drift(name: str, reference: Sequence[int], observed: Sequence[int]) -> Drift:
    """Return how far one distribution moved; counts as in `psi`."""
    value = psi(reference, observed)
    return Drift(name, value, band(value), tuple(map(int, reference)), tuple(map(int, observed)))


def csi(reference: Mapping[str, Sequence[int]], observed: Mapping[str, Sequence[int]]) -> tuple[Drift, ...]:
    """Return the drift of every field of the reference, the largest first, then by name.

    reference, observed: rows in each frozen bin by field (`risk.reference`). Raises `MisuseError` where a field of the
    reference has no counts now.
    """
    absent = [name for name in reference if name not in observed]
    if absent:
        raise MisuseError("drift-field", f"no counts of {absent[0]!r}")
    moved = [drift(name, counts, observed[name]) for name, counts in reference.items()]
    return tuple(sorted(moved, key=lambda item: (-(item.psi or 0.0), item.name)))
