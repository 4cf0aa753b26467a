"""Tables: rows keep together, wrong shapes are our own bug."""

import numpy as np
import pytest

from risk.errors import MisuseError
from risk.table import Table, concatenate


def table(member: str = "amber", month: bool = True) -> Table:
    """Return five rows."""
    columns = {"x": np.arange(5.0), "c": np.array([0, 1, -1, 2, 0], dtype=np.int16)}
    target = np.array([0, 1, 0, 1, 1], dtype=np.int8)
    return Table(member, columns, target, np.arange(5, dtype=np.int32) if month else None)


def test_rows_keep_together() -> None:
    chosen = table().select(np.array([4, 1]))
    assert chosen.columns["x"].tolist() == [4.0, 1.0]
    assert chosen.columns["c"].tolist() == [0, 1]
    assert chosen.month is not None and chosen.month.tolist() == [4, 1]
    assert (chosen.rows, chosen.bads) == (2, 2)
    assert table().select(table().target == 1).columns["x"].tolist() == [1.0, 3.0, 4.0]


def test_tables_are_put_one_after_the_other() -> None:
    both = concatenate([table("amber"), table("birch")])
    assert both.rows == 10 and both.member == "pooled"
    assert both.columns["x"].tolist() == [*range(5), *range(5)]
    assert concatenate([table(), table(month=False)]).month is None


def test_wrong_arrays_are_refused() -> None:
    good = table()
    with pytest.raises(MisuseError, match="int8"):
        Table("amber", good.columns, good.target.astype(np.int64))
    with pytest.raises(MisuseError, match="0 or 1"):
        Table("amber", good.columns, np.array([0, 1, 2, 0, 0], dtype=np.int8))
    with pytest.raises(MisuseError, match="'x'"):
        Table("amber", {"x": np.arange(4.0)}, good.target)
    with pytest.raises(MisuseError, match="'x'"):
        Table("amber", {"x": np.array(["a"] * 5)}, good.target)
    with pytest.raises(MisuseError, match="no table"):
        concatenate([])
    with pytest.raises(MisuseError, match="same columns"):
        concatenate([good, Table("birch", {"x": np.arange(5.0)}, good.target)])
