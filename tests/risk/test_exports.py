"""JSON, online, ONNX, SQL and PMML score as the model does: 10 000 rows that visit every bin's edges, awkward names."""

import sqlite3
from dataclasses import replace
from xml.etree import ElementTree as Xml

import numpy as np
import pytest

from risk.applicant import RecordReader
from risk.card import Scorecard
from risk.export_pmml import pmml_document
from risk.export_sql import sql_query
from risk.forest import Forest
from risk.model import Model
from risk.modelfile import decode_head, decode_model, encode_head, encode_model
from risk.row_scorer import row_scorer
from risk.table import Table
from tests.risk.awkward import DICTIONARY, HEAD, TRADE, applicants, models, plain_rows, texts

PAIRS = [("trees", "own"), ("scorecard", "own"), ("trees", "scorecard")]


@pytest.fixture(scope="module")
def table() -> Table:
    return applicants()


def card() -> Scorecard:
    found = models()["scorecard"]
    assert isinstance(found, Scorecard) and TRADE in {item.name for item in found.fields}
    return found


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


def test_the_rows_visit_all_that_can_go_wrong(table: Table) -> None:
    assert table.rows >= 10_000
    for item in card().fields:
        counts = np.bincount(item.codes(table), minlength=item.coding.bins)
        assert counts.min() > 0, item.name
        column = table.columns[item.name]
        if item.coding.bounds is not None:
            low, high = item.coding.bounds
            for value in (low, high, np.nextafter(high, np.inf), 1e300, np.inf, -np.inf, *item.coding.special):
                assert (column == value).any(), (item.name, value)
            assert np.signbit(column[column == 0.0]).any() and all((column == cut).any() for cut in item.coding.cuts)
    assert len(np.unique(card().score(table))) > 50


@pytest.mark.parametrize("name", ["scorecard", "trees", "own"])
def test_the_file_and_single_applicants_score_as_the_model_does(table: Table, name: str) -> None:
    model = models()[name]
    back = decode_model(encode_model(model))
    assert np.array_equal(back.logit(table), model.logit(table))
    reader, scorer = RecordReader(DICTIONARY), row_scorer(DICTIONARY.model_fields, back)
    score, chance = model.score(table), model.pd(table)  # type: ignore[attr-defined]
    names = [field.name for field in DICTIONARY.model_fields]
    for at, row in enumerate(plain_rows(table)):
        found = scorer.score(reader.read(row, {}).values)
        assert (found.score, found.pd) == (score[at], chance[at])
        if at % 20 == 0 or at > table.rows - 50:
            # The scorer itself leaves out what is not allowed, whoever reads for it.
            cells = [table.columns[name][at].item() for name in names]
            given = [
                None if cell != cell or (cell == -1 and name == TRADE) else cell
                for name, cell in zip(names, cells, strict=True)
            ]
            assert scorer.score(given).pd == chance[at]


@pytest.mark.parametrize(("network", "own"), PAIRS)
def test_a_head_and_its_file_score_single_applicants_alike(table: Table, network: str, own: str) -> None:
    pair = models()[network], models()[own]
    head = decode_head(encode_head(HEAD, *pair)).head
    expected = HEAD.pd(pair[0].logit(table), pair[1].logit(table))
    reader, scorer = RecordReader(DICTIONARY), row_scorer(DICTIONARY.model_fields, pair[0], (head, pair[1]))
    for at, row in enumerate(plain_rows(table)):
        assert scorer.score(reader.read(row, {}).values).pd == expected[at]


@pytest.mark.parametrize("name", ["scorecard", "trees"])
def test_onnx_scores_as_the_model_does(table: Table, name: str) -> None:
    export = pytest.importorskip("risk.export_onnx", reason="onnx is not installed, so no ONNX can be written")
    model = models()[name]
    out = run_onnx(export.onnx_model(model), table)
    assert np.array_equal(out["logit"], model.logit(table))
    assert np.abs(out["pd"] - model.pd(table)).max() <= 1e-12
    assert np.array_equal(out["score"], model.score(table))  # type: ignore[attr-defined]
    assert len(np.unique(out["score"])) > 20


