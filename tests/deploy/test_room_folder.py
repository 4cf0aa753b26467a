"""Which files of a folder make a data room, and what is said when they do not."""

from pathlib import Path

import pytest
from creditmesh_demo.room_folder import open_room

from privacy.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("schema.toml", "alpha.csv", "beta.parquet", "gamma-2.csv", "d_e.csv"):
        (tmp_path / name).touch()
    return tmp_path


def refusal(folder: Path) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        open_room(folder)
    assert "\n" not in caught.value.message
    return caught.value.code, caught.value.message


def test_institutions_are_the_well_named_tables_in_order(folder: Path) -> None:
    for name in ("notes.txt", "README.md", "Alpha.csv", "-x.csv", "a b.csv", "x" * 64 + ".csv", ".hidden.csv"):
        (folder / name).touch()
    (folder / "subfolder.csv").mkdir()

    room = open_room(folder)

    assert list(room.tables) == ["alpha", "beta", "d_e", "gamma-2"]
    assert room.tables["beta"] == folder / "beta.parquet"
    assert set(room.ignored) == {"Alpha.csv", "-x.csv", "a b.csv", "x" * 64 + ".csv", ".hidden.csv"}
    assert room.name == folder.name


def test_two_files_for_one_institution_are_refused(folder: Path) -> None:
    (folder / "alpha.parquet").touch()

    code, message = refusal(folder)

    assert code == "institution-twice"
    assert "alpha.csv" in message and "alpha.parquet" in message


def test_three_institutions_are_refused_with_the_reason(folder: Path) -> None:
    (folder / "alpha.csv").rename(folder / "Alpha.csv")

    code, message = refusal(folder)

    assert code == "room-too-small"
    assert "3 institutions" in message and "at least 4" in message and "Alpha.csv" in message


def test_missing_schema_and_missing_folder_are_refused(folder: Path) -> None:
    (folder / "schema.toml").unlink()

    assert refusal(folder)[0] == "room-schema-missing"
    assert refusal(folder / "nowhere")[0] == "room-unreadable"
    assert refusal(folder / "alpha.csv")[0] == "room-unreadable"


def test_more_than_256_institutions_are_refused(folder: Path) -> None:
    for number in range(253):
        (folder / f"bank{number}.csv").touch()

    assert refusal(folder)[0] == "room-too-large"
