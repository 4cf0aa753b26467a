"""Every mistake on the command line is one line on standard error and exit code 2, before any process starts."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from creditmesh_demo.cli import main


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> str:
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert code == 2
        assert said.err.startswith("creditmesh-demo: ") and said.err.count("\n") == 1
        assert "Traceback" not in said.err and not (tmp_path / "creditmesh-run").exists()
        return said.err

    return run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--recipes", "magic"], "'magic' is not installed"),
        (["--recipes", "scorecard,scorecard"], "twice"),
        (["--recipes", ""], "'' is not installed"),
        (["--holdout", "0"], "expected a number from 0.05 to 0.9"),
        (["--holdout", "nan"], "expected a number from 0.05 to 0.9"),
        (["--holdout", "half"], "found 'half'"),
        (["--seed", "-1"], "expected a whole number from 0"),
        (["--seed", "1.5"], "expected a whole number"),
        (["--kill", "city_bank"], "expected MEMBER@ROUND"),
        (["--kill", "city_bank@0"], "expected MEMBER@ROUND"),
        (["--kill", "city_bank@3:at-lunch"], "before-upload|after-upload|before-reveal"),
        (["--data", "nowhere"], "cannot be read as a data room"),
        (["--nonsense"], "unrecognized arguments"),
        (["extra"], "unrecognized arguments"),
    ],
)
def test_mistakes_on_the_command_line(tried: Callable[..., str], arguments: list[str], said: str) -> None:
    assert said in tried(*arguments)


def test_a_room_of_three_is_refused_with_the_reason(tried: Callable[..., str], tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    for name in ("schema.toml", "a.csv", "b.csv", "c.csv"):
        (room / name).touch()

    assert "a secure sum needs at least 4" in tried("--data", room)


def test_an_output_folder_with_something_in_it_is_refused(tried: Callable[..., str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious").touch()

    assert "is not empty" in tried("--out", out)
    assert [entry.name for entry in out.iterdir()] == ["precious"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_folder_that_cannot_be_written_is_refused(tried: Callable[..., str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o500)

    assert "cannot be written" in tried("--out", out)


def test_an_output_folder_below_a_file_is_refused(tried: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert "cannot be written (not a directory)" in tried("--out", tmp_path / "file" / "out")


def test_a_broken_schema_is_refused_before_anything_starts(tried: Callable[..., str], tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    for name in ("a.csv", "b.csv", "c.csv", "d.csv"):
        (room / name).touch()
    (room / "schema.toml").write_text("name = \n", encoding="utf-8")
    assert "not a TOML file" in tried("--data", room, "--out", tmp_path / "one")

    (room / "schema.toml").write_text('name = "x"\nversion = 1\ncolour = "red"\n', encoding="utf-8")
    assert "schema.toml" in tried("--data", room, "--out", tmp_path / "two")


def test_a_victim_that_is_not_in_the_room_is_refused(tried: Callable[..., str], tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    for name in ("schema.toml", "a.csv", "b.csv", "c.csv", "d.csv"):
        (room / name).touch()

    assert "stranger is not in the room; there are a, b, c, d" in tried(
        "--data", room, "--kill", "stranger@1", "--out", "x"
    )
