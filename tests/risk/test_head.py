"""The private head: signs, evidence, and a bank with hardly any rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.curve import Curve
from risk.errors import InputError
from risk.head import PRIOR_ROWS, Curves, Head, OutOfFold, choose, fit_head, head_from_document
from risk.ranking import auc, auc_deviation


def fold(rows: int, seed: int, network: float, own: float) -> OutOfFold:
    """Return rows whose logits know the truth to a degree: 0 is noise, 1 is all of it."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0.0, 1.2, rows)
    target = (rng.random(rows) < 1.0 / (1.0 + np.exp(1.0 - truth))).astype(np.int8)
    noise = rng.normal(0.0, 1.2, (2, rows))
    scores = [part * truth + (1.0 - part) * noise[i] - 1.0 for i, part in enumerate((network, own))]
    return OutOfFold(target, scores[0], scores[1], scores[1])


def halved(rows: int, seed: int, network: float, own: float) -> tuple[OutOfFold, OutOfFold]:
    """Return the same rows as two halves."""
    whole = fold(rows, seed, network, own)
    first, second = (
        OutOfFold(*(array[start::2] for array in (whole.target, whole.network, whole.own, whole.partner)))
        for start in (0, 1)
    )
    return first, second


def test_without_evidence_the_network_decides() -> None:
    empty = OutOfFold(np.zeros(0, dtype=np.int8), np.zeros(0), np.zeros(0), np.zeros(0))
    assert fit_head((empty, empty)) == Head(0.0, 1.0, 0.0)


@pytest.mark.parametrize(("network", "own"), [(0.6, 0.7), (0.6, -0.5), (-0.5, 0.6), (-0.5, -0.5)])
def test_weights_meet_the_conditions_of_a_constrained_minimum(network: float, own: float) -> None:
    """Convex: slope zero where a weight is free, slope not downhill where it is held at 0 (Karush, Kuhn, Tucker)."""
    halves = halved(800, 1, network, own)
    rows = OutOfFold(
        *(np.concatenate([getattr(half, name) for half in halves]) for name in ("target", "network", "own", "partner"))
    )
    head = fit_head(halves)
    features = np.stack([np.ones(800), rows.network, rows.partner], axis=1)
    weights = np.array([head.intercept, head.network, head.own])
    chance = 1.0 / (1.0 + np.exp(-features @ weights))
    slope = features.T @ (chance - rows.target) + np.array([1.0, PRIOR_ROWS, PRIOR_ROWS]) * (weights - [0.0, 1.0, 0.0])
    for weight, tilt in zip(weights[1:], slope[1:], strict=True):
        assert abs(tilt) < 1e-5 if weight > 0.0 else tilt > -1e-5
    assert abs(slope[0]) < 1e-5
    assert own < 0.0 or head.own > 0.1
    assert own > 0.0 or head.own == 0.0


@settings(max_examples=40)
@given(st.integers(0, 400), st.integers(0, 1000), st.floats(-1, 1), st.floats(-1, 1))
def test_weights_are_never_negative(rows: int, seed: int, network: float, own: float) -> None:
    head = fit_head(halved(rows, seed, network, own))
    assert min(head.network, head.own) >= 0.0
    assert np.isfinite([head.intercept, head.network, head.own]).all()


@pytest.mark.parametrize("rows", [0, 10, 35, 100, 360])
def test_a_small_bank_with_a_useless_own_model_keeps_the_network(rows: int) -> None:
    judged = fold(4000, 99, 0.6, 0.0)
    network = auc(judged.target, judged.network) or 0.0
    for seed in range(10):
        head = fit_head(halved(rows, seed, 0.6, 0.0))
        assert (auc(judged.target, head.logit(judged.network, judged.own)) or 0.0) > network - 0.05


def test_one_class_and_separable_rows_end() -> None:
    network, own = np.linspace(-1, 1, 50), np.linspace(-2, 2, 50)
    one = OutOfFold(np.ones(50, dtype=np.int8), network, own, own)
    split = OutOfFold((np.arange(50) > 25).astype(np.int8), network, own, own)
    for rows in (one, split):
        head = fit_head((rows, rows))
        assert np.isfinite([head.intercept, head.network, head.own]).all()
    assert choose((one, split)) == "mixed"


