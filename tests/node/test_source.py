"""Reading a bank's rows: exact values in, every broken rule named by column, count and first line, never by a value."""

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from node.dataset import read_dictionary
from node.source import read_table, scan_table
from privacy.errors import InputError
from risk.errors import InputError as SchemaError
from risk.table import Table
from tests.node.bank import HEADER, ROWS, SCHEMA, write_table

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SECRET = "777"


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "schema.toml"
    path.write_text(SCHEMA, encoding="utf-8")
    return path


def read(schema: Path, *rows: str, header: str = HEADER) -> Table:
    table = write_table(schema.parent / "alpha.csv", *rows, header=header)
    return read_table(table, read_dictionary(schema), "alpha")


def same(found: Table, name: str, expected: list[float]) -> None:
    np.testing.assert_array_equal(found.columns[name], np.array(expected))


def test_reads_numbers_flags_levels_months_and_leaves_out_the_refused(schema: Path) -> None:
    found = read(schema, *ROWS)

    assert (found.member, found.rows, found.bads) == ("alpha", 4, 2)
    assert set(found.columns) == {"turnover", "young", "industry", "region"}
    same(found, "turnover", [10.5, np.nan, -999, 1000])
    same(found, "young", [0, 1, np.nan, 1])
    same(found, "industry", [0, 2, 1, -1])
    same(found, "region", [0, 1, -1, 0])
    assert found.month is not None
    assert found.month.tolist() == [12 * 2007 + 1, 12 * 2007 + 2, 12 * 2007 + 11, -1]
    assert found.target.tolist() == [0, 1, 0, 1]
    kinds = {name: values.dtype.name for name, values in found.columns.items()}
    assert kinds == {"turnover": "float64", "young": "float64", "industry": "int16", "region": "int16"}


def test_the_order_of_columns_does_not_matter(schema: Path) -> None:
    forward = read(schema, *ROWS)
    backward = ["bad", "accepted", "region", "turnover", "industry", "month", "young", "note", "borrower"]
    lines = list(csv.DictReader([HEADER, *ROWS]))
    rows = [",".join(f'"{line[name]}"' for name in backward) for line in lines]

    shuffled = read(schema, *rows, header=",".join(backward))

    for name, values in forward.columns.items():
        np.testing.assert_array_equal(shuffled.columns[name], values)


def test_byte_order_mark_crlf_and_blank_lines_at_the_end_change_nothing(schema: Path) -> None:
    expected = read(schema, *ROWS)
    path = schema.parent / "alpha.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join((HEADER, *ROWS, "", "", "")).encode("utf-8"))

    found = read_table(path, read_dictionary(schema), "alpha")

    assert found.rows == expected.rows
    for name, values in expected.columns.items():
        np.testing.assert_array_equal(found.columns[name], values)


@pytest.mark.parametrize(
    ("column", "cell", "code", "says"),
    [
        ("bad", "", "table-empty", "column bad: 1 row empty, first at line 4; expected 0 or 1"),
        ("bad", "2", "table-not-0-or-1", "column bad: 1 row not 0 or 1, first at line 4"),
        ("bad", "NaN", "table-not-0-or-1", "line 4"),
        ("bad", "yes", "table-not-0-or-1", "line 4"),
        ("accepted", "", "table-empty", "column accepted"),
        ("accepted", "2", "table-not-0-or-1", "column accepted"),
        ("turnover", "1000.5", "table-out-of-bounds", "column turnover: 1 row out of bounds, first at line 4"),
        ("turnover", "-1", "table-out-of-bounds", "expected 0 to 1000 CNY"),
        ("turnover", f"{SECRET}x", "table-not-a-number", "expected a finite number"),
        ("turnover", " 5", "table-not-a-number", "line 4"),
        ("turnover", "1_0", "table-not-a-number", "line 4"),
        ("turnover", "NaN", "table-not-a-number", "line 4"),
        ("turnover", "-inf", "table-not-a-number", "line 4"),
        ("turnover", "7" * 400, "table-not-a-number", "line 4"),
        ("young", SECRET, "table-not-0-or-1", "column young"),
        ("young", "0.5", "table-not-0-or-1", "column young"),
        ("young", "true", "table-not-0-or-1", "column young"),
        ("industry", SECRET, "table-unknown-level", "expected one of its 3 declared levels"),
        ("industry", "31.0", "table-unknown-level", "line 4"),
        ("industry", " 31", "table-unknown-level", "line 4"),
        ("region", SECRET, "table-unknown-level", "column region"),
        ("month", "2007-13", "table-not-a-date", "expected a date written %Y-%m"),
        ("month", SECRET, "table-not-a-date", "line 4"),
    ],
)
def test_refuses_a_broken_cell_with_line_and_never_its_value(
    schema: Path, column: str, cell: str, code: str, says: str
) -> None:
    lines = list(csv.DictReader([HEADER, *ROWS]))
    lines[2][column] = cell
    rows = [",".join(f'"{value}"' for value in line.values()) for line in lines]

    with pytest.raises(InputError) as caught:
        read(schema, *rows)

    assert caught.value.code == code
    assert says in caught.value.message
    assert SECRET not in caught.value.message


