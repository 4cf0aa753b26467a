"""Trees that stand before a row is seen: a card as trees, and splits drawn by hash."""

import numpy as np
import pytest

from risk.card import Scorecard
from risk.forest import Forest, leaf_nodes, tree_codes
from risk.random_trees import card_columns, card_trees, draw_tree
from tests.risk.rooms import books_of, room_dictionary, room_tables, spec_of, train

DICTIONARY = room_dictionary()
TABLES = room_tables(DICTIONARY, (900, 700, 500), 5)


@pytest.fixture(scope="module")
def card() -> Scorecard:
    spec = spec_of(DICTIONARY, 3)
    model = train(spec, books_of(TABLES, spec)).model
    assert isinstance(model, Scorecard) and len(model.fields) > 3
    return model


def test_a_card_as_trees_scores_every_row_alike(card: Scorecard) -> None:
    forest = Forest("trees/1", card_columns(card, DICTIONARY), tuple(card_trees(card)), card.intercept << 10, True,
                    card.scaling, card.dropped, card.dictionary)  # fmt: skip
    for table in TABLES:
        assert np.array_equal(forest.logit(table), card.logit(table))
    assert [len(tree) for tree in forest.trees] == [2 * item.coding.bins - 1 for item in card.fields]


def test_a_drawn_tree_parts_all_rows_into_its_last_nodes(card: Scorecard) -> None:
    columns = card_columns(card, DICTIONARY)
    places = np.array([column.places for column in columns], dtype=np.int64)
    codes = tree_codes(columns, TABLES[0])
    assert (codes < places).all()
    seen = set()
    for depth in (1, 2, 4):
        for number in range(20):
            tree = draw_tree(f"{number}", card, range(len(columns)), depth)
            leaf = leaf_nodes(tree, codes, places)
            assert len(tree) == 2 ** (depth + 1) - 1 and leaf.min() >= 2**depth - 1 and leaf.max() < len(tree)
            inner = tree[: 2**depth - 1]
            assert (inner[:, 1] >= 0).all() and (inner[:, 1] < places[inner[:, 0]] - 1).all()
            assert len(set(inner[:, 0].tolist())) == min(depth, len(columns))
            seen |= set(inner[:, 0].tolist())
    assert seen == set(range(len(columns)))


def test_a_draw_hangs_on_its_label_and_on_allowed_columns(card: Scorecard) -> None:
    one, again, other = (draw_tree(label, card, [0, 2], 4) for label in ("a", "a", "b"))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert set(one[:15, 0].tolist()) == {0, 2}
    assert set(draw_tree("a", card, [1], 3)[:7, 0].tolist()) == {1}