def test_the_choice_follows_the_evidence() -> None:
    assert choose((fold(3000, 1, 0.6, 0.6), fold(3000, 2, 0.6, 0.6))) == "mixed"
    close = OutOfFold(*(lambda f: (f.target, f.network, f.network, f.network))(fold(500, 3, 0.5, 0.5)))
    assert choose((close, close)) == "mixed"
    # In one half the own logit misleads, in the other it is right: a head fitted on either fails on the other.
    right, wrong = fold(3000, 4, 0.5, 0.95), fold(3000, 5, 0.5, 0.95)
    misled = OutOfFold(wrong.target, wrong.network, -4.0 * wrong.own, -4.0 * wrong.own)
    assert choose((right, misled)) == "network"


def test_an_own_model_that_is_no_partner_is_chosen_where_it_is_better_by_two_errors() -> None:
    first, second = fold(3000, 6, 0.5, 0.0), fold(3000, 7, 0.5, 0.0)
    truth = [fold(3000, seed, 0.5, 0.9).own for seed in (6, 7)]
    clear = [OutOfFold(f.target, f.network, own, f.partner) for f, own in zip((first, second), truth, strict=True)]
    assert choose((clear[0], clear[1])) == "own"
    # With few rows the same lead is no evidence.
    few = [OutOfFold(*(a[:30] for a in (f.target, f.network, f.own, f.partner))) for f in clear]
    assert choose((few[0], few[1])) == "mixed"


def test_a_lead_of_one_and_a_half_errors_is_no_evidence_and_one_of_three_is() -> None:
    """The same rows, cut where the lead of the own model over the mix is what it is here."""
    chosen = {}
    for rows in range(40, 1500, 20):
        halves = []
        for seed in (6, 7):
            plain, truth = fold(rows, seed, 0.5, 0.0), fold(rows, seed, 0.5, 0.75)
            halves.append(OutOfFold(plain.target, plain.network, truth.own, plain.partner))
        pair = (halves[0], halves[1])
        # Near enough to the mix: the partner is noise, so the mix ranks as the network does.
        gain = np.mean([(auc(h.target, h.own) or 0.0) - (auc(h.target, h.network) or 0.0) for h in pair])
        error = np.sqrt(sum(auc_deviation(h.target, h.own, h.network) ** 2 for h in pair)) / 2
        chosen[rows] = (float(gain / error), choose(pair))
    between = [taken for lead, taken in chosen.values() if 1.2 < lead < 1.7]
    assert between and set(between) == {"mixed"}
    clear = [taken for lead, taken in chosen.values() if lead > 3.0]
    assert clear and set(clear) == {"own"}


def test_each_score_has_its_own_calibration_and_the_mix_needs_none_in_a_small_book() -> None:
    halves = halved(900, 8, 0.6, 0.5)
    curves = fit_head(halves).curves
    assert (curves.network.method, curves.own.method, curves.mixed.method) == ("platt", "platt", "none")
    assert {curve.rows for curve in (curves.network, curves.own, curves.mixed)} == {900}
    assert curves.of("network") is curves.network and curves.of("mixed") is curves.mixed
    large = fit_head(halved(6000, 8, 0.6, 0.5))
    assert {large.curves.of(name).method for name in ("network", "own", "mixed")} == {"isotonic"}
    network = np.linspace(-4, 4, 500)
    order = large.pd(network, network)
    assert (np.diff(order) > 0).all()


def test_documents_come_back_and_broken_ones_do_not() -> None:
    head = Head(0.25, 0.5, 0.125, Curves(own=Curve("platt", 0.5, 1.25, (), 90, 9)))
    assert head_from_document(head.to_document()) == head
    wrong: list[dict[str, object]] = [
        {"own": -0.1},
        {"own": "1"},
        {"own": True},
        {"extra": 1},
        {"intercept": 1e300},
        {"calibration": {}},
    ]
    for change in wrong:
        with pytest.raises(InputError, match="head file"):
            head_from_document({**head.to_document(), **change})
