"""The training table says what was known, drops what has no consent, counts it, and appears whole or not at all."""

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from node.cli import main
from node.connectors.applicant import read_applicant
from node.connectors.build import Plan, build_index, survey_index
from node.source import read_table
from privacy.errors import InputError
from tests.node.connectors.small_bank import FIELDS, SETTINGS, dictionary_of, write_small_bank


def now() -> datetime:
    return datetime(2024, 4, 1, 12, 0, tzinfo=UTC)


def build(folder: Path, fields: str = FIELDS, settings: str = SETTINGS) -> Path:
    connectors, schema = write_small_bank(folder, fields, settings)
    build_index(Plan(connectors, schema), folder / "built", now)
    return folder / "built"


def test_the_table_holds_what_was_known_and_training_reads_it(tmp_path: Path) -> None:
    built = build(tmp_path)

    table = pl.read_parquet(built / "table.parquet").rows()

    # f1: the invoice of 9 March 2023 lies a day before the window; the case filed on 1 March was published too late.
    # f2: no consent; sued in time. f3: nothing newer than 60 days.
    assert table == [("2024-03", 150.0, "retail", 0.0, 0.0), ("2024-03", None, "farm", 1.0, 1.0),
                     ("2024-03", None, None, None, 0.0)]  # fmt: skip
    assert read_table(built / "table.parquet", dictionary_of(), "bank").rows == 3


def test_the_lineage_tells_dates_consents_and_why_a_value_is_missing(tmp_path: Path) -> None:
    lineage = pl.read_parquet(build(tmp_path) / "lineage.parquet")

    assert lineage["application"].to_list() == ["a1", "a2", "a3"]
    assert lineage["consent.vat"].to_list() == ["c1", None, "c3"]
    assert [None if day is None else day.date().isoformat() for day in lineage["as_of.vat"].to_list()] == [
        "2024-02-15",
        None,
        "2023-11-01",
    ]
    assert lineage["why.sales"].to_list() == [None, "no-record", "stale"]
    assert lineage["why.sued"].to_list() == [None, None, "no-record"]


def test_the_manifest_counts_what_was_dropped_and_names_what_it_was_made_of(tmp_path: Path) -> None:
    built = build(tmp_path)

    manifest = json.loads((built / "manifest.json").read_text())

    vat = manifest["sources"]["vat"]
    assert (vat["rows"], vat["dropped"], vat["origin"]) == (6, {"key": 1, "consent": 1}, "file")
    assert manifest["fields"]["sales"] == {"present": 1, "no-record": 1, "stale": 1, "empty": 0, "outside": 0}
    before = manifest["sources"]["vat"]["sha256"]
    (tmp_path / "vat.csv").write_text((tmp_path / "vat.csv").read_text() + "f1,2024-02-16,c1,1\n")
    build_index(Plan(tmp_path / "connectors.toml", tmp_path / "schema.toml"), tmp_path / "again", now)
    assert json.loads((tmp_path / "again" / "manifest.json").read_text())["sources"]["vat"]["sha256"] != before


def test_the_same_tables_give_the_same_table(tmp_path: Path) -> None:
    built = build(tmp_path)
    build_index(Plan(tmp_path / "connectors.toml", tmp_path / "schema.toml"), tmp_path / "again", now)

    assert (built / "table.parquet").read_bytes() == (tmp_path / "again" / "table.parquet").read_bytes()


def test_one_applicant_is_computed_as_the_table_was(tmp_path: Path) -> None:
    connectors_path, schema = write_small_bank(tmp_path)
    connectors, dictionary = Plan(connectors_path, schema).load()

    record = read_applicant(connectors, dictionary, "f1", datetime(2024, 3, 10, tzinfo=UTC), {})

    assert record.fields == {"sales": 150.0, "trade": "retail", "sued": 0.0}
    used = {each.source: each for each in record.sources}
    assert (used["vat"].as_of, used["vat"].consent_ref, used["vat"].missing) == ("2024-02-15", "c1", {})
    assert used["court"].as_of == "2024-03-08"
    unknown = read_applicant(connectors, dictionary, "f9", datetime(2024, 3, 10, tzinfo=UTC), {})
    assert set(unknown.fields.values()) == {None}
    assert all(set(each.missing.values()) == {"no-record"} for each in unknown.sources)


