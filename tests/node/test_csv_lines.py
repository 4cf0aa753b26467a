"""The shape of a CSV file: cells a line, quoting, text; any break is refused with its line and without its content."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.csv_lines import CsvShape, read_shape
from privacy.errors import InputError


def shape(tmp_path: Path, raw: bytes) -> CsvShape:
    path = tmp_path / "a.csv"
    path.write_bytes(raw)
    return read_shape(path)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a,b\n1,2\n3,4\n", CsvShape(("a", "b"), 2)),
        (b"a,b\r\n1,2\r\n3,4", CsvShape(("a", "b"), 2)),
        (b"\xef\xbb\xbfa,b\n1,2\n\n\r\n\n", CsvShape(("a", "b"), 1)),
        (b'a,"b,c"\n"1,5","x""y"\n', CsvShape(("a", "b,c"), 1)),
        (b"a,b\n,\n", CsvShape(("a", "b"), 1)),
        (b'a,b\n"",\n', CsvShape(("a", "b"), 1)),
        (b"a", CsvShape(("a",), 0)),
        ("利润,b\n".encode(), CsvShape(("利润", "b"), 0)),
    ],
)
def test_counts_header_and_rows(tmp_path: Path, raw: bytes, expected: CsvShape) -> None:
    assert shape(tmp_path, raw) == expected


@pytest.mark.parametrize(
    ("raw", "code", "says"),
    [
        (b"", "table-empty", "empty"),
        (b"\na,b\n1,2\n", "table-header", "line 1"),
        (b"a,b\r1,2\r", "table-line-ends", "CR alone"),
        (b"a,b\n1,2\n1,2,777\n", "table-ragged", "line 3 has 3 cells, expected 2"),
        (b"a,b\n1,2\n777\n", "table-ragged", "line 3 has 1 cells, expected 2"),
        (b"a,b\n1,2\n\n777,2\n", "table-blank-line", "line 3 is empty"),
        (b'a,b\n1,"777\n3,4\n', "table-quotes", "line 2"),
        (b'a,b\n1,777"8\n', "table-quotes", "line 2"),
        (b'a,b\n1,"777"8\n', "table-quotes", "line 2"),
        (b'a,b\n"1,2",3,777\n', "table-ragged", "line 2 has 3 cells"),
        (b"a,b\n1,caf\xe9777\n", "table-encoding", "line 2 is not UTF-8"),
        (b"a,b\n1,2\n1,\x00777\n", "table-encoding", "line 3 holds a zero byte"),
        ("a,b\n1,2\n".encode("utf-16"), "table-encoding", "line 1"),
        (b"a,b\n1," + b"7" * (1 << 20) + b"\n", "table-long-line", "line 2 is longer than 1 MiB"),
    ],
)
def test_refuses_a_break_with_its_line(tmp_path: Path, raw: bytes, code: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        shape(tmp_path, raw)

    assert caught.value.code == code
    assert says in caught.value.message
    assert "777" not in caught.value.message


cells = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r\n"), max_size=6)


@given(st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1)))
def test_agrees_with_the_standard_writer(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_MINIMAL).writerows([["h"] * len(rows[0]), *rows])
    folder = tmp_path_factory.mktemp("csv")

    found = shape(folder, text.getvalue().encode("utf-8"))

    assert found == CsvShape(("h",) * len(rows[0]), len(rows))
