"""How many trees are kept: the count whose unseen deviance is least, by sums on cells of fifty rows."""

import numpy as np

from risk.recipe import Ask
from risk.stopping import STEP, best_count
from tests.risk.rooms import books_of, room_dictionary, room_tables, train
from tests.risk.test_trees import trees_spec


def test_the_least_deviance_wins_and_the_smaller_of_equals() -> None:
    rows, chance = np.array([100, 100]), np.array([0.1, 0.4])
    good, bad = (rows, np.array([10, 40]), chance), (rows, np.array([40, 10]), chance)
    assert best_count([bad, good, bad]) == 2 * STEP
    assert best_count([good, good, bad]) == STEP
    assert best_count([(rows * 0, rows * 0, chance), good]) == STEP


def test_labels_are_asked_on_cells_of_fifty_rows_and_trees_are_cut_short_where_they_only_learn_noise() -> None:
    dictionary = room_dictionary()
    tables = room_tables(dictionary, (900, 800, 700, 600), 11)
    shuffled = [type(t)(t.member, t.columns, np.random.default_rng(1).permutation(t.target)) for t in tables]
    spec = trees_spec(dictionary, 4, trees=20, rate_ppm=300_000, min_weight=100)
    asks: list[Ask] = []
    model = train(spec, books_of(shuffled, spec), asks).model
    assert len(model.trees) <= 2 * STEP  # type: ignore[attr-defined]
    counted = next(ask for ask in asks if ask.name == "prefix-rows")
    labelled = next(ask for ask in asks if ask.name == "prefix-bads")
    assert labelled.length < counted.length
    cells = labelled.arrays["cells"]
    from risk.stopping import contribute_prefixes

    rows = np.sum([contribute_prefixes(counted, book) for book in books_of(shuffled, spec)], axis=0)
    merged = np.bincount(cells, weights=rows)
    assert merged.min() >= 50
