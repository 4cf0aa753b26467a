"""What only a demo can compute: market figures, intervals, pooled training, coefficient differences."""

import dataclasses

import numpy as np
import pytest
from creditmesh_demo.evaluation import judge, model_difference, pooled_book, train_pooled

from risk.card import Scorecard
from risk.job import Book
from risk.modelfile import encode_model
from risk.ranking import auc
from tests.deploy.plain import PlainRun


def books_of(run: PlainRun) -> dict[str, Book]:
    job = run.record.jobs[0]
    return {member: Book(run.tables[member], job.spec) for member in job.members}


def test_market_figures_are_those_of_all_holdout_rows(plain_run: PlainRun) -> None:
    job, books = plain_run.record.jobs[0], books_of(plain_run)
    assert job.network is not None
    market = judge(books, job.network, job.models, job.reported)
    targets, network, own = [], [], []
    for book in books.values():
        rows = book.table.select(book.rows("holdout"))
        targets.append(rows.target)
        network.append(job.network.logit(rows))
        own.append(job.models["city_bank"].own.logit(rows))
    target = np.concatenate(targets)

    assert market.auc_exact == pytest.approx(auc(target, np.concatenate(network)))
    city = next(bank for bank in market.banks if bank.bank == "city_bank")
    assert city.figures["auc_own_market"] == pytest.approx(auc(target, np.concatenate(own)))
    assert city.market is not None
    assert city.market.difference == pytest.approx(market.auc_exact - city.figures["auc_own_market"])
    assert city.market.low < city.market.difference < city.market.high


def test_a_bank_without_models_has_rows_and_no_figure(plain_run: PlainRun) -> None:
    job, books = plain_run.record.jobs[0], books_of(plain_run)
    assert job.network is not None
    models = {member: found for member, found in job.models.items() if member != "rural_bank"}
    lost = judge(books, job.network, models, job.reported).banks[-1]

    assert lost.bank == "rural_bank" and lost.market is None
    assert lost.figures["rows_train"] > 0 and lost.figures["rows_test"] > 0
    assert {lost.figures[name] for name in ("auc_own", "auc_network", "ks_mixed", "auc_own_market", "chosen")} == {None}


def test_pooled_training_holds_out_the_same_rows_and_gives_the_same_model(plain_run: PlainRun) -> None:
    job, books = plain_run.record.jobs[0], books_of(plain_run)
    assert job.network is not None
    pooled = pooled_book(list(books.values()), job.spec)
    for name in ("train", "holdout", "half-a", "half-b"):
        expected = np.concatenate([book.table.target[book.rows(name)] for book in books.values()])
        assert np.array_equal(pooled.table.target[pooled.rows(name)], expected)

    outcome = train_pooled(list(books.values()), job.spec)

    assert encode_model(outcome.model) == encode_model(job.network)
    assert model_difference(outcome.model, job.network, list(books.values())) == 0.0


def test_the_difference_of_two_cards_sees_weights_woe_and_bins(plain_run: PlainRun) -> None:
    card = plain_run.record.jobs[0].network
    assert isinstance(card, Scorecard)
    first = card.fields[0]
    heavier = dataclasses.replace(first, weight=first.weight + 3)
    other_woe = dataclasses.replace(first, woe=(first.woe[0] + 2, *first.woe[1:]))

    def changed(item: object) -> Scorecard:
        return dataclasses.replace(card, fields=(item, *card.fields[1:]))  # type: ignore[arg-type]

    assert model_difference(card, changed(heavier), []) == 3 / 2**20
    assert model_difference(card, changed(other_woe), []) == 2 / 2**10
    assert model_difference(card, dataclasses.replace(card, intercept=card.intercept - 5), []) == 5 / 2**20
    fewer = model_difference(card, dataclasses.replace(card, fields=card.fields[1:]), [])
    assert fewer is not None and fewer >= 1.0


def test_more_rows_than_one_book_may_hold_are_added_up(plain_run: PlainRun) -> None:
    job = plain_run.record.jobs[0]
    spec = dataclasses.replace(job.spec, max_rows=1000)
    books = [Book(plain_run.tables[member], spec) for member in job.members]
    assert sum(book.table.rows for book in books) > spec.max_rows

    outcome = train_pooled(books, spec)

    assert outcome.metrics is not None
    assert outcome.metrics.rows == sum(len(book.rows("holdout")) for book in books)
    assert model_difference(outcome.model, job.network or outcome.model, books) is not None
