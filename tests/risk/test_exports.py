"""Exports: ONNX, SQL and PMML score as the model does, row by row, on golden rows that visit every bin's edges."""

import sqlite3
from xml.etree import ElementTree as Xml

import numpy as np
import pytest

from risk.card import Scorecard
from risk.catalogue import recipe
from risk.export_pmml import pmml_document
from risk.export_sql import sql_query
from risk.forest import Forest
from risk.golden import golden_table
from risk.head import Head
from risk.model import Model
from risk.spec import JobSpec
from risk.table import Table
from tests.risk.rooms import books_of, category, flag, number, room_dictionary, room_tables, train

ROWS = 10_000
DICTIONARY = room_dictionary(
    number("turnover", (0, 1e12), "down", dimension="operating"),
    number("late_days", (0, 3650), "up", special=[-999, -1]),
    number("share", (0, 1), "free"),
    flag("arrears", "up"),
    category("trade", 50),
)


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    """Return a scorecard and a forest of one room."""
    tables = room_tables(DICTIONARY, (1500, 1200, 900, 800), 6)
    made = {}
    for name in ("scorecard", "trees"):
        parameters = {"trees": 15} if name == "trees" else {}
        spec = JobSpec(name, 1, recipe(name).parse_parameters(parameters), DICTIONARY, 4, 1 << 16, 0, 300_000)
        made[name] = train(spec, books_of(tables, spec)).model
    return made


def golden(*chosen: Model) -> Table:
    """Return golden rows for the fields of these models; a category's level is out of its list now and then."""
    codings = []
    for model in chosen:
        codings += [item.coding for item in (model.fields if isinstance(model, Scorecard) else model.columns)]  # type: ignore[attr-defined]
    return golden_table(codings, ROWS)


def texts(column: np.ndarray) -> list[str | None]:
    """Return a category as its texts: unknown where it is missing every second time, else None."""
    levels = DICTIONARY.field("trade").levels
    return [levels[code] if code >= 0 else ("no such trade" if n % 2 else None) for n, code in enumerate(column)]


