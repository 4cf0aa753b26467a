"""Models as ONNX: a scorecard, a forest, or a bank's head over both of its models.

It runs no ONNX. Theory: the graph does what `risk.coding` does (count the cuts at or below a value, bounds, specials)
and then adds whole numbers of steps: the scorecard's in int64, the trees' leaves as float64, which holds them exactly.
So the logit is the same to the last bit; the PD differs by the runtime's own sigmoid. Inputs are float64 for numbers
and flags, NaN for missing, and text for categories, where an empty or unknown text is missing. Needs the package onnx.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from risk.card import Scorecard
from risk.coding import Coding
from risk.curve import Curve
from risk.dictionary import DIMENSIONS
from risk.errors import InputError
from risk.forest import Forest
from risk.head import Head
from risk.model import Model

__all__ = ["onnx_head", "onnx_model"]

_OPSETS = (("", 18), ("ai.onnx.ml", 5))
_IR_VERSION = 9
_SUM = 1
_STEPS = float(1 << 30)


def onnx_model(model: Model) -> bytes:
    """Return the ONNX file of a scorecard or a forest, with outputs `logit`, `pd` (n, 1) float64, `score` int64."""
    graph = _Graph()
    logit, score = graph.add(model, "")
    graph.finish(logit, score)
    return graph.encode(model.recipe)


def onnx_head(head: Head, network: Model, own: Model) -> bytes:
    """Return the ONNX file of a bank's head over the two models it mixes, with outputs `logit` and calibrated `pd`."""
    graph = _Graph()
    terms = [
        graph.node("Mul", [graph.add(model, prefix)[0], graph.constant(np.array(weight))])
        for model, prefix, weight in ((network, "network_", head.network), (own, "own_", head.own))
    ]
    mixed = graph.node("Add", [graph.constant(np.array(head.intercept)), terms[0]])
    logit = graph.node("Add", [mixed, terms[1]])
    graph.finish(logit, None, graph.curve(logit, head.curves.mixed))
    return graph.encode("head")


