"""The lists beside a log: bound to its records, so that no change in them passes."""

from dataclasses import replace
from pathlib import Path

import pytest

from audit.cli import main
from audit.lists import check_lists
from tests.audit.test_secagg import Bank, honest, written

Lines = pytest.CaptureFixture[str]


def status(bank: Bank, lines: list[tuple[str, bytes]]) -> str:
    return check_lists(13, bank.events(), lines).status


def test_lists_that_records_name_pass() -> None:
    bank = honest()[0]
    assert status(bank, bank.lines()) == "passed"
    assert status(bank, [*bank.lines(), bank.lines()[0]]) == "passed"
    assert status(Bank("bank-z"), []) == "skipped"


def test_other_lists_fail() -> None:
    bank = honest()[0]
    first, second = bank.lines()
    other = [("rounds/job-1.jsonl", replace(bank.lists[1], aggregate_sha256="00" * 32).encode())]
    assert status(bank, [first, *other]) == "failed"
    assert status(bank, [first, second, *other]) == "failed"
    assert status(bank, [first, (second[0], second[1][:-5])]) == "failed"
    assert status(bank, [first]) == "incomplete"
    assert status(bank, [first, second, ("x", replace(bank.lists[1], position=9).encode())]) == "flagged"


def test_every_changed_bit_of_a_side_file_is_found(tmp_path: Path, capsys: Lines) -> None:
    folder = written(tmp_path)[0]
    path = folder / "rounds" / "job-1.jsonl"
    whole = path.read_bytes()
    assert main(["verify", "--no-state", str(folder)]) == 0
    for place in range(0, len(whole), 37):
        raw = bytearray(whole)
        raw[place] ^= 1 << place % 8
        path.write_bytes(bytes(raw))
        assert main(["verify", "--no-state", str(folder)]) in (1, 3), place
    path.unlink()
    assert main(["verify", "--no-state", str(folder)]) == 3
    capsys.readouterr()