def run_onnx(file: bytes, table: Table) -> dict[str, np.ndarray]:
    """Run an ONNX file on a table."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed, so ONNX cannot be run")
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    feed = {}
    for wanted in session.get_inputs():
        column = table.columns[wanted.name]
        if wanted.type == "tensor(string)":
            feed[wanted.name] = np.array([text or "" for text in texts(column)], dtype=object)[:, None]
        else:
            feed[wanted.name] = column[:, None]
    names = [output.name for output in session.get_outputs()]
    return {name: np.asarray(value)[:, 0] for name, value in zip(names, session.run(names, feed), strict=True)}


@pytest.mark.parametrize("name", ["scorecard", "trees"])
def test_onnx_scores_as_the_model_does(models: dict[str, Model], name: str) -> None:
    export = pytest.importorskip("risk.export_onnx", reason="onnx is not installed, so no ONNX can be written")
    model = models[name]
    table = golden(model)
    out = run_onnx(export.onnx_model(model), table)
    assert np.array_equal(out["logit"], model.logit(table))
    assert np.abs(out["pd"] - model.pd(table)).max() <= 1e-12
    assert np.array_equal(out["score"], model.score(table))  # type: ignore[attr-defined]
    assert len(np.unique(out["score"])) > 20


def test_onnx_holds_a_bank_s_head_over_both_of_its_models(models: dict[str, Model]) -> None:
    export = pytest.importorskip("risk.export_onnx", reason="onnx is not installed, so no ONNX can be written")
    head = Head(-0.1, 0.7, 0.4)
    table = golden(*models.values())
    out = run_onnx(export.onnx_head(head, models["trees"], models["scorecard"]), table)
    expected = head.logit(models["trees"].logit(table), models["scorecard"].logit(table))
    assert np.abs(out["logit"] - expected).max() <= 1e-12


def test_a_forest_of_no_trees_is_written_too(models: dict[str, Model]) -> None:
    export = pytest.importorskip("risk.export_onnx", reason="onnx is not installed, so no ONNX can be written")
    from dataclasses import replace

    forest = models["trees"]
    assert isinstance(forest, Forest)
    table = golden(forest)
    out = run_onnx(export.onnx_model(replace(forest, trees=())), table)
    assert np.array_equal(out["logit"], np.full(table.rows, forest.intercept / 2.0**30))


def test_sql_gives_the_same_points_and_logit(models: dict[str, Model]) -> None:
    card = models["scorecard"]
    assert isinstance(card, Scorecard)
    table = golden(card)
    names = list(table.columns)
    database = sqlite3.connect(":memory:")
    database.create_function("exp", 1, np.exp)
    declared = ", ".join(f'"{name}" {"TEXT" if name == "trade" else "REAL"}' for name in names)
    database.execute(f"CREATE TABLE applicants ({declared})")
    columns = [
        texts(table.columns[name])
        if name == "trade"
        else [None if np.isnan(v) else float(v) for v in table.columns[name]]
        for name in names
    ]
    marks = ", ".join("?" for _ in names)
    database.executemany(f"INSERT INTO applicants VALUES ({marks})", list(zip(*columns, strict=True)))
    found = database.execute(
        sql_query(card, "applicants").replace("SELECT scored.*,", "SELECT score, logit,")
    ).fetchall()
    score, logit, chance = (np.array(each) for each in zip(*found, strict=True))
    assert np.array_equal(score, card.score(table))
    assert np.array_equal(logit, card.logit(table))
    assert np.abs(chance - card.pd(table)).max() <= 1e-12


def test_names_and_levels_cannot_break_out_of_the_sql() -> None:
    nasty = "x'); DROP TABLE applicants; --"
    dictionary = room_dictionary(
        {**category("trade", 3), "levels": [nasty, 'say "hi"', "plain"]}, number("n", (0, 9), "up")
    )
    tables = room_tables(room_dictionary(category("trade", 3), number("n", (0, 9), "up")), (900, 900, 900, 900), 1)
    spec = JobSpec(
        "scorecard", 1, recipe("scorecard").parse_parameters({"min_iv": 0}), dictionary, 4, 1 << 16, 0, 300_000
    )
    card = train(spec, books_of(tables, spec)).model
    assert isinstance(card, Scorecard)
    database = sqlite3.connect(":memory:")
    database.create_function("exp", 1, np.exp)
    database.execute('CREATE TABLE "a ""b" (trade TEXT, n REAL)')
    database.execute('INSERT INTO "a ""b" VALUES (?, 1)', (nasty,))
    assert len(database.execute(sql_query(card, 'a "b')).fetchall()) == 1


def test_pmml_holds_the_same_points(models: dict[str, Model]) -> None:
    """A reader written for this test from the PMML 4.4 text: the first attribute whose predicate holds counts."""
    card = models["scorecard"]
    assert isinstance(card, Scorecard)
    table = golden(card)
    root = Xml.fromstring(pmml_document(card))
    space = {"p": "http://www.dmg.org/PMML-4_4"}
    model = root.find("p:Scorecard", space)
    assert model is not None
    score = np.full(table.rows, int(model.attrib["initialScore"]))
    for characteristic in model.iterfind("p:Characteristics/p:Characteristic", space):
        open_rows = np.ones(table.rows, dtype=bool)
        for attribute in characteristic.iterfind("p:Attribute", space):
            hit = open_rows & _holds(attribute, table, space)
            score[hit] += int(attribute.attrib["partialScore"])
            open_rows &= ~hit
        assert not open_rows.any()
    assert np.array_equal(score, card.score(table))


def _holds(attribute: Xml.Element, table: Table, space: dict[str, str]) -> np.ndarray:
    if attribute.find("p:True", space) is not None:
        return np.ones(table.rows, dtype=bool)
    within = attribute.find("p:SimpleSetPredicate", space)
    if within is not None:
        array = within.find("p:Array", space)
        assert array is not None and array.text is not None
        levels = DICTIONARY.field(within.attrib["field"]).levels
        wanted = {levels.index(text) for text in array.text.strip('"').split('" "')}
        return np.isin(table.columns[within.attrib["field"]], list(wanted))
    compound = attribute.find("p:CompoundPredicate", space)
    if compound is not None:
        assert compound.attrib["booleanOperator"] == "or"
        return np.any([_compares(each, table) for each in compound.iterfind("p:SimplePredicate", space)], axis=0)
    simple = attribute.find("p:SimplePredicate", space)
    assert simple is not None
    return _compares(simple, table)


def _compares(simple: Xml.Element, table: Table) -> np.ndarray:
    column, operator = table.columns[simple.attrib["field"]], simple.attrib["operator"]
    if operator == "isMissing":
        return np.asarray(column == -1 if column.dtype == np.int16 else np.isnan(column))
    value = float(simple.attrib["value"])
    found = {"equal": column == value, "lessThan": column < value, "greaterThan": column > value}[operator]
    return np.asarray(found)
