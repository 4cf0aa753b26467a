"""Towers with differential privacy: what one row can change, what is announced and asked, and that they learn."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk import private_towers as form
from risk.book import Book
from risk.catalogue import private_recipes, recipe
from risk.errors import InputError, RefusalError
from risk.job import JobOutcome, contribute, releases, rounds
from risk.modelfile import decode_model, encode_model
from risk.ranking import auc
from risk.recipe import Ask, EndedEarly
from risk.sampling import for_upload
from risk.spec import JobSpec
from risk.split import Split
from risk.table import concatenate
from risk.tower_gradients import gradient_sum
from risk.tower_model import TowerModel, tower_outputs
from risk.tower_rows import asked_weights, member_rows
from tests.risk.private_rooms import prf_of, private_books, train_noisy
from tests.risk.towers_room import member_tables, tower_spec

pytest.importorskip("torch", reason="the towers extra (torch) is not installed")
pytest.importorskip("flwr", reason="the towers extra (flwr) is not installed")


STATEMENT: dict[str, str | int] = {"epsilon": "3", "delta": "0.000001", "multiplier": 1_000_000}
CARD = ["bin-counts", "newton-1", "newton-2", "calibrate-1"]


def private_spec(multiplier: int = 1_000_000, **more: Any) -> JobSpec:
    plain = tower_spec()
    return replace(plain, parameters=recipe("towers").parse_parameters({}), multiplier=multiplier, **more)


def trained(spec: JobSpec, seed: int = 3) -> tuple[JobOutcome, list[Ask], list[Book]]:
    asks: list[Ask] = []
    books = private_books(member_tables(), spec)
    return train_noisy(spec, books, seed, asks), asks, books


@pytest.fixture(scope="module")
def done() -> tuple[JobOutcome, list[Ask], list[Book]]:
    return trained(private_spec(statement=STATEMENT))


@pytest.fixture(scope="module")
def step(done: tuple[JobOutcome, list[Ask], list[Book]]) -> tuple[Ask, Book]:
    """The last step's request, when all weights have moved, and a book."""
    return next(ask for ask in done[1] if ask.name == f"step-{form.STEPS}"), done[2][1]


def test_it_is_among_the_recipes_that_have_such_a_form() -> None:
    assert {"scorecard", "towers"} <= set(private_recipes())


def test_every_request_carries_noise_that_was_announced(done: tuple[JobOutcome, list[Ask], list[Book]]) -> None:
    spec, asks = private_spec(), done[1]
    steps = [f"step-{number}" for number in range(1, form.STEPS + 1)]
    assert [ask.name for ask in asks] == [*CARD, *steps, "calibrate-2", "score-counts"]
    announced = {release.name: release for release in releases(spec)}
    assert announced["step-"].count == form.STEPS
    for ask in asks:
        release = announced["step-" if ask.name in steps else ask.name]
        assert ask.noise >= release.variance(spec.multiplier) > 0.999 * ask.noise
        assert (ask.row_l2_squared, ask.rows) == (release.row_l2_squared, release.rows)
        assert ask.sampling_ppm == release.sampling_ppm == (form.SAMPLING_PPM if ask.name in steps else 1_000_000)
        assert 0 < ask.row_l1 <= release.row_l1
        assert spec.members * (ask.bound + 14 * (int(ask.noise**0.5) + 1) + 64) < 2 ** (ask.word_bits - 1)


def test_the_training_releases_share_one_budget() -> None:
    """In the limit of much noise a sampled sum costs the square of its rate."""
    spent = 0.0
    for release in releases(private_spec()):
        if release.rows == "train":
            spent += release.count * (release.sampling_ppm / 1e6 * 1000 / release.weight) ** 2
    assert 0.99 < spent <= 1.002


def test_what_is_announced_does_not_hang_on_the_multiplier() -> None:
    assert releases(private_spec(1)) == releases(private_spec(9_000_000))


def test_the_announced_l1_covers_the_widest_network(done: tuple[JobOutcome, list[Ask], list[Book]]) -> None:
    step = next(ask for ask in done[1] if ask.name == "step-1")
    assert step.row_l1**2 >= step.length * form.LENGTH**2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 400), st.floats(-6, 6))