def test_counts_all_rows_of_all_problems(schema: Path) -> None:
    lines = list(csv.DictReader([HEADER, *ROWS]))
    for place in (1, 3):
        lines[place]["turnover"] = "-5"
    lines[0]["industry"] = "x"
    rows = [",".join(f'"{value}"' for value in line.values()) for line in lines]
    table = write_table(schema.parent / "alpha.csv", *rows)

    scan = scan_table(table, read_dictionary(schema), "alpha")

    assert scan.table is None
    found = [(problem.column, problem.kind, problem.rows, problem.first) for problem in scan.problems]
    assert found == [("turnover", "out-of-bounds", 2, 3), ("industry", "unknown-level", 1, 2)]
    with pytest.raises(InputError, match=r"2 rows out of bounds, first at line 3.*and 1 more problem,"):
        read(schema, *rows)


def test_line_numbers_are_right_where_refused_rows_come_first(schema: Path) -> None:
    with pytest.raises(InputError, match="column turnover: 1 row out of bounds, first at line 4"):
        read(schema, ROWS[4], ROWS[4], "b9,2007-02,1,-5,0,31,north,0.5,0")


def test_a_refused_application_needs_no_target_and_breaks_no_rule(schema: Path) -> None:
    found = read(schema, ROWS[0], "b9,x,0,-5,7,x,x,x,9")

    assert found.rows == 1


def test_an_absent_column_is_missing_everywhere_with_one_warning(schema: Path) -> None:
    table = write_table(schema.parent / "alpha.csv", "1,0", "2,1", header="turnover,bad")
    warnings: list[str] = []

    found = read_table(table, read_dictionary(schema), "alpha", warnings.append)

    assert np.isnan(found.columns["young"]).all()
    assert found.columns["industry"].tolist() == [-1, -1]
    assert found.month is not None
    assert found.month.tolist() == [-1, -1]
    assert len(warnings) == 2
    assert all(name in warnings[0] for name in ("young", "industry", "region", "month", "accepted"))
    assert "note" not in warnings[0]
    assert "borrower" not in warnings[0]
    assert "no column borrower says whose a row is, so jobs with noise will be refused" in warnings[1]
    assert found.borrower is None


def test_rows_of_one_borrower_have_one_digest_and_a_row_without_id_has_none(schema: Path) -> None:
    rows = ("b1,0,1", "b2,1,1", "b1,0,0", ",1,1", "b1,1,1", ",0,1")
    table = write_table(schema.parent / "alpha.csv", *rows, header="borrower,bad,accepted")

    found = read_table(table, read_dictionary(schema), "alpha")

    assert found.borrower is not None and found.borrower.shape == (5, 16)
    first, second, third, fourth, fifth = (row.tobytes() for row in found.borrower)
    assert first == fourth != second and any(first) and any(second)
    assert third == fifth == bytes(16)
    assert "borrower" not in found.columns and b"b1" not in first


