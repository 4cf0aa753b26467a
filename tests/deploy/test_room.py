"""The synthetic room: what its files look like and whether its fields mean what the dictionary says."""

import dataclasses
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from creditmesh_demo import room
from creditmesh_demo.room_draw import DRAWS

SMALL = tuple(dataclasses.replace(institution, rows=200) for institution in room.INSTITUTIONS)


@pytest.fixture(scope="module")
def drawn() -> list[room.Rows]:
    return [room.draw(institution, 0) for institution in room.INSTITUTIONS]


def rank_auc(value: np.ndarray, bad: np.ndarray) -> float:
    """Mann-Whitney with mid-ranks, straight from its definition."""
    _, inverse, counts = np.unique(value, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    bads, goods = int(bad.sum()), int((1 - bad).sum())
    return float((ranks[bad == 1].sum() - bads * (bads + 1) / 2) / (bads * goods))


def test_dictionary_has_thirty_two_fields_in_four_dimensions() -> None:
    counts = Counter(field["dimension"] for field in room.room_fields())

    assert counts == {"operating": 9, "credit": 9, "behaviour": 8, "scenario": 6}
    assert all(field["text"] and field["text_zh"] and field["source_system"] for field in room.room_fields())


def test_every_number_has_a_plan_and_no_plan_is_unused() -> None:
    drawn_otherwise = {"industry", "industry_cycle_index"}

    assert {field["name"] for field in room.room_fields()} == set(DRAWS) | drawn_otherwise
    assert all(sum(weight**2 for weight in how.loadings.values()) < 1 for how in DRAWS.values())


def test_every_directed_field_shows_its_sign(drawn: list[room.Rows]) -> None:
    bad = np.concatenate([rows.bad for rows in drawn])
    wrong = []
    for field in room.room_fields():
        value = np.concatenate([rows.columns[field["name"]] for rows in drawn])
        known = ~np.isnan(value)
        auc = rank_auc(value[known], bad[known])
        if (field["risk_when_rising"] == "up" and auc <= 0.51) or (field["risk_when_rising"] == "down" and auc >= 0.49):
            wrong.append((field["name"], auc))

    assert wrong == []


def test_bad_rates_and_bounds_hold(drawn: list[room.Rows]) -> None:
    for institution, rows in zip(room.INSTITUTIONS, drawn, strict=True):
        assert abs(rows.bad.mean() - institution.bad_rate) < 0.015
        for field in room.room_fields():
            low, high = field.get("bounds", (0, len(field.get("levels", ())) - 1))
            value = rows.columns[field["name"]]
            known = value[~np.isnan(value)]
            assert known.size == 0 or (known.min() >= low and known.max() <= high), field["name"]


def test_a_source_is_missing_as_a_whole(drawn: list[room.Rows]) -> None:
    rural = drawn[2].columns

    assert np.isnan(rural["platform_order_growth"]).all()
    both = np.isnan(rural["vat_revenue_12m"]) & np.isnan(rural["gross_margin"])
    assert 0.25 < both.mean() < 0.4


def test_same_seed_same_bytes_and_another_seed_other_bytes(tmp_path: Path) -> None:
    files = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        folder = tmp_path / name
        folder.mkdir()
        room.write_room(folder, seed, SMALL)
        files.append({path.name: path.read_bytes() for path in folder.iterdir()})

    assert files[0] == files[1]
    assert files[0]["city_bank.csv"] != files[2]["city_bank.csv"]
    assert files[0]["schema.toml"] == files[2]["schema.toml"]


def test_files_have_the_declared_header_and_rows(tmp_path: Path) -> None:
    room.write_room(tmp_path, 0, SMALL)
    schema = tomllib.loads((tmp_path / "schema.toml").read_text(encoding="utf-8"))
    expected = [schema["time"]["field"], *(field["name"] for field in schema["field"]), schema["target"]["field"]]

    for institution in SMALL:
        lines = (tmp_path / f"{institution.name}.csv").read_text(encoding="utf-8").splitlines()
        assert lines[0].split(",") == expected
        assert len(lines) == institution.rows + 1
        assert {len(line.split(",")) for line in lines} == {len(expected)}