def test_no_gradient_is_longer_than_declared_after_rounding(seed: int, width: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    gradients = rng.standard_cauchy((20, width)) * 10.0**size
    gradients[0] = form.CLIP / np.sqrt(width)
    whole = form.whole_rows(gradients)
    assert whole.dtype == np.int64 and int((whole * whole).sum(axis=1).max()) <= form.LENGTH**2
    short = np.sqrt((gradients**2).sum(axis=1)) < form.CLIP * 0.99
    scaled = gradients[short] * (form.LENGTH / form.CLIP)
    assert float(np.abs(whole[short] - scaled).max(initial=0.0)) <= 0.5


def test_a_row_that_rounding_lengthens_is_cut_towards_zero() -> None:
    """Entries of 0.6 units: each rounds up, so the row would be 1.7 times as long."""
    width = int((form.LENGTH / 0.6) ** 2)
    whole = form.whole_rows(np.full((1, width), 0.6 * form.CLIP / form.LENGTH))
    assert int((whole * whole).sum()) <= form.LENGTH**2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(RefusalError, match="not a finite number"):
        form.whole_rows(np.array([[0.0, 1.0], [bad, 0.0]]))


def test_no_row_changes_a_sum_by_more_than_declared(done: tuple[JobOutcome, list[Ask], list[Book]]) -> None:
    """Each row alone, drawn for certain: a part without rows is zero, so that part is what the row adds."""
    spec = private_spec()
    table = done[2][2].table.select(np.arange(30))
    longest = 0
    for ask in (done[1][4], done[1][20], *done[1][-4:]):
        book = Book(table, spec, prf_of("b"))
        for row in range(table.rows):
            one = np.array([row])
            object.__setattr__(book, "split", Split(one, one, one, one))
            object.__setattr__(book, "_kept", {})
            change = contribute(replace(ask, sampling_ppm=1_000_000), book)
            assert int(np.sum(change**2)) <= ask.row_l2_squared, ask.name
            assert int(np.sum(np.abs(change))) <= ask.row_l1
            assert int(np.max(np.abs(change))) <= ask.row_linf
            longest = max(longest, int(np.sum(change**2)) if ask.name.startswith("step-") else 0)
    assert longest > 0.9 * form.LENGTH**2  # some row is clipped, so the bound was put to the test


def test_a_part_is_the_sum_of_the_rows_that_were_drawn(step: tuple[Ask, Book]) -> None:
    ask, book = step
    part = contribute(ask, for_upload(book, bytes(32)))
    again = contribute(ask, for_upload(book, bytes(32)))
    other = contribute(ask, for_upload(book, bytes(31) + b"\1"))
    whole = contribute(replace(ask, sampling_ppm=1_000_000), book)
    assert np.array_equal(part, again)
    assert not np.array_equal(part, other) and not np.array_equal(part, whole)


def test_gradients_are_those_of_the_log_loss(step: tuple[Ask, Book]) -> None:
    """Against differences of the loss itself, in float64 and without torch."""
    ask, book = step
    rows, weights = member_rows(ask, book), asked_weights(ask)
    found = gradient_sum(rows, weights, lambda gradients: np.rint(gradients * 2.0**24).astype(np.int64)) / 2.0**24

    def loss(moved: dict[str, np.ndarray]) -> float:
        logit = rows.start + tower_outputs(rows.inputs, moved, rows.codes).sum(axis=1) + moved["intercept"][0]
        return float(np.sum(np.logaddexp(0.0, logit) - rows.target * logit))

    place, rng = 0, np.random.default_rng(0)
    for name in sorted(weights):
        at = int(rng.integers(weights[name].size))
        moves = []
        for shift in (1e-5, -1e-5):
            moved = {other: array.copy() for other, array in weights.items()}
            moved[name].reshape(-1)[at] += shift
            moves.append(loss(moved))
        assert found[place + at] == pytest.approx((moves[0] - moves[1]) / 2e-5, abs=0.02, rel=0.02), name
        place += weights[name].size
    assert place == len(found) == ask.length


def test_a_member_without_training_rows_adds_nothing(step: tuple[Ask, Book]) -> None:
    ask, book = step
    empty = Book(book.table.select(np.arange(0)), book.spec, book.prf)
    assert not contribute(ask, for_upload(empty, bytes(32))).any()


def test_requests_follow_from_the_sums_byte_for_byte() -> None:
    found: list[list[bytes]] = []
    for _ in range(2):
        generator, sums = rounds(private_spec()), np.random.default_rng(5)
        asks = [next(generator)]
        while asks[-1].name != "score-counts":
            asks.append(generator.send(sums.integers(-5, 40_000, asks[-1].length)))
        found.append([ask.encode() for ask in asks])
    assert found[0] == found[1]


@pytest.mark.parametrize("sign", [-1, 1])
def test_sums_of_pure_noise_end_with_a_model(sign: int) -> None:
    rng, generator = np.random.default_rng(7), rounds(private_spec(50_000_000))
    ask = next(generator)
    try:
        while True:
            ask = generator.send(np.rint(rng.normal(sign, ask.noise**0.5, ask.length)).astype(np.int64))
    except StopIteration as stop:
        outcome = stop.value
    assert np.isfinite(outcome.model.pd(member_tables()[0])).all()
    assert encode_model(decode_model(encode_model(outcome.model))) == encode_model(outcome.model)


def test_with_little_noise_it_ranks_better_than_its_scorecard_and_means_what_it_says() -> None:
    """The room holds an interaction that no scorecard sees."""
    outcome, _, books = trained(private_spec(50_000))
    whole = concatenate([book.table.select(book.rows("holdout")) for book in books])
    model = outcome.model
    assert isinstance(model, TowerModel) and outcome.half_a is model is outcome.half_b
    ours, cards = (auc(whole.target, scored.logit(whole)) for scored in (model, model.card))
    assert ours is not None and cards is not None and ours > cards + 0.01 > 0.6
    assert abs(float(np.mean(model.pd(whole))) - float(np.mean(whole.target))) < 0.05
    assert outcome.metrics is not None and outcome.metrics.auc == pytest.approx(ours, abs=0.05)


@pytest.mark.slow
def test_loud_noise_leaves_the_network_near_its_scorecard() -> None:
    loud, quiet = (trained(private_spec(multiplier))[0].model for multiplier in (8_000_000, 100_000))
    assert isinstance(loud, TowerModel) and isinstance(quiet, TowerModel)
    moved = [float(np.abs(model.weights["credit.line"]).max()) for model in (loud, quiet)]
    assert 0.0 < moved[0] < 1.0 < 10 * moved[1]


@pytest.mark.parametrize("sums", [0, 2, 4, 5, 10, 4 + form.STEPS, 5 + form.STEPS])
@pytest.mark.slow
def test_a_spent_budget_keeps_what_was_learned(sums: int) -> None:
    spec = private_spec()
    books = private_books(member_tables(), spec)
    generator = rounds(spec)
    ask = next(generator)
    for _ in range(sums):
        parts = [contribute(ask, for_upload(book, bytes(32))) for book in books]
        ask = generator.send(np.sum(parts, axis=0))
    if sums == 0:
        with pytest.raises(EndedEarly):
            generator.throw(EndedEarly())
        return
    with pytest.raises(StopIteration) as ended:
        generator.throw(EndedEarly())
    outcome = ended.value.value
    assert isinstance(outcome.model, TowerModel) and outcome.metrics is None
    moved = any(array.any() for name, array in outcome.model.weights.items() if not name.endswith(".hidden"))
    assert moved == (sums > 4) and outcome.model.card.fields
    assert encode_model(decode_model(encode_model(outcome.model))) == encode_model(outcome.model)


def test_the_statement_stands_in_the_model_file(done: tuple[JobOutcome, list[Ask], list[Book]]) -> None:
    document = json.loads(encode_model(done[0].model))["model"]
    assert document["training"]["privacy"] == {**STATEMENT, "unit": "one record at one bank"}
    assert document["training"]["privacy"] == document["card"]["training"]["privacy"]


@pytest.mark.parametrize("changed", [{"rounds": 3}, {"hidden": 4}, {"strategy": "FedProx"}, {"decay_ppm": 0}])
def test_a_setting_of_exact_towers_is_refused(changed: dict[str, Any]) -> None:
    spec = replace(private_spec(), parameters=recipe("towers").parse_parameters(changed))
    with pytest.raises(InputError, match=next(iter(changed))):
        releases(spec)
    with pytest.raises(InputError, match="exact towers"):
        next(rounds(spec))


@pytest.mark.slow
def test_a_bank_trains_its_own_networks_without_noise(done: tuple[JobOutcome, list[Ask], list[Book]]) -> None:
    few = replace(private_spec(), parameters=recipe("towers").parse_parameters({"rounds": 1, "hidden": 4}))
    book = Book(member_tables(120)[0], few, prf_of("amber"))
    own = recipe("towers").own(book)
    assert isinstance(own.full, TowerModel) and "privacy" not in own.full.training
    assert own.folds or own.half_a is not None
