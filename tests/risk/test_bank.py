"""What a bank takes home: judged on held-out rows only, chosen without them."""

import json
from dataclasses import replace

import numpy as np

from risk.bank import bank_result, out_of_fold, own_models, partner_models
from risk.card import Scorecard
from risk.catalogue import recipe
from risk.forest import Forest
from risk.job import Book
from risk.newcomer import with_rows
from risk.ranking import auc, ks
from risk.table import Table
from tests.risk.private_rooms import private_books
from tests.risk.rooms import books_of, room_dictionary, room_tables, spec_of, train

DICTIONARY = room_dictionary()
SIZES = (1500, 900, 600, 200)


def test_figures_are_those_of_the_held_out_rows() -> None:
    spec = spec_of(DICTIONARY, 4)
    books = books_of(room_tables(DICTIONARY, SIZES, 3), spec)
    outcome = train(spec, books)
    for book in books:
        result = bank_result(book, outcome)
        held = book.table.select(book.rows("holdout"))
        network, own = outcome.model.logit(held), result.own.logit(held)
        assert result.auc_own == auc(held.target, own) and result.ks_own == ks(held.target, own)
        assert result.auc_network == auc(held.target, network)
        assert result.auc_mixed == auc(held.target, result.head.logit(network, own))
        assert (result.rows_train, result.rows_test) == (len(book.rows("train")), held.rows)
        assert min(result.head.network, result.head.own) >= 0.0
        assert sorted(result.to_report()) == sorted(
            [f"{figure}_{name}" for figure in ("auc", "ks") for name in ("own", "network", "mixed")]
            + ["rows_train", "rows_test", "chosen", "calibration"]
        )
        assert result.partner is result.own
        brier = np.mean((result.head.curves.network.pd(network) - held.target) ** 2)
        shown = result.to_report()["calibration"]["network"]
        assert shown["method"] == "platt" and shown["calibrated"]["brier"] == brier
        json.dumps(result.to_report())


def test_held_out_labels_decide_nothing() -> None:
    spec = spec_of(DICTIONARY, 4)
    tables = room_tables(DICTIONARY, SIZES, 3)
    books = books_of(tables, spec)
    outcome = train(spec, books)
    before = bank_result(books[1], outcome)
    target = tables[1].target.copy()
    flipped = Book(Table(tables[1].member, tables[1].columns, target), spec)
    # The split stays as it was drawn; only labels that no training may read change.
    target[books[1].rows("holdout")] ^= 1
    after = bank_result(flipped, outcome)
    assert (before.own, before.head, before.chosen) == (after.own, after.head, after.chosen)
    assert before.auc_own != after.auc_own


def test_no_row_is_scored_by_a_model_that_saw_it() -> None:
    spec = spec_of(DICTIONARY, 4)
    books = books_of(room_tables(DICTIONARY, SIZES, 3), spec)
    own = own_models(books[2])
    seen = np.concatenate([rows for rows, _ in own.folds])
    assert sorted(seen.tolist()) == books[2].rows("train").tolist()
    for rows, model in own.folds:
        assert isinstance(model, Scorecard)
        assert model.training["rows"] == len(books[2].rows("train")) - len(rows)
    outcome = train(spec, books)
    first, second = out_of_fold(books[2], outcome, own, own)
    for fold, name, model in ((first, "half-a", outcome.half_b), (second, "half-b", outcome.half_a)):
        assert np.array_equal(fold.network, model.logit(books[2].table.select(books[2].rows(name))))
    assert len(first.target) + len(second.target) == len(books[2].rows("train"))
    assert abs(len(first.target) - len(second.target)) <= 2


def test_a_large_book_is_judged_by_its_halves() -> None:
    spec = spec_of(DICTIONARY, 4)
    book = books_of(room_tables(DICTIONARY, (8000,), 3), spec)[0]
    assert own_models(book).folds == ()


def test_mixing_costs_no_bank_its_accuracy() -> None:
    """On banks of one population the mix is at least about as good as the better of the two, on average."""
    losses = []
    for seed in range(2):
        spec = spec_of(DICTIONARY, 4, seed=seed)
        books = books_of(room_tables(DICTIONARY, (1500, 900, 600, 150), 30 + seed), spec)
        outcome = train(spec, books)
        for book in books:
            result = bank_result(book, outcome)
            better = max(result.auc_own or 0.0, result.auc_network or 0.0)
            losses.append(better - (result.auc_mixed or 0.0))
    assert float(np.mean(losses)) < 0.01