@pytest.mark.parametrize(("network", "own"), PAIRS)
def test_onnx_holds_a_bank_s_head_over_both_of_its_models(table: Table, network: str, own: str) -> None:
    export = pytest.importorskip("risk.export_onnx", reason="onnx is not installed, so no ONNX can be written")
    pair = models()[network], models()[own]
    out = run_onnx(export.onnx_head(HEAD, *pair), table)
    logits = [model.logit(table) for model in pair]
    assert np.abs(out["logit"] - HEAD.logit(*logits)).max() <= 1e-12
    assert np.abs(out["pd"] - HEAD.pd(*logits)).max() <= 1e-12
    assert np.abs(out["pd"] - 1.0 / (1.0 + np.exp(-out["logit"]))).max() > 0.01  # calibrated


def test_a_forest_of_no_trees_is_written_too(table: Table) -> None:
    export = pytest.importorskip("risk.export_onnx", reason="onnx is not installed, so no ONNX can be written")
    forest = models()["trees"]
    assert isinstance(forest, Forest)
    out = run_onnx(export.onnx_model(replace(forest, trees=())), table)
    assert np.array_equal(out["logit"], np.full(table.rows, forest.intercept / 2.0**30))


def test_a_model_that_tells_no_bounds_is_exported_as_it_scores(table: Table) -> None:
    """Files from before bounds were told: a number beyond them falls into an outer bin, in the export too."""
    old: Model = replace(
        card(), fields=tuple(replace(item, coding=replace(item.coding, bounds=None)) for item in card().fields)
    )
    assert not np.array_equal(old.logit(table), card().logit(table))
    export = pytest.importorskip("risk.export_onnx", reason="onnx is not installed, so no ONNX can be written")
    assert np.array_equal(run_onnx(export.onnx_model(old), table)["logit"], old.logit(table))
    assert isinstance(old, Scorecard)
    assert [score for score, _, _ in in_sqlite(old, table)] == old.score(table).tolist()


def in_sqlite(model: Scorecard, table: Table) -> list[tuple[int, float, float]]:
    """Return score, logit and PD of every row, by the exported query."""
    rows = plain_rows(table)
    database = sqlite3.connect(":memory:")
    database.create_function("exp", 1, np.exp)
    names = ['"' + name.replace('"', '""') + '"' for name in table.columns]
    kinds = ["TEXT" if name == TRADE else "REAL" for name in table.columns]
    declared = ", ".join(f"{name} {kind}" for name, kind in zip(names, kinds, strict=True))
    database.execute(f'CREATE TABLE "the ""applicants""" ({declared})')
    marks = ", ".join("?" for _ in names)
    database.executemany(f'INSERT INTO "the ""applicants""" VALUES ({marks})', [tuple(row.values()) for row in rows])
    query = sql_query(model, 'the "applicants"').replace("SELECT scored.*,", "SELECT score, logit,")
    return list(database.execute(query).fetchall())


def test_sql_gives_the_same_points_and_logit(table: Table) -> None:
    """Levels hold quotes and a DROP TABLE, names hold quotes: they stay data."""
    score, logit, chance = (np.array(each) for each in zip(*in_sqlite(card(), table), strict=True))
    assert np.array_equal(score, card().score(table))
    assert np.array_equal(logit, card().logit(table))
    assert np.abs(chance - card().pd(table)).max() <= 1e-12


def test_pmml_holds_the_same_points(table: Table) -> None:
    """A reader written for this test from the PMML 4.4 text: the first attribute whose predicate holds counts.

    `make accept` has the same file read by PMML4S, which knows nothing of us.
    """
    root = Xml.fromstring(pmml_document(card()))
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
    assert np.array_equal(score, card().score(table))


def _holds(attribute: Xml.Element, table: Table, space: dict[str, str]) -> np.ndarray:
    if attribute.find("p:True", space) is not None:
        return np.ones(table.rows, dtype=bool)
    compound = attribute.find("p:CompoundPredicate", space)
    if compound is not None:
        assert compound.attrib["booleanOperator"] == "or"
        return np.any([_compares(each, table) for each in compound.iterfind("p:SimplePredicate", space)], axis=0)
    simple = attribute.find("p:SimplePredicate", space)
    assert simple is not None
    return _compares(simple, table)


def _compares(simple: Xml.Element, table: Table) -> np.ndarray:
    column, operator = table.columns[simple.attrib["field"]], simple.attrib["operator"]
    if column.dtype == np.int16:
        levels = DICTIONARY.field(simple.attrib["field"]).levels
        return np.asarray(column == (-1 if operator == "isMissing" else levels.index(simple.attrib["value"])))
    if operator == "isMissing":
        return np.isnan(column)
    value = float(simple.attrib["value"])
    found = {"equal": column == value, "lessThan": column < value, "greaterThan": column > value}[operator]
    return np.asarray(found)