@pytest.mark.parametrize(
    ("header", "rows", "code", "says"),
    [
        ("turnover,bad,owner", ["1,0,x"], "column-undeclared", "undeclared column owner"),
        (f"turnover,bad,{SECRET}", ["1,0,x"], "column-undeclared", "undeclared column number 3"),
        (f"1,0,{SECRET}", ["1,0,3"], "table-header", "no column is one that the schema declares"),
        ("turnover;bad", ["1;0"], "table-header", "separated by commas"),
        ("turnover,young", ["1,0"], "target-absent", "the target column bad is absent"),
        ("turnover,bad,turnover", ["1,0,2"], "column-repeated", "columns 1 and 3 have one name"),
        ("turnover,bad,", ["1,0,2"], "table-header", "column 3 has no name"),
        ("turnover,bad", [], "table-empty", "no rows"),
        ("turnover,accepted,bad", ["1,0,0"], "table-empty", "no row is an accepted application"),
    ],
)
def test_refuses_a_wrong_header(schema: Path, header: str, rows: list[str], code: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        read(schema, *rows, header=header)

    assert caught.value.code == code
    assert says in caught.value.message
    assert SECRET not in caught.value.message


def test_refuses_an_unknown_key_in_the_schema(schema: Path) -> None:
    schema.write_text(SCHEMA + "\ncolour = 3\n", encoding="utf-8")

    with pytest.raises(SchemaError, match="unknown key 'colour'"):
        read_dictionary(schema)


def test_parquet_gives_the_same_table(schema: Path) -> None:
    expected = read(schema, *ROWS)
    frame = pl.DataFrame(
        {
            "borrower": ["b1", "b2", "b3", "b4", "b5"],
            "month": ["2007-02", "2007-03", "2007-12", None, "2008-01"],
            "accepted": [True, True, True, True, False],
            "turnover": [10.5, None, -999.0, 1000.0, 5.0],
            "young": [0, 1, None, 1, 0],
            "industry": ["31", "farm, fish", "52", None, "31"],
            "region": pl.Series(["north", "south", None, "north", "north"], dtype=pl.Categorical),
            "bad": [0, 1, 0, 1, None],
        }
    )
    path = schema.parent / "alpha.parquet"
    frame.write_parquet(path)

    found = read_table(path, read_dictionary(schema), "alpha")

    for name, values in expected.columns.items():
        np.testing.assert_array_equal(found.columns[name], values)
    np.testing.assert_array_equal(found.month, expected.month)
    np.testing.assert_array_equal(found.target, expected.target)


@pytest.mark.parametrize("room", ["sba", "uci"])
def test_real_rooms_read_as_the_standard_library_reads_them(room: str) -> None:
    if not (SHARED / room).is_dir():
        pytest.skip(f"the shared room {room} is not on this machine")
    dictionary = read_dictionary(SHARED / room / "schema.toml")
    for path in sorted((SHARED / room).glob("*.csv"))[:3]:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        found = read_table(path, dictionary, path.stem)
        assert found.target.tolist() == [int(row[dictionary.target.field]) for row in rows]
        for field in dictionary.fields:
            texts = [row[field.name] for row in rows]
            if field.kind == "category":
                assert found.columns[field.name].tolist() == [field.levels.index(t) if t else -1 for t in texts]
            else:
                same(found, field.name, [float(t) if t else np.nan for t in texts])


def test_rejected_rows_are_read_beside_the_others_as_far_as_they_break_no_rule(schema: Path) -> None:
    header = "turnover,accepted,bad,industry,month"
    lines = ["10,1,0,,2007-02", "20,0,,,2007-03", "x,0,,,2007-03", "30,0,1,,soon", "40,0,,,", "99999999999,0,,,2007-04"]
    found = read(schema, *lines, header=header)
    assert found.rows == 1 and found.rejects is not None
    assert found.rejects.columns["turnover"].tolist() == [20, 40] and found.rejects.target.tolist() == [0, 0]
    assert found.rejects.month is not None and found.rejects.month.tolist() == [12 * 2007 + 2, -1]
    assert set(found.rejects.columns) == set(found.columns)
    assert read(schema, "10,1,0,,2007-02", header=header).rejects is None
