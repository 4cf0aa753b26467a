"""A validation's report equals a plain computation on all rows; its requests keep their promises."""

import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.book import Book
from risk.catalogue import recipe
from risk.dictionary import Dictionary, parse_dictionary
from risk.errors import InputError, MisuseError, RefusalError
from risk.job import rounds
from risk.model import Model
from risk.modelfile import encode_model, model_digest
from risk.recipe import Ask, run_plain
from risk.spec import JobSpec
from risk.split import keyed_split, split
from risk.table import Table, concatenate
from risk.validation import local_validation
from tests.risk.pooled_report import bins_of, check_model, check_report, plain_auc
from tests.risk.validation_rooms import (
    dated_dictionary,
    dated_tables,
    selected_table,
    sum_of,
    train_model,
    validate,
    validation_spec,
)

DICTIONARY = dated_dictionary()
SIZES = (1500, 900, 700, 400)
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="module")
def tables() -> list[Table]:
    return dated_tables(DICTIONARY, SIZES, 3)


@pytest.fixture(scope="module")
def models(tables: list[Table]) -> list[Model]:
    names = ("scorecard", "trees")
    return [train_model(name, tables, DICTIONARY, train_until=200506, **({"trees": 10} if name == "trees" else {}))
            for name in names]  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"rows": "all", "period_rows": 100},
        {"rows": "out-of-time"},
        {"rows": "months", "month_from": 200407, "month_to": 200502},
        {"cutoff_pd_ppm": 150_000, "population_bad_ppm": 30_000, "least_rows": 300},
        {"approve_ppm": 10_000},
        {"approve_ppm": 990_000},
        {"cutoff_pd_ppm": 1},
        {"cutoff_pd_ppm": 999_999},
    ],
)
def test_figures_are_those_of_all_rows(more: dict[str, Any], tables: list[Table], models: list[Model]) -> None:
    spec = validation_spec(models, tables, DICTIONARY, more)
    report = validate(spec, tables)
    check_report(report, models, selected_table(spec, tables), DICTIONARY)
    assert report["models"]["champion"]["trained_until"] == "2005-06"
    if more.get("rows") == "out-of-time":
        held = [t.select(replaced(t)) for t in tables]
        held_rows = concatenate(held)
        for role, model in zip(("champion", "challenger"), models, strict=True):
            shown = report["models"][role]["holdout"]
            assert (shown["rows"], shown["bads"]) == (held_rows.rows, held_rows.bads)
            assert shown["auc"] == pytest.approx(plain_auc(held_rows.target, bins_of(model, held_rows)), abs=1e-9)


def replaced(table: Table) -> np.ndarray:
    """Return the hold-out rows up to the last training month."""
    assert table.month is not None
    held = split(table.target, table.member, 0, 0.3).holdout
    early = (table.month[held] >= 0) & (table.month[held] <= 12 * 2005 + 5)
    return np.asarray(held[early])


def test_figures_do_not_depend_on_who_holds_the_rows(tables: list[Table], models: list[Model]) -> None:
    spec = validation_spec(models, tables, DICTIONARY, {"rows": "all"})
    alone = concatenate(tables)
    assert validate(spec, tables) == validate(replace(spec, members=1), [alone])


@given(st.integers(0, 10**6), st.lists(st.integers(120, 900), min_size=1, max_size=4), st.floats(0.01, 0.9))
@settings(max_examples=10, deadline=None)
def test_other_rows_than_the_models_saw(seed: int, sizes: list[int], share: float) -> None:
    later = dated_tables(DICTIONARY, sizes, seed, 7)
    rng = np.random.default_rng(seed)
    for table in later:
        table.target[:] = (rng.random(table.rows) < share).astype(np.int8)
        table.columns["turnover"][rng.random(table.rows) < share] = np.nan
    spec = validation_spec(MODELS, later, DICTIONARY, {"rows": "all", "period_rows": 150})
    check_report(validate(spec, later), MODELS, selected_table(spec, later), DICTIONARY)


