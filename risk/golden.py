"""Golden rows: values that touch every bin of every field, to compare an exported model with this one.

It scores nothing itself. Theory: exports differ from their source at edges: on a cut, just below it, at a special
value, where a cell is empty, where a text is no level, on a bound and beyond it. Each field visits all of these while
the others hold values drawn from a fixed seed.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from risk.coding import Coding
from risk.table import Table

__all__ = ["golden_table"]

_SEED = 20_261_101


def golden_table(codings: Sequence[Coding], rows: int) -> Table:
    """Return at least that many rows over these fields; of several codings of one field every edge is visited."""
    of_field: dict[str, list[np.ndarray]] = {}
    for coding in dict.fromkeys(codings):
        of_field.setdefault(coding.name, []).append(_values(coding))
    values = {name: np.concatenate(each) for name, each in of_field.items()}
    size = max(rows, sum(len(each) for each in values.values()))
    rng = np.random.default_rng(_SEED)
    columns = {name: each[rng.integers(0, len(each), size)] for name, each in values.items()}
    _visit(columns, values)
    return Table("golden", columns, np.zeros(size, dtype=np.int8))


def _values(coding: Coding) -> np.ndarray:
    """Return a column of telling values, as `risk.table` holds them."""
    if coding.kind == "category":
        return np.arange(-1, sum(len(group) for group in coding.groups), dtype=np.int16)
    if coding.kind == "flag":
        return np.array([0.0, -0.0, 1.0, 0.5, 2.0, -1.0, np.nan])
    cuts = np.array(coding.cuts or (0.0,), dtype=np.float64)
    edges = np.array([*cuts, *(coding.bounds or ())])
    near = [edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf), cuts - 1.0, cuts + 1.0]
    far = np.array([-1e300, 1e300, 0.0, -0.0, np.nan, *coding.special])
    return np.concatenate([*near, (cuts[1:] + cuts[:-1]) / 2.0, far])


def _visit(columns: dict[str, np.ndarray], values: Mapping[str, np.ndarray]) -> None:
    place = 0
    for name, each in values.items():
        columns[name][place : place + len(each)] = each
        place += len(each)