def test_a_banks_own_model_promises_no_privacy_that_it_does_not_have() -> None:
    promised: dict[str, str | int] = {"epsilon": "3", "delta": "0.000001"}
    spec = replace(spec_of(DICTIONARY, 4), multiplier=1_000_000, statement=promised)
    books = private_books(room_tables(DICTIONARY, (1500, 300, 300, 300), 4), spec)
    own = own_models(books[0])
    for model in (own.full, own.half_a, own.half_b, *(model for _, model in own.folds)):
        assert isinstance(model, Scorecard) and "privacy" not in model.training


def test_trees_are_mixed_with_the_banks_own_scorecard_on_the_same_rows() -> None:
    parameters = recipe("trees").parse_parameters({"trees": 8, "pdo": 40})
    spec = replace(spec_of(DICTIONARY, 4), recipe="trees", parameters=parameters)
    books = books_of(room_tables(DICTIONARY, SIZES, 3), spec)
    outcome = train(spec, books)
    book = books[2]
    result = bank_result(book, outcome)
    assert isinstance(result.own, Forest) and isinstance(result.partner, Scorecard)
    assert result.partner.scaling.pdo == 40
    assert result.partner.training["rows"] == len(book.rows("train")) and result.partner.training["seed"] == spec.seed
    held = book.table.select(book.rows("holdout"))
    mixed = result.head.logit(outcome.model.logit(held), result.partner.logit(held))
    assert result.auc_mixed == auc(held.target, mixed)
    beside = partner_models(book, own_models(book))
    assert sorted(np.concatenate([rows for rows, _ in beside.folds]).tolist()) == book.rows("train").tolist()


def test_calibration_brings_the_networks_pds_to_a_bank_with_another_bad_rate() -> None:
    """A bank of few defaults joins three with many: the network's PDs are too high for it until it corrects them."""
    spec = spec_of(DICTIONARY, 4)
    tables = room_tables(DICTIONARY, (3000, 1500, 1500, 1500), 11)
    keep = np.ones(tables[0].rows, dtype=bool)
    bads = np.flatnonzero(tables[0].target)
    keep[bads[: int(0.7 * len(bads))]] = False
    books = books_of([tables[0].select(keep), *tables[1:]], spec)
    result = bank_result(books[0], train(spec, books))
    raw, calibrated = (result.calibration["network"][name] for name in ("raw", "calibrated"))
    assert calibrated["ece"] < 0.6 * raw["ece"] and calibrated["brier"] < raw["brier"]


def test_a_halfs_rows_are_scored_by_the_other_halfs_models() -> None:
    parameters = recipe("trees").parse_parameters({"trees": 5})
    spec = replace(spec_of(DICTIONARY, 4), recipe="trees", parameters=parameters)
    books = books_of(room_tables(DICTIONARY, (8000, 900, 600, 600), 3), spec)
    outcome, own = train(spec, books), own_models(books[0])
    partner = partner_models(books[0], own)
    assert own.folds == partner.folds == ()
    folds = out_of_fold(books[0], outcome, own, partner)
    for fold, name, other in zip(folds, ("half-a", "half-b"), ("half_b", "half_a"), strict=True):
        table = books[0].table.select(books[0].rows(name))
        for scores, models in ((fold.network, outcome), (fold.own, own), (fold.partner, partner)):
            assert np.array_equal(scores, getattr(models, other).logit(table))


def test_a_newcomers_partner_sees_the_few_rows_that_it_has() -> None:
    parameters = recipe("trees").parse_parameters({"trees": 5})
    spec = replace(spec_of(DICTIONARY, 4), recipe="trees", parameters=parameters)
    book = with_rows(books_of(room_tables(DICTIONARY, (1500,), 3), spec)[0], 100)
    partner = partner_models(book, own_models(book))
    assert isinstance(partner.full, Scorecard) and partner.full.training["rows"] == 100
