"""The evidence pack: a score can be recomputed from it by hand, every digest holds, and the bytes repeat."""

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from risk.card import Scorecard
from risk.pack import bin_texts, pack_files, pack_sheets
from risk.pack_archive import digest_list, stilled, zipped
from tests.risk.dossiers import dossier_of
from tests.risk.rooms import room_tables


def sheet(name: str, recipe: str = "scorecard", validated: bool = False) -> list[dict[str, Any]]:
    rows = next(each.rows for each in pack_sheets(dossier_of(recipe, validated)) if each.name == name)
    head = [str(cell) for cell in rows[0]]
    assert all(len(row) == len(head) for row in rows)
    return [dict(zip(head, row, strict=True)) for row in rows[1:]]


def test_a_score_follows_from_the_sheets_alone() -> None:
    dossier = dossier_of("scorecard")
    model, facts = dossier.model, {row["fact"]: row["value"] for row in sheet("summary")}
    assert isinstance(model, Scorecard) and dossier.dictionary is not None
    bins = {(row["field"], row["bin"]): row for row in sheet("bins")}
    weights = {row["field"]: row["weight"] for row in sheet("coefficients")}
    table = room_tables(dossier.dictionary, (50,), seed=9)[0]
    codes = {item.name: item.codes(table) for item in model.fields}
    for row in range(table.rows):
        chosen = [bins[name, int(code[row])] for name, code in codes.items()]
        assert facts["base_points"] + sum(each["points"] for each in chosen) == model.score(table)[row]
        logit = weights["intercept"] - sum(weights[each["field"]] * each["woe"] for each in chosen)
        assert logit == pytest.approx(float(model.logit(table)[row]), abs=1e-12)


def test_bins_show_the_counts_that_they_follow_from() -> None:
    for row in sheet("bins"):
        if row["bads"] is not None and row["rows"]:
            assert row["bad_rate"] == row["bads"] / row["rows"]
    assert {row["holds"] for row in sheet("bins")} >= {"missing or not allowed", "special -999.0"}


def test_a_tree_s_score_follows_from_its_sheets() -> None:
    model = dossier_of("trees").model
    leaves = [row for row in sheet("trees", "trees") if row["leaf"] is not None]
    assert len({row["tree"] for row in leaves}) == len(model.trees)  # type: ignore[attr-defined]
    assert {row["column"] for row in sheet("trees", "trees")} - {None} <= {
        row["column"] for row in sheet("columns", "trees")
    }


def test_a_validation_has_sheets_of_its_own() -> None:
    names = [each.name for each in pack_sheets(dossier_of("scorecard", validated=True))]
    assert {"v1 figures", "v1 grades", "v1 csi", "v1 stability", "v1 fairness"} <= set(names)
    assert len(names) == len(set(names)) and all(len(name) <= 31 for name in names)
    report = dossier_of("scorecard", validated=True).validations[0][1]
    figures = {row["fact"]: row["value"] for row in sheet("v1 figures", validated=True)}
    assert figures["scores.auc"] == report["models"]["champion"]["scores"]["auc"]
    assert sheet("v1 csi", validated=True) and sheet("v1 fairness", validated=True)


@pytest.mark.parametrize("recipe", ["scorecard", "trees"])
def test_files_are_the_records_and_repeat(recipe: str) -> None:
    dossier = dossier_of(recipe, recipe == "scorecard")
    files = pack_files(dossier)
    assert files == pack_files(dossier)
    assert hashlib.sha256(files["model.json"]).hexdigest() == dossier.sha256
    for name, content in files.items():
        if name.endswith(".json"):
            json.loads(content, parse_constant=lambda what: pytest.fail(what))
    assert json.loads(files["figures.json"])["auc"] == (dossier.metrics or {})["auc"]


def test_digests_are_listed_as_sha256sum_reads_them() -> None:
    text = digest_list({"b/x": b"1", "a": b"2"}).decode()
    assert text == f"{hashlib.sha256(b'2').hexdigest()}  a\n{hashlib.sha256(b'1').hexdigest()}  b/x\n"


def test_an_archive_holds_no_moment() -> None:
    one = zipped({"b": b"1", "a": b"2"})
    assert one == zipped({"a": b"2", "b": b"1"}) and one != zipped({"a": b"2", "b": b"3"})
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        assert [(each.filename, each.date_time[0]) for each in archive.infolist()] == [("a", 1980), ("b", 1980)]
    core = b'<dcterms:modified xsi:type="x">2026-01-02T03:04:05Z</dcterms:modified>'
    assert b"2026" not in stilled(zipped({"docProps/core.xml": core, "x": b"2026"})).split(b"docProps")[0]
    with zipfile.ZipFile(io.BytesIO(stilled(zipped({"docProps/core.xml": core})))) as archive:
        assert archive.read("docProps/core.xml") == core.replace(b"2026-01-02T03:04:05Z", b"1980-01-01T00:00:00Z")


def test_bins_of_every_kind_have_a_text() -> None:
    model = dossier_of("scorecard").model
    assert isinstance(model, Scorecard)
    for item in model.fields:
        names = bin_texts(item.coding, item.levels)
        assert len(names) == item.coding.bins == len(set(names))
