"""The file itself: suffix, format, Parquet types; whatever the parser says about cells stays inside."""

import hashlib
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from node.dataset import read_dictionary
from node.table_file import read_cells
from privacy.errors import InputError
from tests.node.bank import HEADER, ROWS, SCHEMA, write_table


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "schema.toml"
    path.write_text(SCHEMA, encoding="utf-8")
    return path


def parquet(schema: Path, **columns: object) -> Path:
    path = schema.parent / "a.parquet"
    pl.DataFrame({"bad": [0, 1], **columns}).write_parquet(path)
    return path


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("turnover", ["1", "2"], "column turnover has the type String, expected numbers"),
        ("turnover", [[1], [2]], "column turnover has the type List"),
        ("young", ["0", "1"], "column young has the type String"),
        ("industry", [31.0, 52.0], "column industry has the type Float64, expected text or whole numbers"),
        ("month", [200701, 200702], "column month has the type Int64, expected dates or text"),
        ("bad", ["0", "1"], "column bad has the type String"),
    ],
)
def test_refuses_a_parquet_column_of_the_wrong_type(schema: Path, name: str, values: list[object], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        read_cells(parquet(schema, **{name: values}), read_dictionary(schema))

    assert caught.value.code == "column-type"


def test_whole_numbers_stand_for_levels_and_dates_for_months(schema: Path) -> None:
    path = parquet(schema, industry=[52, 31], month=[date(2007, 2, 28), None], turnover=[None, None])

    cells = read_cells(path, read_dictionary(schema))

    assert cells.take("industry").tolist() == [1, 0]
    assert cells.take("month").tolist() == [12 * 2007 + 1, -1]
    assert (cells.unit, cells.first_place, cells.rows) == ("row", 1, 2)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_parquet_value_that_is_not_finite_is_marked_and_not_missing(schema: Path, value: float) -> None:
    cells = read_cells(parquet(schema, turnover=[value, None]), read_dictionary(schema))

    broken, missing = cells.take("turnover").tolist()
    assert broken == float("inf")
    assert missing != missing


def test_refuses_files_that_are_something_else(schema: Path, tmp_path: Path) -> None:
    whole = parquet(schema)
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(whole.read_bytes()[:-20] + b"PAR1")
    text = write_table(tmp_path / "text.parquet", *ROWS)
    disguised = tmp_path / "disguised.csv"
    disguised.write_bytes(whole.read_bytes())
    other = write_table(tmp_path / "a.xlsx", *ROWS)
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    dictionary = read_dictionary(schema)

    codes = []
    for path in (damaged, text, disguised, other, folder, tmp_path / "absent.csv"):
        with pytest.raises(InputError) as caught:
            read_cells(path, dictionary)
        codes.append(caught.value.code)
        assert "\n" not in caught.value.message

    assert codes == ["table-format"] * 3 + ["table-suffix"] + ["file-unreadable"] * 2


def test_an_ignored_column_is_never_read(schema: Path) -> None:
    table = write_table(schema.parent / "a.csv", *ROWS)

    cells = read_cells(table, read_dictionary(schema))

    assert cells.names == set(HEADER.split(",")) - {"note"}


def test_of_a_borrower_s_id_a_digest_is_all_that_is_read(schema: Path) -> None:
    rows = ["7,0", ",0", "8,1", "7,1", "é,1"]
    path = write_table(schema.parent / "a.csv", *rows, header="borrower,bad")
    cells = read_cells(path, read_dictionary(schema))
    digests = [row.tobytes() for row in cells.take_digests("borrower")]
    expected = [hashlib.sha256(b"creditmesh borrower/1|" + row[:-2].encode()).digest()[:16] for row in rows]
    assert digests == [expected[0], bytes(16), *expected[2:]]
    for kept in (pl.Series([7, None, 8, 7, 9]), pl.Series(["7", "", "8", "7", "9"], dtype=pl.Categorical)):
        frame = pl.DataFrame({"borrower": kept, "bad": [0, 0, 1, 1, 1]})
        frame.write_parquet(schema.parent / "a.parquet")
        other = read_cells(schema.parent / "a.parquet", read_dictionary(schema))
        assert [row.tobytes() for row in other.take_digests("borrower")][:4] == digests[:4]
    pl.DataFrame({"borrower": [1.5], "bad": [0]}).write_parquet(schema.parent / "a.parquet")
    with pytest.raises(InputError, match="borrower has the type Float64, expected text or whole numbers"):
        read_cells(schema.parent / "a.parquet", read_dictionary(schema))