MODELS = [
    train_model("scorecard", dated_tables(DICTIONARY, (800, 500), 8), DICTIONARY, max_bins=bins) for bins in (4, 8)
]


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_and_all_missing_have_figures_where_there_can_be_any(label: int) -> None:
    rows = dated_tables(DICTIONARY, (500, 400), 9)
    for table in rows:
        table.target[:] = label
        for name in ("turnover", "late_days", "arrears"):
            table.columns[name][:] = np.nan
        for name in ("trade", "region"):
            table.columns[name][:] = -1
    spec = validation_spec(MODELS, rows, DICTIONARY, {"rows": "all", "population_bad_ppm": 1000})
    report = validate(spec, rows)
    champion = report["models"]["champion"]
    assert champion["scores"]["auc"] is None and champion["scores"]["ks"] is None and champion["prior"] is None
    assert champion["scores"]["bad_rate"] == label and champion["drift"]["band"] == "act"
    assert [s["level"] for f in champion["fairness"] for s in f["segments"]] == ["missing"] * 3
    assert report["comparison"]["gain"] is None and report["comparison"]["promotion"]["answer"] != "promote"


def test_towers_are_validated_as_any_model(tables: list[Table]) -> None:
    """Their file says, as a card's does, how the rows were split and how many trained them."""
    pytest.importorskip("torch", reason="torch is not installed, so no towers can be trained")
    towers = train_model("towers", tables, DICTIONARY, rounds=1, hidden=4, train_until=200506)
    card = train_model("scorecard", tables, DICTIONARY, train_until=200506)
    for more in ({"rows": "holdout"}, {"rows": "out-of-time"}, {"population_bad_ppm": 50_000}):
        spec = validation_spec([towers, card], tables, DICTIONARY, more)
        report = validate(spec, tables)
        check_report(report, [towers, card], selected_table(spec, tables), DICTIONARY)
        assert {entry["same_rows"] for entry in report["models"].values()} == {True}


def test_a_model_without_reference_says_so(tables: list[Table]) -> None:
    bare = replace(MODELS[0], reference=None)  # type: ignore[type-var]
    spec = validation_spec([bare], tables, DICTIONARY, {"rows": "all"})
    report = validate(spec, tables)
    check_model(report["models"]["champion"], bare, selected_table(spec, tables), DICTIONARY)
    assert report["models"]["champion"]["reference"] == "no reference"
    assert report["models"]["champion"]["stability"][0]["psi"] is None


def test_a_card_without_a_field_has_one_grade_and_no_ranking() -> None:
    rows = dated_tables(DICTIONARY, (700, 500), 12)
    for table in rows:
        table.target[:] = np.random.default_rng(table.rows).permutation(np.arange(table.rows) % 5 == 0)
    empty = train_model("scorecard", rows, DICTIONARY, min_iv=10_000)
    assert not empty.codings and empty.reference is not None and empty.reference.scale.size == 1
    spec = validation_spec([empty, MODELS[0]], rows, DICTIONARY, {"rows": "all"})
    report = validate(spec, rows)
    check_report(report, [empty, MODELS[0]], selected_table(spec, rows), DICTIONARY)
    assert report["models"]["champion"]["scores"]["auc"] == 0.5


def test_rows_that_either_model_was_trained_on_are_left_out(tables: list[Table]) -> None:
    spec = JobSpec("scorecard", 1, recipe("scorecard").parse_parameters({}), DICTIONARY, 4, 1 << 16, 7, 500_000)
    books = [Book(table, spec) for table in tables]
    other = run_plain(rounds(spec), lambda ask: sum_of(ask, books)).model
    first = train_model("scorecard", tables, DICTIONARY)
    asked = validation_spec([first, other], tables, DICTIONARY, {})
    report = validate(asked, tables)
    held = [
        table.select(np.intersect1d(split(table.target, table.member, 0, 0.3).holdout, book.rows("holdout")))
        for table, book in zip(tables, books, strict=True)
    ]
    check_report(report, [first, other], concatenate(held), DICTIONARY)


