"""The test vector: the same for the same model, another for any change, and batch beside row."""

from dataclasses import replace

from risk.card import Scorecard
from risk.forest import Forest
from risk.row_scorer import row_scorer
from risk.self_test import agrees_with_batch, drawn_rows, score_vector
from tests.risk.scorers import DICTIONARY, HEAD, models

FIELDS = DICTIONARY.model_fields


def test_the_vector_names_a_model() -> None:
    made = {name: score_vector(FIELDS, row_scorer(FIELDS, model)) for name, model in models().items()}
    assert len(set(made.values())) == len(made)
    assert score_vector(FIELDS, row_scorer(FIELDS, models()["trees"])) == made["trees"]


def test_a_small_change_shows() -> None:
    card = models()["scorecard"]
    assert isinstance(card, Scorecard)
    before = score_vector(FIELDS, row_scorer(FIELDS, card))
    assert score_vector(FIELDS, row_scorer(FIELDS, replace(card, intercept=card.intercept + 1))) != before
    mixed = row_scorer(FIELDS, card, (HEAD, models()["own"]))
    moved = row_scorer(FIELDS, card, (replace(HEAD, own=HEAD.own + 1e-9), models()["own"]))
    assert score_vector(FIELDS, mixed) != score_vector(FIELDS, moved)


def test_batch_and_row_are_held_together() -> None:
    for model in models().values():
        assert agrees_with_batch(FIELDS, row_scorer(FIELDS, model), model)
    trees = models()["trees"]
    assert isinstance(trees, Forest)
    other = replace(trees, intercept=trees.intercept + 4)
    assert not agrees_with_batch(FIELDS, row_scorer(FIELDS, trees), other)


def test_the_rows_touch_bounds_specials_and_missing() -> None:
    columns = list(zip(*drawn_rows(FIELDS), strict=True))
    for field, values in zip(FIELDS, columns, strict=True):
        assert None in values
        if field.kind == "number":
            low, high = field.bounds or (0.0, 0.0)
            assert all(value is None or low <= value <= high or value in field.special for value in values)
    assert drawn_rows(FIELDS) == drawn_rows(FIELDS)