@dataclass(slots=True)
class _Graph:
    """Nodes in the making; every input is declared once, also where two models use the field."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: list[Any] = field(default_factory=list)

    def constant(self, values: np.ndarray) -> str:
        """Add a constant and return its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node of one output and return the output's name."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def add(self, model: Model, prefix: str) -> tuple[str, str]:
        """Add a model; return the names of its logit and its score."""
        if isinstance(model, Scorecard):
            return self._card(model)
        if isinstance(model, Forest):
            return self._forest(model, prefix)
        raise InputError("export-onnx", f"a model of recipe {model.recipe} cannot be written as ONNX")

    def curve(self, logit: str, curve: Curve) -> str:
        """Add a bank's calibration and return the name of the calibrated logit."""
        found = self.node("Mul", [logit, self.constant(np.array(curve.slope))])
        found = self.node("Add", [found, self.constant(np.array(curve.intercept))])
        for knot, change in curve.bends:
            above = self.node("Relu", [self.node("Sub", [logit, self.constant(np.array(knot))])])
            found = self.node("Add", [found, self.node("Mul", [above, self.constant(np.array(change))])])
        return found

    def finish(self, logit: str, score: str | None, calibrated: str | None = None) -> None:
        """Declare the outputs; the PD is that of the calibrated logit where there is one."""
        self.nodes.append(helper.make_node("Identity", [logit], ["logit"]))
        self.nodes.append(helper.make_node("Sigmoid", [calibrated or logit], ["pd"]))
        self.outputs = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 1]) for name in ("logit", "pd")]
        if score is not None:
            self.nodes.append(helper.make_node("Identity", [score], ["score"]))
            self.outputs.append(helper.make_tensor_value_info("score", TensorProto.INT64, [None, 1]))

    def encode(self, recipe: str) -> bytes:
        """Return the checked file."""
        graph = helper.make_graph(self.nodes, "creditmesh", list(self.inputs.values()), self.outputs, self.constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS]
        made: ModelProto = helper.make_model(graph, opset_imports=opsets, producer_name="creditmesh")
        made.ir_version = _IR_VERSION
        made.doc_string = recipe
        checker.check_model(made)
        return bytes(made.SerializeToString())

    def _bins(self, coding: Coding, levels: Sequence[str]) -> str:
        """Add what finds the bin of a field, (n, 1) int64."""
        category = coding.kind == "category"
        kind = TensorProto.STRING if category else TensorProto.DOUBLE
        self.inputs.setdefault(coding.name, helper.make_tensor_value_info(coding.name, kind, [None, 1]))
        if category:
            places = {level: place for place, group in enumerate(coding.groups) for level in group}
            return self.node(
                "LabelEncoder",
                [coding.name],
                domain="ai.onnx.ml",
                keys_strings=list(levels),
                values_int64s=[places[level] for level in range(len(levels))],
                default_int64=coding.bins - 1,
            )
        return self._number_bins(coding)

    def _number_bins(self, coding: Coding) -> str:
        bins = self.node("Sub", [self.constant(np.zeros((1, 1), dtype=np.int64))] * 2)
        if coding.cuts:
            above = self.node("GreaterOrEqual", [coding.name, self.constant(np.array([coding.cuts]))])
            counted = self.node("Cast", [above], to=TensorProto.INT64)
            bins = self.node("ReduceSum", [counted, self.constant(np.array([1]))], keepdims=1)
        bins = self.node("Where", [self._allowed(coding), bins, self.constant(np.array([[coding.bins - 1]]))])
        for place, special in enumerate(coding.special):
            hit = self.node("Equal", [coding.name, self.constant(np.array([[special]]))])
            bins = self.node("Where", [hit, self.constant(np.array([[coding.ordinary + place]])), bins])
        return bins

    def _allowed(self, coding: Coding) -> str:
        """Add what tells an ordinary value from one that says nothing, (n, 1) bool; NaN is in no order."""
        if coding.kind == "flag":
            pair = [self.node("Equal", [coding.name, self.constant(np.array([[each]]))]) for each in (0.0, 1.0)]
            return self.node("Or", pair)
        if coding.bounds is None:
            return self.node("Not", [self.node("IsNaN", [coding.name])])
        low, high = (self.constant(np.array([[each]])) for each in coding.bounds)
        above = self.node("GreaterOrEqual", [coding.name, low])
        return self.node("And", [above, self.node("LessOrEqual", [coding.name, high])])

    def _card(self, card: Scorecard) -> tuple[str, str]:
        steps = self.constant(np.array([[card.intercept << 10]], dtype=np.int64))
        points = self.constant(np.array([[card.base_points]], dtype=np.int64))
        for item in card.fields:
            bins = self._bins(item.coding, item.levels)
            taken = np.array([-item.weight * woe for woe in item.woe], dtype=np.int64)
            steps = self.node("Add", [steps, self.node("Gather", [self.constant(taken), bins])])
            worth = self.constant(np.array(item.points, dtype=np.int64))
            points = self.node("Add", [points, self.node("Gather", [worth, bins])])
        return self._logit(self.node("Cast", [steps], to=TensorProto.DOUBLE)), points

    def _logit(self, steps: str) -> str:
        return self.node("Mul", [steps, self.constant(np.array(1.0 / _STEPS))])

    def _forest(self, forest: Forest, prefix: str) -> tuple[str, str]:
        intercept = self.constant(np.array([[float(forest.intercept)]]))
        base = self.constant(np.array([[forest.offset_points]], dtype=np.int64))
        if not forest.trees:
            # The graph still needs the number of rows from an input.
            column = forest.columns[0]
            zero = self.node("Mul", [self._bins(column.coding, column.levels), self.constant(np.array([[0]]))])
            steps = self.node("Add", [self.node("Cast", [zero], to=TensorProto.DOUBLE), intercept])
            return self._logit(steps), self.node("Add", [zero, base])
        places = []
        for column in forest.columns:
            lookup = np.full(column.coding.bins, np.nan)
            for place, members in enumerate(column.order):
                lookup[list(members)] = place
            places.append(self.node("Gather", [self.constant(lookup), self._bins(column.coding, column.levels)]))
        whole = self.node("Concat", places, axis=1)
        shares = self.node(
            "TreeEnsemble", [whole], domain="ai.onnx.ml", name=f"{prefix}trees", **_tree_attributes(forest)
        )
        total = self.node("ReduceSum", [shares, self.constant(np.array([1]))], keepdims=1)
        scaled = self.node("Mul", [shares, self.constant(np.array(-forest.scaling.factor / _STEPS))])
        rounded = self.node("Cast", [self.node("Round", [scaled])], to=TensorProto.INT64)
        points = self.node("ReduceSum", [rounded, self.constant(np.array([1]))], keepdims=1)
        return self._logit(self.node("Add", [total, intercept])), self.node("Add", [points, base])


def _tree_attributes(forest: Forest) -> dict[str, Any]:
    """Return the attributes of ai.onnx.ml's TreeEnsemble, version 5: inner nodes and leaves are numbered apart."""
    nodes: list[tuple[int, ...]] = []
    leaves: list[tuple[int, int]] = []
    roots = []
    for tree in forest.trees:
        dimension = DIMENSIONS.index(forest.columns[int(tree[0, 0])].dimension)
        roots.append(len(nodes))
        is_leaf = tree[:, 3] == 0
        number = np.where(is_leaf, len(leaves) + np.cumsum(is_leaf) - 1, len(nodes) + np.cumsum(~is_leaf) - 1)
        leaves += [(dimension, int(leaf)) for leaf in tree[is_leaf, 5]]
        for column, cut, missing_left, left, right, _ in tree[~is_leaf].tolist():
            ends = (int(is_leaf[left]), int(is_leaf[right]))
            nodes.append((column, cut, missing_left, int(number[left]), int(number[right]), *ends))
    column, cut, missing_left, left, right, left_leaf, right_leaf = (list(each) for each in zip(*nodes, strict=True))
    return {
        "n_targets": len(DIMENSIONS),
        "aggregate_function": _SUM,
        "post_transform": 0,
        "tree_roots": roots,
        "nodes_featureids": column,
        "nodes_splits": numpy_helper.from_array(np.array(cut, dtype=np.float64), "splits"),
        "nodes_modes": numpy_helper.from_array(np.zeros(len(cut), dtype=np.uint8), "modes"),
        "nodes_missing_value_tracks_true": missing_left,
        "nodes_truenodeids": left,
        "nodes_falsenodeids": right,
        "nodes_trueleafs": left_leaf,
        "nodes_falseleafs": right_leaf,
        "leaf_targetids": [target for target, _ in leaves],
        "leaf_weights": numpy_helper.from_array(np.array([float(leaf) for _, leaf in leaves]), "leaves"),
    }