def test_too_few_rows_show_nothing() -> None:
    few = dated_tables(DICTIONARY, (60, 30), 4)
    spec = validation_spec(MODELS, few, DICTIONARY, {"rows": "all"})
    with pytest.raises(RefusalError, match="fewer than 100 rows"):
        validate(spec, few)
    assert list(local_validation(Book(few[0], spec))) == ["withheld"]


def test_a_bank_has_the_same_figures_of_its_own_rows(tables: list[Table], models: list[Model]) -> None:
    spec = validation_spec(models, tables, DICTIONARY, {})
    own = local_validation(Book(tables[0], spec))
    check_report(own, models, selected_table(spec, tables[:1]), DICTIONARY)


def test_requests_keep_their_promises(tables: list[Table], models: list[Model]) -> None:
    spec = validation_spec(models, tables, DICTIONARY, {"rows": "all", "period_rows": 100})
    asks: list[Ask] = []
    validate(spec, tables, asks)
    books = [Book(table, spec) for table in tables]
    assert [ask.name for ask in asks] == ["sizes", "scores", "labels", "ranks", "pair"]
    again: list[Ask] = []
    validate(spec, tables, again)
    assert [ask.encode() for ask in asks] == [ask.encode() for ask in again]
    for ask in asks:
        assert ask.rows == "selected" and spec.members * ask.bound < 2 ** (ask.word_bits - 1)
        for book in books:
            part = np.abs(ask_part(ask, book))
            assert part.max() <= ask.bound
            # One row more or less changes no entry and no vector by more than it is said to.
            fewer = Book(book.table.select(np.arange(1, book.table.rows)), spec)
            step = np.abs(ask_part(ask, book) - ask_part(ask, fewer))
            assert step.max() <= ask.row_linf and step.sum() <= ask.row_l1
    labels = asks[2]
    rows = np.zeros(int(labels.arrays["cells"].max()) + 1, dtype=np.int64)
    np.add.at(rows, labels.arrays["cells"], sum_of(asks[1], books))
    assert all(count == 0 or count >= 50 for count in rows.tolist())


def ask_part(ask: Ask, book: Book) -> np.ndarray:
    return recipe("validation").contribute(ask, book)


def test_models_are_what_their_digest_says(tables: list[Table]) -> None:
    spec = validation_spec(MODELS[:1], tables, DICTIONARY, {"rows": "all"})
    digest = model_digest(MODELS[0])
    with pytest.raises(InputError, match="not kept here"):
        next(rounds(replace(spec, models={})))
    with pytest.raises(InputError, match="another digest"):
        next(rounds(replace(spec, models={digest: encode_model(MODELS[1])})))


