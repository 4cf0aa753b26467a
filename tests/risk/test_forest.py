"""A forest's columns and codes: specials have a column of their own, unknown levels and empty cells are missing."""

import numpy as np

from risk.coding import Coding
from risk.forest import leaf_nodes, tree_codes, tree_columns
from risk.table import Table
from tests.risk.rooms import category, number, room_dictionary

DICTIONARY = room_dictionary(number("late_days", (0, 3650), "up", special=[-999, -1]), category("trade", 4))
CODINGS = (
    Coding("late_days", "number", (10.0, 30.0), special=(-999.0, -1.0)),
    Coding("trade", "category", groups=((2,), (0, 3), (1,))),
)


def test_columns_are_the_field_and_each_special_value() -> None:
    columns = tree_columns(CODINGS, DICTIONARY)
    assert [(column.coding.name, column.places, column.rising) for column in columns] == [
        ("late_days", 3, 1),
        ("late_days", 2, 0),
        ("late_days", 2, 0),
        ("trade", 3, 0),
    ]
    days = np.array([5.0, 10.0, 29.9, 30.0, -999.0, -1.0, np.nan])
    trade = np.array([2, 0, 3, 1, -1, 2, 2], dtype=np.int16)
    codes = tree_codes(columns, Table("x", {"late_days": days, "trade": trade}, np.zeros(7, dtype=np.int8)))
    assert codes[:, 0].tolist() == [0, 1, 1, 2, 3, 3, 3]
    assert codes[:, 1].tolist() == [0, 0, 0, 0, 1, 0, 0]
    assert codes[:, 2].tolist() == [0, 0, 0, 0, 0, 1, 0]
    assert codes[:, 3].tolist() == [0, 1, 1, 2, 3, 0, 0]


def test_rows_go_where_their_place_or_the_missing_flag_says() -> None:
    tree = np.array(
        [[0, 1, 1, 1, 2, 0], [0, 0, 0, 0, 0, 7], [1, -1, 1, 3, 4, 0], [0, 0, 0, 0, 0, 8], [0, 0, 0, 0, 0, 9]]
    )
    codes = np.array([[0, 0], [1, 2], [2, 0], [3, 1], [2, 2]], dtype=np.int16)
    places = np.array([3, 2], dtype=np.int64)
    assert leaf_nodes(tree, codes, places).tolist() == [1, 1, 4, 1, 3]
    assert leaf_nodes(tree[:1] * 0, codes, places).tolist() == [0] * 5
