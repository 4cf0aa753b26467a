"""The check reports counts and lines, agrees with training about what is refused, and never shows a value."""

import json
from pathlib import Path

import pytest

from node.check import check_table
from node.config import PermitSettings
from node.dataset import read_dictionary
from node.source import read_table
from privacy.errors import InputError
from tests.node.bank import ROWS, make_bank, write_table

BROKEN = "b6,2007-77,1,77777,7,seventy-seven,north,0,1"


def test_a_good_table_is_fine(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)

    report = check_table(bank.table, bank.schema)

    assert report.ok
    assert (report.scan.rows, report.scan.bads, report.scan.left_out) == (4, 2, 1)
    assert report.scan.missing == {"turnover": 1, "young": 1, "industry": 1, "region": 1, "month": 1}
    assert report.warnings == ("1 rows left out: not an accepted application (accepted = 0)",)


def test_a_broken_table_is_counted_by_problem_without_a_value(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    write_table(bank.table, *ROWS, BROKEN, BROKEN)

    report = check_table(bank.table, bank.schema)

    document = json.loads(report.to_json())
    found = {(item["column"], item["kind"]): (item["rows"], item["first"]) for item in document["problems"]}
    assert found == {
        ("turnover", "out-of-bounds"): (2, 7),
        ("young", "not-0-or-1"): (2, 7),
        ("industry", "unknown-level"): (2, 7),
        ("month", "not-a-date"): (2, 7),
    }
    assert document["ok"] is False
    text = report.to_json() + "\n".join(report.lines())
    assert not any(value in text.replace(str(tmp_path), "") for value in ("77777", "seventy", "2007-77"))
    with pytest.raises(InputError):
        read_table(bank.table, read_dictionary(bank.schema), "alpha")


def test_the_permits_own_thresholds_warn_before_the_join(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)

    report = check_table(bank.table, bank.schema, PermitSettings(min_rows=5, min_bads=2))

    assert report.ok
    assert report.warnings[1:] == ("only 4 rows with a target; the permit asks for 5",)
