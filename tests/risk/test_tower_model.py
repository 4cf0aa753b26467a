"""The scoring network and its file: every document that is not one is refused with a reason."""

import copy
from typing import Any

import numpy as np
import pytest

from risk.card import Scaling, Scorecard
from risk.coding import unmerged
from risk.dictionary import DIMENSIONS
from risk.errors import InputError
from risk.table import Table
from risk.tower_inputs import tower_inputs
from risk.tower_model import Line, TowerModel, initial_weights, model_from_document, weight_shapes
from tests.risk.towers_room import dictionary, member_tables

CUTS = {"turnover": (-1.0, 0.0, 1.0), "margin": (0.0,), "debt": (-0.5, 0.5), "balance": ()}


def blank_card() -> Scorecard:
    return Scorecard("towers/1", (), (), -(1 << 20), 500, Scaling(), "00" * 32)


def some_model() -> TowerModel:
    room = dictionary()
    inputs = tower_inputs(
        room, [unmerged(field, CUTS.get(field.name, ())) for field in room.model_fields], blank_card()
    )
    weights = initial_weights(inputs.widths, 3, 5)
    rng = np.random.default_rng(1)
    for name in weights:
        weights[name] = weights[name] + rng.integers(-(2**24), 2**24, weights[name].shape) * 2.0**-24
    return TowerModel("towers/1", blank_card(), inputs, weights, Line(0.25, 1.5), {"part": "full"})


def row(**values: float) -> Table:
    columns = {
        name: np.array([values.get(name, np.nan)]) for name in ("turnover", "margin", "debt", "arrears", "balance")
    }
    return Table("one", {**columns, "trade": np.array([-1], dtype=np.int16)}, np.zeros(1, dtype=np.int8))


def test_inputs_are_steps_and_a_field_without_columns_is_left_out() -> None:
    inputs = some_model().inputs
    assert inputs.widths == {"operating": 4, "credit": 3}
    assert [item.coding.name for item in inputs.fields] == ["turnover", "margin", "debt", "arrears"]
    features = inputs.features(inputs.codes(row(turnover=0.0, debt=-99.0, arrears=1.0)))
    assert features["operating"].tolist() == [[0.5, 0.5, -0.5, 0.0]]
    assert features["credit"].tolist() == [[0.0, 0.0, 0.5]]


def test_first_weights_are_the_scorecard_and_the_same_everywhere() -> None:
    widths = {"operating": 4, "credit": 3}
    first, again, other = (initial_weights(widths, 8, seed) for seed in (1, 1, 2))
    assert {name: array.shape for name, array in first.items()} == weight_shapes(widths, 8)
    for name, array in first.items():
        assert array.tobytes() == again[name].tobytes()
        assert bool(array.any()) == name.endswith(".hidden")
    assert first["credit.hidden"].tobytes() != other["credit.hidden"].tobytes()
    assert float(np.abs(first["operating.hidden"]).max()) <= 0.5


def test_logit_is_the_line_over_card_and_towers() -> None:
    model = some_model()
    table = row(turnover=0.3, margin=-1.0, debt=2.0, arrears=0.0)
    x = {name: array[0].astype(float) for name, array in model.inputs.features(model.inputs.codes(table)).items()}
    raw = -1.0 + model.weights["intercept"][0]
    for name, inputs in x.items():
        hidden = np.maximum(inputs @ model.weights[f"{name}.hidden"] + model.weights[f"{name}.shift"], 0.0)
        raw += inputs @ model.weights[f"{name}.line"] + hidden @ model.weights[f"{name}.output"]
    assert model.logit(table)[0] == pytest.approx(0.25 + 1.5 * raw, abs=1e-8)


def test_document_round_trip_keeps_every_bit() -> None:
    model = some_model()
    again = model_from_document("towers/1", model.to_document())
    table = member_tables()[2]
    assert np.array_equal(again.dimension_logits(table), model.dimension_logits(table))
    assert again.base_points == model.base_points
    assert again.to_document() == model.to_document()
    assert model.dimension_logits(table).shape == (table.rows, len(DIMENSIONS))


def changed(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(some_model().to_document())
    *steps, last = path.split("/")
    place: Any = document
    for step in steps:
        place = place[int(step) if isinstance(place, list) else step]
    if value is None:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("weights", None),
        ("more", 1),
        ("training", []),
        ("inputs", {}),
        ("inputs/0/dimension", "weather"),
        ("inputs/0/woe", [0]),
        ("inputs/0/woe/0", 1 << 20),
        ("inputs/0/woe/0", 0.5),
        ("inputs/0/coding/cuts", [1.0, 0.0]),
        ("weights", []),
        ("weights/intercept", None),
        ("weights/intercept/steps", [0, 0]),
        ("weights/intercept/steps", [0.5]),
        ("weights/intercept/steps", [1 << 50]),
        ("weights/operating.hidden/shape", [4, 4]),
        ("weights/operating.shift/shape", [10**9]),
        ("weights/weather.line", {"shape": [1], "steps": [0]}),
        ("line", [0]),
        ("line/1", "1"),
        ("card/intercept", 0.5),
    ],
)
def test_document_that_is_no_model_is_refused(path: str, value: Any) -> None:
    with pytest.raises(InputError, match="model file"):
        model_from_document("towers/1", changed(path, value))
