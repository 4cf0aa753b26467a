"""The four-tower network as it scores: arrays, numpy, no torch.

The logit of bad is intercept + slope * (scorecard's logit + towers), one tower a dimension, and the towers' outputs
add: so the four sub-scores add to the score exactly, as the scorecard's do. It trains nothing. Theory: an additive
network confined to groups of inputs (generalised additive model with neural parts; Agarwal 2021) keeps interactions
inside a dimension and the portrait exact; intercept and slope are Platt's calibration (1999) on summed curvature.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from risk.card import Scorecard, card_from_document
from risk.coding import Coding
from risk.dictionary import DIMENSIONS
from risk.elementary import ln, sigmoid
from risk.errors import InputError
from risk.reference import Reference
from risk.table import Table
from risk.tower_inputs import TowerInputs, inputs_from_document
from risk.update import STEP, on_grid, whole_steps

__all__ = ["Line", "TowerModel", "initial_weights", "model_from_document", "tower_outputs", "weight_shapes"]

_LOGIT_STEP = 2.0**-30
_CHUNK = 8192
_MOST_HIDDEN = 1024
_MOST_STEPS = 1 << 40


@dataclass(frozen=True, slots=True)
class Line:
    """Hold the calibration: intercept + slope * raw logit, both on the grid of `risk.update.STEP`."""

    intercept: float = 0.0
    slope: float = 1.0


@dataclass(frozen=True, eq=False, slots=True)
class TowerModel:
    """Score applicants by a scorecard and four towers on top of it.

    recipe: such as `towers/1`. weights: float64 arrays as `weight_shapes` lists them. training: facts of the job in
    integers and strings. base_points: the score of an applicant without evidence. reference: what later rows are held
    against, which stands beside the model in its file.
    """

    recipe: str
    card: Scorecard
    inputs: TowerInputs
    weights: Mapping[str, np.ndarray]
    line: Line
    training: Mapping[str, Any]
    base_points: int = field(init=False)
    reference: Reference | None = None

    def __post_init__(self) -> None:
        scaling = self.card.scaling
        points = round(scaling.points - scaling.factor * (ln(scaling.odds) + self.intercept))
        object.__setattr__(self, "base_points", points)

    @property
    def codings(self) -> tuple[Coding, ...]:
        """Return the bins of every field of the scorecard under the towers."""
        return self.card.codings

    @property
    def dictionary(self) -> str:
        """Return the digest of the dictionary that the model was trained with."""
        return self.card.dictionary

    def logit(self, table: Table) -> np.ndarray:
        """Return the log-odds of bad, (n_rows,) float64: the intercept plus the four dimensions' parts, exactly."""
        return np.asarray(self.intercept + self.dimension_logits(table).sum(axis=1))

    def pd(self, table: Table) -> np.ndarray:
        """Return the probability of bad, (n_rows,) float64."""
        return sigmoid(self.logit(table))

    @property
    def intercept(self) -> float:
        """Return the log-odds of an applicant without evidence, on a grid of 2**-30."""
        start = float(self.card.intercept) / (1 << 20) + float(self.weights["intercept"][0])
        return _rounded(np.array(self.line.intercept + self.line.slope * start)).item()

    def dimension_logits(self, table: Table) -> np.ndarray:
        """Return each dimension's part of the logit, (n_rows, 4) float64, columns in the order of `DIMENSIONS`.

        Parts are rounded to a grid of 2**-30, so that their sum is exact whatever the order.
        """
        parts = tower_outputs(self.inputs, self.weights, self.inputs.codes(table))
        for item in self.card.fields:
            evidence = item.weight * np.array(item.woe, dtype=np.float64)[item.codes(table)]
            parts[:, DIMENSIONS.index(item.dimension)] -= evidence * _LOGIT_STEP
        return _rounded(self.line.slope * parts)

    def subscores(self, table: Table) -> np.ndarray:
        """Return the points of each dimension, (n_rows, 4) int64, columns in the order of `DIMENSIONS`."""
        return np.rint(-self.card.scaling.factor * self.dimension_logits(table)).astype(np.int64)

    def score(self, table: Table) -> np.ndarray:
        """Return the score, (n_rows,) int64: `base_points` plus the four sub-scores."""
        return np.asarray(self.base_points + self.subscores(table).sum(axis=1))

    def to_document(self) -> dict[str, Any]:
        """Return the model as plain JSON values; weights and line in whole steps of 2**-24."""
        weights = {
            name: {"shape": list(array.shape), "steps": whole_steps(array).ravel().tolist()}
            for name, array in self.weights.items()
        }
        line = whole_steps(np.array([self.line.intercept, self.line.slope])).tolist()
        return {
            "card": self.card.to_document(),
            "inputs": self.inputs.to_document(),
            "line": line,
            "training": dict(self.training),
            "weights": weights,
        }


