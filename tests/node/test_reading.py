"""A table read in a process of its own is the table, its warnings and its refusals."""

import sys
from pathlib import Path

import numpy as np
import pytest

from node import reading
from node.dataset import read_dictionary
from node.source import read_table as read_here
from privacy.errors import InputError

SCHEMA = """
name = "tiny"
version = 1
title = "tiny"
source = "made here"
[target]
field = "bad"
meaning = "1 = bad"
[time]
field = "month"
format = "%Y-%m"
[[field]]
name = "share"
dimension = "credit"
type = "number"
unit = "ratio"
bounds = [0, 1]
risk_when_rising = "up"
text = "a share"
[[field]]
name = "kind"
dimension = "scenario"
type = "category"
levels = ["a", "b"]
risk_when_rising = "free"
text = "a kind"
[[field]]
name = "gone"
dimension = "behaviour"
type = "flag"
risk_when_rising = "free"
text = "a flag that the file lacks"
"""


def files(folder: Path, rows: str) -> tuple[Path, Path]:
    table, schema = folder / "bank.csv", folder / "schema.toml"
    table.write_text("share,kind,month,bad\n" + rows)
    schema.write_text(SCHEMA)
    return table, schema


def test_the_table_comes_over_whole(tmp_path: Path) -> None:
    table, schema = files(tmp_path, "0.25,a,2020-01,0\n,b,2021-12,1\n0.5,,2020-02,0\n")
    warnings: list[str] = []

    got = reading.read_table(table, schema, "bank", warnings.append)

    expected = read_here(table, read_dictionary(schema), "bank")
    assert list(got.columns) == list(expected.columns)
    for name, values in expected.columns.items():
        assert got.columns[name].dtype == values.dtype
        np.testing.assert_array_equal(got.columns[name], values)
    np.testing.assert_array_equal(got.target, expected.target)
    assert got.month is not None
    np.testing.assert_array_equal(got.month, expected.month)
    assert len(warnings) == 1 and "gone" in warnings[0]
    assert got.borrower is None


def test_borrowers_come_over_as_digests(tmp_path: Path) -> None:
    table, schema = files(tmp_path, "")
    table.write_text("firm,share,bad\n7,0.25,0\n,0.5,1\n7,0.5,1\n")
    schema.write_text(SCHEMA + '[borrower]\nfield = "firm"\n')

    got = reading.read_table(table, schema, "bank", lambda _text: None)

    expected = read_here(table, read_dictionary(schema), "bank").borrower
    assert got.borrower is not None and expected is not None
    np.testing.assert_array_equal(got.borrower, expected)
    assert got.borrower.dtype == np.uint8 and got.borrower.any(axis=1).tolist() == [True, False, True]


@pytest.mark.parametrize(("rows", "code"), [("2.5,a,2020-01,0\n", "table-out-of-bounds"), ("", "table-empty")])
def test_a_refusal_comes_over_with_its_code(tmp_path: Path, rows: str, code: str) -> None:
    table, schema = files(tmp_path, rows)
    with pytest.raises(InputError) as here:
        read_here(table, read_dictionary(schema), "bank")

    with pytest.raises(InputError) as apart:
        reading.read_table(table, schema, "bank", pytest.fail)

    assert (apart.value.code, apart.value.message) == (here.value.code, here.value.message)
    assert code.partition("-")[0] in apart.value.code


def test_a_reader_that_dies_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, schema = files(tmp_path, "0.25,a,2020-01,0\n")
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(InputError) as refused:
        reading.read_table(table, schema, "bank", pytest.fail)

    assert refused.value.code == "table-reader"
    assert str(table) in refused.value.message