def test_a_value_outside_the_dictionary_is_refused_clipped_or_missing_as_declared(tmp_path: Path) -> None:
    for number, outside in enumerate(("refuse", "clip", "missing")):
        folder = tmp_path / str(number)
        folder.mkdir()
        fields = FIELDS.replace("months = 12\n", f'months = 12\nscale = 10000\noutside = "{outside}"\n')
        if outside == "refuse":
            with pytest.raises(InputError, match=r"field\.sales: 1 values outside"):
                build(folder, fields)
            assert sorted(path.name for path in folder.iterdir() if "built" in path.name) == []
            continue
        table = pl.read_parquet(build(folder, fields) / "table.parquet")
        assert table["sales"].to_list()[0] == (1_000_000.0 if outside == "clip" else None)


def test_an_unknown_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"field\.trade: 1 values outside"):
        build(tmp_path, FIELDS.replace('values = { R = "retail", F = "farm" }', 'values = { R = "retail" }'))


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("vat.csv", "c1,100", "c1,1o0", "vat: column sales: 1 cell cannot be read, first in row 1; expected finite"),
        ("vat.csv", "f3,2023-11-01", "f3,2023-13-01", "vat: column day: 1 cell cannot be read, first in row 5; expect"),
        ("vat.csv", "f3,2023-11-01", "f3,", "vat: column day: 1 cell cannot be read, first in row 5; expected a date"),
        ("vat.csv", "c1,100", "c1,inf", "vat: column sales: 1 cell"),
        ("vat.csv", "firm,day", "firm,date", "vat: column 'day' is absent"),
        ("applications.csv", "a2,", "a1,", "applications: 1 rows repeat an application id"),
        ("applications.csv", "2024-03-10,1", "2024-03-10,2", "column bad: 1 row not 0 or 1"),
        ("court.csv", "2024-03-12", "", "court: column published: 1 cell cannot be read"),
    ],
)
def test_what_cannot_be_read_is_counted_and_never_shown(
    tmp_path: Path, name: str, old: str, new: str, said: str
) -> None:
    connectors, schema = write_small_bank(tmp_path)
    text = (tmp_path / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1))

    with pytest.raises(InputError) as caught:
        build_index(Plan(connectors, schema), tmp_path / "built", now)

    assert said in caught.value.message and "1o0" not in caught.value.message
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("built")]


def test_a_survey_reports_problems_instead_of_stopping(tmp_path: Path) -> None:
    connectors, schema = write_small_bank(tmp_path, FIELDS.replace(', F = "farm"', ""))

    survey = survey_index(Plan(connectors, schema), tmp_path / "copies", now)

    assert survey.fields["trade"]["outside"] == 1 and len(survey.problems) == 1
    assert any("trade" in line and "1 outside" in line for line in survey.lines())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    build(tmp_path)

    with pytest.raises(InputError, match="never overwritten"):
        build_index(Plan(tmp_path / "connectors.toml", tmp_path / "schema.toml"), tmp_path / "built", now)


def test_a_bank_that_has_not_joined_builds_its_table_with_the_dictionary_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connectors, schema = write_small_bank(tmp_path, FIELDS, SETTINGS)
    files = ["--connectors", str(connectors), "--schema", str(schema)]

    assert main(["index", "check", *files]) == 0
    assert main(["index", "build", *files]) == 2
    assert "needs --out DIR" in capsys.readouterr().err
    assert main(["index", "build", *files, "--out", str(tmp_path / "built")]) == 0
    shown = capsys.readouterr().out
    assert f"creditmesh-node join CODE --data {tmp_path / 'built' / 'table.parquet'} --schema {schema}" in shown
    assert {path.name for path in tmp_path.iterdir()} >= {"built"}