def weight_shapes(widths: Mapping[str, int], hidden: int) -> dict[str, tuple[int, ...]]:
    """Return the arrays of a network: per dimension a direct line, a hidden layer with its shift, and its output."""
    shapes: dict[str, tuple[int, ...]] = {"intercept": (1,)}
    for name, width in widths.items():
        shapes[f"{name}.line"] = (width,)
        shapes[f"{name}.hidden"] = (width, hidden)
        shapes[f"{name}.shift"] = (hidden,)
        shapes[f"{name}.output"] = (hidden,)
    return shapes


def initial_weights(widths: Mapping[str, int], hidden: int, seed: int) -> dict[str, np.ndarray]:
    """Return the first weights, the same on every machine: the network starts as the scorecard.

    Hidden layers are uniform within one over the root of their width (Glorot's and Kaiming's scale); all else is 0.
    """
    generator = np.random.default_rng([seed, hidden])
    weights = {}
    for name, shape in weight_shapes(widths, hidden).items():
        weights[name] = np.zeros(shape)
        if name.endswith(".hidden"):
            weights[name] = on_grid((2.0 * generator.random(shape) - 1.0) / np.sqrt(float(shape[0])))
    return weights


def tower_outputs(inputs: TowerInputs, weights: Mapping[str, np.ndarray], codes: np.ndarray) -> np.ndarray:
    """Return the output of each dimension's tower, (n_rows, 4) float64; 0 where a dimension has no inputs."""
    outputs = np.zeros((len(codes), len(DIMENSIONS)))
    for first in range(0, len(codes), _CHUNK):
        for name, x in inputs.features(codes[first : first + _CHUNK]).items():
            hidden = np.maximum(x @ weights[f"{name}.hidden"] + weights[f"{name}.shift"], 0.0)
            output = x @ weights[f"{name}.line"] + hidden @ weights[f"{name}.output"]
            outputs[first : first + _CHUNK, DIMENSIONS.index(name)] = output
    return outputs


def model_from_document(recipe: str, document: Mapping[str, Any]) -> TowerModel:
    """Return the model of a document that `TowerModel.to_document` made; raise `InputError` for any other."""
    keys = ["card", "inputs", "line", "training", "weights"]
    if sorted(document) != keys or not isinstance(document["training"], dict):
        raise InputError("model-keys", f"model file: a towers model must have exactly the keys {', '.join(keys)}")
    card = card_from_document(recipe, document["card"])
    inputs = inputs_from_document(document["inputs"])
    line = _array_from_steps("line", (2,), document["line"])
    return TowerModel(
        recipe=recipe,
        card=card,
        inputs=inputs,
        weights=_weights_from_document(inputs, document["weights"]),
        line=Line(float(line[0]), float(line[1])),
        training=document["training"],
    )


def _weights_from_document(inputs: TowerInputs, document: Any) -> dict[str, np.ndarray]:
    if not isinstance(document, Mapping) or not all(isinstance(item, Mapping) for item in document.values()):
        raise InputError("model-weights", "model file: 'weights' must be a table of arrays")
    shapes = {name: item.get("shape") for name, item in document.items()}
    hidden = [shape[0] for name, shape in shapes.items() if name.endswith(".shift") and isinstance(shape, list)]
    size = hidden[0] if hidden else 1
    if type(size) is not int or not 1 <= size <= _MOST_HIDDEN:
        raise InputError("model-weights", f"model file: hidden layers must have 1 to {_MOST_HIDDEN} units")
    expected = weight_shapes(inputs.widths, size)
    if shapes != {name: list(shape) for name, shape in expected.items()}:
        raise InputError("model-weights", "model file: 'weights' do not have the arrays that its inputs need")
    return {name: _array_from_steps(name, shape, document[name].get("steps")) for name, shape in expected.items()}


def _array_from_steps(name: str, shape: tuple[int, ...], steps: Any) -> np.ndarray:
    size = int(np.prod(shape))
    if not isinstance(steps, list) or len(steps) != size:
        raise InputError("model-weights", f"model file: '{name}' must have {size} entries")
    if not all(type(step) is int and abs(step) <= _MOST_STEPS for step in steps):
        raise InputError("model-weights", f"model file: '{name}' must hold whole numbers in range")
    return np.array(steps, dtype=np.float64).reshape(shape) * STEP


def _rounded(array: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(array / _LOGIT_STEP) * _LOGIT_STEP)