def test_a_later_dictionary_may_add_and_may_not_change_a_field(tables: list[Table], models: list[Model]) -> None:
    more = replace(DICTIONARY, version=2, fields=tuple(replace(f, segment=True) for f in DICTIONARY.fields))
    spec = validation_spec(models[1:], tables, more, {"rows": "all"})
    report = validate(spec, tables)
    assert report["models"]["champion"]["same_dictionary"] is False
    assert len(report["models"]["champion"]["fairness"]) == 5
    used = {coding.name: coding for coding in models[1].codings}
    assert "turnover" in used and "trade" in used
    for name, change in (("turnover", {"use": "ignore"}), ("trade", {"levels": ("a", "b")})):
        fields = tuple(replace(f, **change) if f.name == name else f for f in DICTIONARY.fields)
        with pytest.raises(InputError, match=f"'{name}', which is another one now"):
            next(rounds(replace(spec, dictionary=replace(DICTIONARY, fields=fields))))


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "'model' must be"),
        ({"model": "a" * 63}, "'model' must be"),
        ({"model": "A" * 64}, "'model' must be"),
        ({"model": "a" * 64, "challenger": "a" * 64}, "'challenger'"),
        ({"model": "a" * 64, "challenger": 1}, "'challenger'"),
        ({"model": "a" * 64, "rows": "train"}, "'rows' must be one of"),
        ({"model": "a" * 64, "rows": "months"}, "month_from"),
        ({"model": "a" * 64, "rows": "months", "month_from": 200413, "month_to": 200501}, "YYYYMM"),
        ({"model": "a" * 64, "rows": "months", "month_from": 200502, "month_to": 200501}, "is after"),
        ({"model": "a" * 64, "month_from": 200501, "month_to": 200502}, "month_from"),
        ({"model": "a" * 64, "least_rows": 99}, "least_rows"),
        ({"model": "a" * 64, "period_rows": True}, "period_rows"),
        ({"model": "a" * 64, "colour": 1}, "unknown key 'colour'"),
    ],
)
def test_wrong_parameters_give_one_line(document: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        recipe("validation").parse_parameters(document)
    assert "\n" not in caught.value.message


def test_rows_that_no_date_can_choose_are_refused(tables: list[Table]) -> None:
    undated = replace(DICTIONARY, time=None)
    for more in ({"rows": "out-of-time"}, {"rows": "months", "month_from": 200401, "month_to": 200402}):
        with pytest.raises(InputError, match=r"no \[time\]"):
            next(rounds(validation_spec(MODELS[:1], tables, undated, more)))
    with pytest.raises(InputError, match="trained on all months"):
        next(rounds(validation_spec(MODELS[:1], tables, DICTIONARY, {"rows": "out-of-time"})))


def test_it_trains_nothing_and_has_no_noisy_form(tables: list[Table]) -> None:
    spec = validation_spec(MODELS[:1], tables, DICTIONARY, {})
    asked = recipe("validation")
    for broken in (lambda: asked.rounds(spec), lambda: asked.own(Book(tables[0], spec))):
        with pytest.raises(MisuseError):
            broken()
    with pytest.raises(InputError, match="no form with differential privacy"):
        next(rounds(replace(spec, multiplier=1)))


def test_the_hold_out_of_a_model_with_noise_is_known_by_the_banks_key_alone(tables: list[Table]) -> None:
    told = replace(MODELS[0], training={**MODELS[0].training, "privacy": {"epsilon": "1"}})  # type: ignore[type-var]
    spec = validation_spec([told], tables[:1], DICTIONARY, {})
    with pytest.raises(RefusalError, match="the bank's own key"):
        validate(spec, tables[:1])
    book = Book(tables[0], spec, lambda message: hashlib.sha256(b"key" + message).digest())
    held = keyed_split(tables[0], 0, 300_000, book.prf or bytes).holdout
    report = run_plain(rounds(spec), lambda ask: sum_of(ask, [book])).report
    check_report(report, [told], tables[0].select(held), DICTIONARY)
    assert report["models"]["champion"]["same_rows"] is None


@pytest.mark.slow
@pytest.mark.parametrize("room", ["sba", "uci"])
def test_real_rooms(room: str) -> None:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent: the real rooms are not part of the repository")
    dictionary, tables = real_room(SHARED / room)
    found = [train_model("scorecard", tables, dictionary, max_bins=bins) for bins in (8, 3)]
    for more in ({}, {"rows": "all"}):
        spec = validation_spec(found, tables, dictionary, more)
        check_report(validate(spec, tables), found, selected_table(spec, tables), dictionary)


def real_room(folder: Path) -> tuple[Dictionary, list[Table]]:
    reader = pytest.importorskip("node.source", reason="the bank's reader needs Polars")
    document = tomllib.loads((folder / "schema.toml").read_text("utf-8"))
    for item in document["field"]:
        item["segment"] = item["type"] != "number"
    dictionary = parse_dictionary(document, "schema.toml")
    return dictionary, [reader.read_table(path, dictionary, path.stem) for path in sorted(folder.glob("*.csv"))]


def test_run_plain_is_all_that_a_report_needs(tables: list[Table]) -> None:
    spec = validation_spec(MODELS[:1], tables, DICTIONARY, {"rows": "all"})
    books = [Book(table, spec) for table in tables]
    assert run_plain(rounds(spec), lambda ask: sum_of(ask, books)).report["comparison"] is None
