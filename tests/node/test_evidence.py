"""The spreadsheet of both shells: no cell is ever a formula, and the same records give the same bytes."""

import io
import re
import zipfile
from pathlib import Path
from types import ModuleType

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import coordinator.evidence
import node.evidence
from privacy.errors import InputError
from risk.pack import Sheet
from tests.privacy.table import refused
from tests.risk.dossiers import HOSTILE, dossier_of

SHELLS = [coordinator.evidence, node.evidence]
TRICKS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", HOSTILE, "#N/A", "1e9", "TRUE",
          "2026-01-01", "{=1}", " =1", "\u202e=1", "\x00=1", "http://x/", "<f>1</f>", "=" * 9000]  # fmt: skip


def formulas(book: bytes) -> list[str]:
    """Return what any sheet would evaluate, from the file's own XML."""
    found = []
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        for name in archive.namelist():
            found += re.findall(r"<f[ >/][^<]*", archive.read(name).decode("utf-8")) if "sheet" in name else []
        found += [name for name in archive.namelist() if "vba" in name or "external" in name or "hyperlink" in name]
    return found


@pytest.mark.parametrize("shell", SHELLS)
def test_no_text_is_ever_a_formula(shell: ModuleType) -> None:
    book = shell.spreadsheet([Sheet("x", tuple((text, 1) for text in TRICKS))])
    assert formulas(book) == []
    page = openpyxl.load_workbook(io.BytesIO(book))["x"]
    for line, text in enumerate(TRICKS, 1):
        cell = page.cell(line, 1)
        assert cell.data_type == "s" and isinstance(cell.value, str)
        assert cell.quotePrefix is text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) or cell.value[0] == "\ufffd"


@settings(max_examples=30)
@given(
    rows=some.lists(
        some.tuples(some.text(max_size=30), some.integers() | some.floats() | some.booleans() | some.none())
    )
)
def test_whatever_stands_in_a_record_no_cell_is_a_formula(rows: list[tuple[str, int | float | bool | None]]) -> None:
    book = node.evidence.spreadsheet([Sheet("x", tuple(rows))])
    assert formulas(book) == []
    openpyxl.load_workbook(io.BytesIO(book))


def test_both_shells_write_the_same_book_and_the_same_bytes_twice() -> None:
    dossier = dossier_of("scorecard", validated=True)
    packs = [shell.pack_of(dossier, {"x.txt": b"y"}) for shell in SHELLS * 2]
    assert all(pack == packs[0] for pack in packs)
    assert formulas(packs[0]["evidence.xlsx"]) == []
    book = openpyxl.load_workbook(io.BytesIO(packs[0]["evidence.xlsx"]))
    assert {"summary", "bins", "coefficients", "points", "lineage", "sign-off", "v1 grades"} <= set(book.sheetnames)
    assert book["bins"].cell(2, 6).data_type == "n"


def test_a_pack_replaces_nothing_and_its_list_of_digests_holds(tmp_path: Path) -> None:
    files = node.evidence.pack_of(dossier_of("scorecard"), {})
    assert node.evidence.write_pack(files, tmp_path / "pack") == len(files)
    assert node.evidence.write_pack(files, tmp_path / "pack.zip") == len(files)
    for path in (tmp_path / "pack", tmp_path / "pack.zip"):
        with refused("output", InputError):
            node.evidence.write_pack(files, path)
    lines = (tmp_path / "pack" / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == len(files) - 1
    with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
