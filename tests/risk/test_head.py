"""The private head: signs, evidence, and a bank with hardly any rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.errors import InputError
from risk.head import Head, OutOfFold, choose, fit_head, head_from_document
from risk.ranking import auc


def fold(rows: int, seed: int, network: float, own: float) -> OutOfFold:
    """Return rows whose logits know the truth to a degree: 0 is noise, 1 is all of it."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0.0, 1.2, rows)
    target = (rng.random(rows) < 1.0 / (1.0 + np.exp(1.0 - truth))).astype(np.int8)
    noise = rng.normal(0.0, 1.2, (2, rows))
    scores = [part * truth + (1.0 - part) * noise[i] - 1.0 for i, part in enumerate((network, own))]
    return OutOfFold(target, scores[0], scores[1])


def test_without_evidence_the_network_decides() -> None:
    empty = OutOfFold(np.zeros(0, dtype=np.int8), np.zeros(0), np.zeros(0))
    assert fit_head((empty, empty)) == Head(0.0, 1.0, 0.0)


@pytest.mark.parametrize(("network", "own"), [(0.6, 0.7), (0.6, -0.5), (-0.5, 0.6), (-0.5, -0.5)])
def test_weights_meet_the_conditions_of_a_constrained_minimum(network: float, own: float) -> None:
    """Convex: slope zero where a weight is free, slope not downhill where it is held at 0 (Karush, Kuhn, Tucker)."""
    rows = fold(800, 1, network, own)
    head = fit_head((rows,), prior_rows=3.0)
    features = np.stack([np.ones(800), rows.network, rows.own], axis=1)
    weights = np.array([head.intercept, head.network, head.own])
    chance = 1.0 / (1.0 + np.exp(-features @ weights))
    slope = features.T @ (chance - rows.target) + np.array([1.0, 3.0, 3.0]) * (weights - [0.0, 1.0, 0.0])
    for weight, tilt in zip(weights[1:], slope[1:], strict=True):
        assert abs(tilt) < 1e-5 if weight > 0.0 else tilt > -1e-5
    assert abs(slope[0]) < 1e-5
    assert own < 0.0 or head.own > 0.1
    assert own > 0.0 or head.own == 0.0


@settings(max_examples=40)
@given(st.integers(0, 400), st.integers(0, 1000), st.floats(-1, 1), st.floats(-1, 1))
def test_weights_are_never_negative(rows: int, seed: int, network: float, own: float) -> None:
    head = fit_head((fold(rows, seed, network, own),))
    assert min(head.network, head.own) >= 0.0
    assert np.isfinite([head.intercept, head.network, head.own]).all()


@pytest.mark.parametrize("rows", [0, 10, 35, 100, 360])
def test_a_small_bank_with_a_useless_own_model_keeps_the_network(rows: int) -> None:
    judged = fold(4000, 99, 0.6, 0.0)
    network = auc(judged.target, judged.network) or 0.0
    for seed in range(10):
        head = fit_head((fold(rows, seed, 0.6, 0.0),))
        assert (auc(judged.target, head.logit(judged.network, judged.own)) or 0.0) > network - 0.05


def test_one_class_and_separable_rows_end() -> None:
    one = OutOfFold(np.ones(50, dtype=np.int8), np.linspace(-1, 1, 50), np.linspace(-2, 2, 50))
    split = OutOfFold((np.arange(50) > 25).astype(np.int8), np.linspace(-1, 1, 50), np.linspace(-2, 2, 50))
    for rows in (one, split):
        head = fit_head((rows,))
        assert np.isfinite([head.intercept, head.network, head.own]).all()
    assert choose(one, split) == "mixed"


def test_the_choice_follows_the_evidence() -> None:
    assert choose(fold(3000, 1, 0.6, 0.6), fold(3000, 2, 0.6, 0.6)) == "mixed"
    close = OutOfFold(*(lambda f: (f.target, f.network, f.network))(fold(500, 3, 0.5, 0.5)))
    assert choose(close, close) == "mixed"
    # In one half the own logit misleads, in the other it is right: a head fitted on either fails on the other.
    right, wrong = fold(3000, 4, 0.5, 0.95), fold(3000, 5, 0.5, 0.95)
    misled = OutOfFold(wrong.target, wrong.network, -4.0 * wrong.own)
    assert choose(right, misled) == "network"


def test_documents_come_back_and_broken_ones_do_not() -> None:
    head = Head(0.25, 0.5, 0.125)
    assert head_from_document(head.to_document()) == head
    for change in ({"own": -0.1}, {"own": "1"}, {"own": True}, {"extra": 1}):
        with pytest.raises(InputError, match="head file"):
            head_from_document({**head.to_document(), **change})
