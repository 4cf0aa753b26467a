"""The card: the score is its offset plus four sub-scores, the PD comes from the exact logit."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.card import Scaling, Scorecard, card_from_document
from risk.errors import InputError
from risk.table import Table
from tests.risk.rooms import books_of, room_dictionary, room_tables, spec_of, train


@pytest.fixture(scope="module")
def trained() -> tuple[Scorecard, Table]:
    dictionary = room_dictionary()
    tables = room_tables(dictionary, (900, 700, 500, 300), seed=3)
    spec = spec_of(dictionary, 4)
    model = train(spec, books_of(tables, spec)).model
    assert isinstance(model, Scorecard)
    return model, tables[0]


def test_subscores_add_to_the_score(trained: tuple[Scorecard, Table]) -> None:
    card, table = trained
    subscores, score = card.subscores(table), card.score(table)
    assert subscores.shape == (table.rows, 4) and subscores.dtype == np.int64
    assert np.array_equal(card.base_points + subscores.sum(axis=1), score)
    assert len(np.unique(score)) > 20


def test_the_logit_is_the_sum_of_weight_times_woe(trained: tuple[Scorecard, Table]) -> None:
    card, table = trained
    for row in range(0, 200, 7):
        one = table.select(np.array([row]))
        total = card.intercept / 2**20
        for item in card.fields:
            total -= item.weight / 2**20 * item.woe[int(item.codes(one)[0])] / 2**10
        assert float(card.logit(one)[0]) == pytest.approx(total, abs=1e-9)
        assert float(card.pd(one)[0]) == pytest.approx(1.0 / (1.0 + math.exp(-total)), abs=1e-12)


def test_one_row_scores_as_in_a_batch(trained: tuple[Scorecard, Table]) -> None:
    card, table = trained
    alone = np.concatenate([card.logit(table.select(np.array([row]))) for row in range(50)])
    assert np.array_equal(alone, card.logit(table)[:50])


def test_points_follow_the_exact_odds(trained: tuple[Scorecard, Table]) -> None:
    card, table = trained
    exact = 600 + 20 / math.log(2) * (-card.logit(table) - math.log(30))
    assert np.abs(card.score(table) - exact).max() <= 0.5 * (len(card.fields) + 1) + 1e-6


@given(st.integers(1, 60), st.integers(1, 200), st.integers(100, 1000))
def test_scaling(odds: int, pdo: int, points: int) -> None:
    scaling = Scaling(points, odds, pdo)
    assert scaling.offset(round(-math.log(odds) * 2**20)) == points
    assert abs(scaling.offset(round(-math.log(2 * odds) * 2**20)) - points - pdo) <= 1
    assert scaling.bin_points(2**20, round(math.log(2) * 2**10)) in (pdo - 1, pdo, pdo + 1)


def test_documents_come_back(trained: tuple[Scorecard, Table]) -> None:
    card, _ = trained
    assert card_from_document("scorecard/1", card.to_document()) == replace(card, reference=None)


@pytest.mark.parametrize(
    "path_and_value",
    [
        ("extra", 1),
        ("intercept", 1.5),
        ("base_points", "600"),
        ("scaling", {"odds": 30, "pdo": 20}),
        ("scaling", {"odds": 0, "pdo": 20, "points": 600}),
        ("dropped", [["a"]]),
        ("dictionary", 5),
        ("fields", {}),
        ("fields", [{}]),
        ("training", []),
    ],
)
def test_broken_documents_are_refused(trained: tuple[Scorecard, Table], path_and_value: tuple[str, object]) -> None:
    document = {**trained[0].to_document(), path_and_value[0]: path_and_value[1]}
    with pytest.raises(InputError, match="model file"):
        card_from_document("scorecard/1", document)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("woe", [1]),
        ("points", None),
        ("bads", ["a"]),
        ("rows", [-1]),
        ("weight", -1),
        ("weight", True),
        ("dimension", "soft"),
        ("name", "another"),
        ("levels", ["a"]),
        ("iv", "high"),
    ],
)
def test_broken_fields_are_refused(trained: tuple[Scorecard, Table], key: str, value: object) -> None:
    document = trained[0].to_document()
    document["fields"] = [{**document["fields"][0], key: value}]
    with pytest.raises(InputError, match="model file"):
        card_from_document("scorecard/1", document)
