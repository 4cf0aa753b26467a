"""Reject inference: labels that follow from the row, a second card beside the first, the same over all rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from risk.book import Book
from risk.catalogue import recipe
from risk.dictionary import Dictionary
from risk.errors import InputError, RefusalError
from risk.job import JobOutcome, contribute, rounds
from risk.modelfile import encode_model
from risk.recipe import Ask, run_plain
from risk.rejects import parcelled
from risk.spec import JobSpec
from risk.table import Table, concatenate
from tests.risk.validation_rooms import (
    dated_dictionary,
    dated_tables,
    selected_table,
    sum_of,
    validate,
    validation_spec,
)

DICTIONARY = replace(dated_dictionary(), accepted="accepted")
PARCELLING = {"reject_inference": "parcelling", "reject_factor_pct": 200}


def rooms(seed: int) -> list[Table]:
    """Return members whose riskier applicants were turned away, with what would have become of them hidden."""
    tables = []
    for table in dated_tables(DICTIONARY, (2400, 1500, 1200, 900), seed):
        away = np.nan_to_num(table.columns["turnover"], nan=1e5) < 3e4
        hidden = replace(table.select(away), target=np.zeros(int(away.sum()), dtype=np.int8))
        tables.append(replace(table.select(~away), rejects=hidden))
    return tables


def spec_with(dictionary: Dictionary, **parameters: Any) -> JobSpec:
    parsed = recipe("scorecard").parse_parameters(parameters)
    return JobSpec("scorecard", 1, parsed, dictionary, 4, 1 << 16, 0, 300_000)


def run(spec: JobSpec, tables: list[Table], asks: list[Ask] | None = None) -> JobOutcome:
    books = [Book(table, spec) for table in tables]

    def total(ask: Ask) -> np.ndarray:
        if asks is not None:
            asks.append(ask)
        return sum_of(ask, books)

    outcome: JobOutcome = run_plain(rounds(spec), total)
    return outcome


def test_the_second_model_stands_beside_an_unchanged_first() -> None:
    tables, asks = rooms(2), list[Ask]()
    plain = run(spec_with(DICTIONARY), tables)
    both = run(spec_with(DICTIONARY, **PARCELLING), tables, asks)
    assert both.inferred is not None and plain.inferred is None
    accepts: Any = both.model
    assert [item.to_document() for item in accepts.fields] == [item.to_document() for item in plain.model.fields]  # type: ignore[attr-defined]
    assert both.metrics == plain.metrics
    second, metrics = both.inferred
    away = [table.rejects.rows for table in tables if table.rejects is not None]
    assert second.training["rejects"] == sum(away) > 500 and second.training["part"] == "inferred"
    assert second.training["rows"] == accepts.training["rows"] + sum(away)
    assert metrics.rows == both.metrics.rows and metrics.bads == both.metrics.bads  # type: ignore[union-attr]
    # Rejects were the riskier ones, and count as twice as risky as accepted rows of their grade.
    rate, before = (model.training["bads"] / model.training["rows"] for model in (second, accepts))
    assert rate > before + 0.03
    assert len({(ask.part, ask.name) for ask in asks}) == len(asks)


def test_labels_follow_from_the_row_alone() -> None:
    tables, asks = rooms(3), list[Ask]()
    spec = spec_with(DICTIONARY, **PARCELLING)
    run(spec, tables, asks)
    ask = next(each for each in asks if each.part == "inferred" and each.name.startswith("sketch"))
    table = tables[0]
    assert table.rejects is not None
    order = np.random.default_rng(1).permutation(table.rejects.rows)
    shuffled = replace(table, rejects=table.rejects.select(order))
    one, two = parcelled(ask, Book(table, spec)), parcelled(ask, Book(shuffled, spec))
    rejects = table.rejects.rows
    assert one.table.target[-rejects:][order].tolist() == two.table.target[-rejects:].tolist()
    other = parcelled(ask, Book(table, replace(spec, seed=1)))
    assert one.table.target[-rejects:].tolist() != other.table.target[-rejects:].tolist()
    # Within a grade the share of bads is twice the accepted rows', by chance alone off.
    model = run(spec, tables).model
    scale = model.reference.scale  # type: ignore[union-attr]
    everybody = concatenate([parcelled(ask, Book(t, spec)).table.select(slice_of(t)) for t in tables])
    grade = scale.grade(model.logit(everybody))
    for number, (row, bad) in enumerate(zip(scale.rows, scale.bads, strict=True), start=1):
        own = everybody.target[grade == number]
        if len(own) > 50:
            expected = min(1.0, 2.0 * bad / row)
            assert own.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / len(own)) + 1e-9)


def slice_of(table: Table) -> np.ndarray:
    """Return where the rejects stand in the rows of the second model."""
    assert table.rejects is not None
    train = len(Book(replace(table, rejects=None), spec_with(DICTIONARY)).rows("train"))
    return np.arange(train, train + table.rejects.rows)


def test_it_is_the_same_over_all_rows_in_one_place() -> None:
    tables = rooms(5)
    spec = spec_with(DICTIONARY, **PARCELLING)
    books = [Book(table, spec) for table in tables]
    whole = Book(concatenate(tables), replace(spec, members=1))
    from tests.risk.rooms import pooled

    object.__setattr__(whole, "split", pooled(books).split)
    apart = run(spec, tables)
    together = run_plain(rounds(spec), lambda ask: contribute(ask, whole))
    assert apart.inferred is not None
    assert encode_model(apart.inferred[0]) == encode_model(together.inferred[0])


def test_a_validation_holds_the_two_beside_each_other() -> None:
    tables = rooms(2)
    both = run(spec_with(DICTIONARY, **PARCELLING), tables)
    assert both.inferred is not None
    models = [both.model, both.inferred[0]]
    spec = validation_spec(models, tables, DICTIONARY, {})
    report = validate(spec, tables)
    assert report["rows"]["selected"] == selected_table(spec, tables).rows
    assert [report["models"][role]["same_rows"] for role in ("champion", "challenger")] == [True, True]


def test_rejects_after_the_last_training_month_do_not_train() -> None:
    tables = rooms(2)
    both = run(spec_with(DICTIONARY, train_until=200412, **PARCELLING), tables)
    months = np.concatenate([t.rejects.month for t in tables if t.rejects is not None and t.rejects.month is not None])
    away = int(np.sum((months >= 0) & (months <= 12 * 2004 + 11)))
    assert both.inferred is not None and both.inferred[0].training["rejects"] == away


def test_without_rejects_the_second_model_is_the_first_again() -> None:
    tables = [replace(table, rejects=None) for table in rooms(2)]
    both = run(spec_with(DICTIONARY, **PARCELLING), tables)
    assert both.inferred is not None and both.inferred[0].training["rejects"] == 0
    held = selected_table(validation_spec([both.model], tables, DICTIONARY, {}), tables)
    assert np.array_equal(both.inferred[0].logit(held), both.model.logit(held))


def test_too_many_rows_with_the_rejects_are_refused() -> None:
    tables = rooms(2)
    spec = replace(spec_with(DICTIONARY, **PARCELLING), max_rows=tables[0].rows)
    with pytest.raises(RefusalError, match="with its rejects"):
        run(spec, [replace(tables[0], rejects=concatenate([tables[0], tables[0]]))] * 4)


@pytest.mark.parametrize(
    "document",
    [
        {"reject_inference": "fuzzy"},
        {"reject_inference": 1},
        {"reject_factor_pct": 150},
        {"reject_inference": "parcelling", "reject_factor_pct": 99},
        {"reject_inference": "parcelling", "reject_factor_pct": 1001},
        {"reject_inference": "parcelling", "reject_factor_pct": True},
    ],
)
def test_wrong_parameters_give_one_line(document: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="reject_") as caught:
        recipe("scorecard").parse_parameters(document)
    assert "\n" not in caught.value.message


def test_it_needs_the_column_and_exact_sums() -> None:
    with pytest.raises(InputError, match=r"no \[accepted\]"):
        next(rounds(spec_with(dated_dictionary(), **PARCELLING)))
    with pytest.raises(InputError, match="carry noise"):
        next(rounds(replace(spec_with(DICTIONARY, **PARCELLING), multiplier=1)))
    with pytest.raises(InputError, match="unknown key 'reject_inference'"):
        recipe("trees").parse_parameters(PARCELLING)
