"""The network's figures from merged histograms, against exact ones on the same rows."""

import numpy as np
import pytest

from risk.book import Book
from risk.catalogue import recipe
from risk.elementary import sigmoid
from risk.errors import InputError
from risk.job import contribute
from risk.metrics import NetworkMetrics, metric_rounds
from risk.model import Model
from risk.modelfile import encode_model
from risk.ranking import auc, ks
from risk.recipe import Ask, run_plain
from risk.table import Table, concatenate
from tests.risk.rooms import books_of, number, room_dictionary, room_tables, spec_of, train
from tests.risk.validation_rooms import dated_dictionary, dated_tables

DICTIONARY = room_dictionary()


def measured(
    tables: list[Table], model: Model | None = None
) -> tuple[NetworkMetrics, np.ndarray, np.ndarray, list[Ask]]:
    """Return the network's figures, and target and logit of all hold-out rows."""
    spec = spec_of(DICTIONARY, len(tables))
    books = books_of(tables, spec)
    chosen = train(spec, books).model if model is None else model
    asks: list[Ask] = []

    def total(ask: Ask) -> np.ndarray:
        asks.append(ask)
        return np.sum([contribute(ask, book) for book in books], axis=0)

    figures, _ = run_plain(metric_rounds(spec, chosen), total)
    rows = concatenate([book.table.select(book.rows("holdout")) for book in books])
    return figures, rows.target, chosen.logit(rows), asks


@pytest.mark.parametrize("rate", [0.02, 0.2, 0.7])
def test_figures_are_close_to_exact_ones(rate: float) -> None:
    figures, target, logit, asks = measured(room_tables(DICTIONARY, (6000, 3000, 2000, 1000), 5, rate))
    pd = sigmoid(logit)
    assert (figures.rows, figures.bads) == (len(target), int(target.sum()))
    assert figures.auc == pytest.approx(auc(target, logit) or 0.0, abs=2e-3)
    assert figures.ks == pytest.approx(ks(target, logit) or 0.0, abs=1e-2)
    assert figures.gini == pytest.approx(2.0 * (figures.auc or 0.0) - 1.0)
    assert figures.brier == pytest.approx(float(np.mean((pd - target) ** 2)), abs=2e-4)
    assert figures.psi is not None and 0.0 <= figures.psi < 0.02
    assert figures.ece is not None and figures.ece < 0.03
    assert sum(group[0] for group in figures.calibration) == figures.rows
    assert sum(group[1] for group in figures.calibration) == figures.bads
    assert figures.roc[0] == (0.0, 0.0) and figures.roc[-1] == (1.0, 1.0)
    lengths = {ask.name: ask.length for ask in asks}
    assert lengths["score-rows"] == lengths["score-rows-train"] == 1000 and lengths["score-bads"] <= len(target) // 50


def test_every_labelled_cell_has_fifty_rows() -> None:
    _, _, _, asks = measured(room_tables(DICTIONARY, (700, 500, 300, 300), 6))
    spec = spec_of(DICTIONARY, 4)
    books = books_of(room_tables(DICTIONARY, (700, 500, 300, 300), 6), spec)
    named = {ask.name: ask for ask in asks}
    for which in ("", "-train"):
        rows = np.sum([contribute(named[f"score-rows{which}"], book) for book in books], axis=0)
        assert np.bincount(named[f"score-bads{which}"].arrays["cells"], weights=rows).min() >= 50


def test_a_hold_out_of_one_class_has_no_figures() -> None:
    tables = room_tables(DICTIONARY, (300, 300, 300, 300), 7)
    good = [Table(table.member, table.columns, np.zeros_like(table.target)) for table in tables]
    figures, _, _, _ = measured(good)
    assert figures.rows == 360 and figures.bads == 0
    assert (figures.auc, figures.ks, figures.brier, figures.ece) == (None, None, None, None)


def test_a_shift_between_training_and_hold_out_shows_in_psi() -> None:
    dictionary = room_dictionary(number("turnover", (0, 1e12), "down"))
    tables = room_tables(dictionary, (3000, 2000, 2000, 1000), 9)
    spec = spec_of(dictionary, 4)
    books = books_of(tables, spec)
    model = train(spec, books).model
    for book in books:
        book.table.columns["turnover"][book.rows("holdout")] *= 1e-3
    # Fresh books: the old ones keep the scores they derived.
    later = books_of([book.table for book in books], spec)
    total, _ = run_plain(metric_rounds(spec, model), lambda ask: np.sum([contribute(ask, b) for b in later], axis=0))
    assert total.psi > 0.25


def test_rows_after_the_last_training_month_are_measured_beside_the_hold_out() -> None:
    dictionary = dated_dictionary()
    tables = dated_tables(dictionary, (3000, 2000, 1000), 6)
    spec = spec_of(dictionary, 3, parameters={"train_until": 200506})
    books = books_of(tables, spec)
    outcome = train(spec, books)
    later = concatenate([table.select(table.month > 12 * 2005 + 5) for table in tables])  # type: ignore[operator,arg-type]
    assert outcome.metrics is not None and outcome.metrics.out_of_time is not None
    figures = outcome.metrics.out_of_time
    assert (figures.rows, figures.bads) == (later.rows, later.bads)
    assert figures.auc == pytest.approx(auc(later.target, outcome.model.logit(later)) or 0.0, abs=2e-3)
    document = outcome.metrics.to_document()
    assert document["out_of_time"]["rows"] == later.rows and "out_of_time" not in document["out_of_time"]
    assert outcome.model.training["parameters"]["train_until"] == 200506
    trained = sum(len(book.rows("train")) for book in books)
    assert outcome.model.training["rows"] == trained < 0.6 * sum(table.rows for table in tables)
    # What no row is trained on decides nothing.
    for table in tables:
        table.target[table.month > 12 * 2005 + 5] ^= 1  # type: ignore[operator]
    again = [Book(table, spec) for table in tables]
    for book, before in zip(again, books, strict=True):
        object.__setattr__(book, "split", before.split)
    assert encode_model(train(spec, again).model) == encode_model(outcome.model)


@pytest.mark.parametrize("value", [200413, 0, "200412", True, 2004])
def test_a_month_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="train_until"):
        spec_of(dated_dictionary(), 3, parameters={"train_until": value})


def test_a_last_training_month_needs_dates_and_no_noise() -> None:
    with pytest.raises(InputError, match=r"no \[time\]"):
        spec_of(DICTIONARY, 3, parameters={"train_until": 200412})
    with pytest.raises(InputError, match="noise"):
        spec_of(dated_dictionary(), 3, parameters={"train_until": 200412}, multiplier=1)
    pytest.importorskip("torch", reason="towers need torch")
    towers = recipe("towers")
    assert towers.parse_parameters({"train_until": 200412})["train_until"] == 200412
