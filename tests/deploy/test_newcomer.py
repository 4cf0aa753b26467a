"""A lender kept out of the demo's network: who can be one, at which sizes it is judged, and what is printed of it."""

from pathlib import Path

import pytest
from creditmesh_demo.cli import main
from creditmesh_demo.newcomer import newcomer_document, sizes_up_to, without
from creditmesh_demo.page.charts import newcomer
from creditmesh_demo.room_folder import RoomFolder

from privacy.errors import InputError
from risk.newcomer import NewcomerStep

NAMES = ("a", "b", "c", "d", "e")
ROOM = RoomFolder("room", Path("schema.toml"), {name: Path(f"{name}.csv") for name in NAMES}, ())


def test_the_room_goes_on_without_the_newcomer() -> None:
    rest, outside = without(ROOM, "c", 300)
    assert list(rest.tables) == ["a", "b", "d", "e"] and rest.schema == ROOM.schema
    assert (outside.bank, outside.rows, outside.path) == ("c", 300, Path("c.csv"))


@pytest.mark.parametrize(("room", "bank"), [(ROOM, "f"), (without(ROOM, "e", 50)[0], "a")])
def test_a_stranger_or_a_room_that_gets_too_small_is_refused(room: RoomFolder, bank: str) -> None:
    with pytest.raises(InputError, match="--newcomer"):
        without(room, bank, 300)


def test_sizes_end_with_the_rows_that_it_has() -> None:
    assert sizes_up_to(300) == (50, 100, 300)
    assert sizes_up_to(120) == (50, 100, 120)
    assert sizes_up_to(30) == (30,)


def test_the_document_and_the_drawing_bear_a_hold_out_of_one_class() -> None:
    steps = (NewcomerStep(50, 0.6, 0.7, 0.69, "mixed"), NewcomerStep(100, None, None, None, "own"))
    document = newcomer_document("c", steps)
    assert document["bank"] == "c"
    assert [step["auc_chosen"] for step in document["steps"]] == [0.69, None]
    for language in ("en", "zh"):
        assert newcomer(document["steps"], language).startswith("<svg")


@pytest.mark.parametrize("given", ["c", "c:", ":300", "c:19", "c:-5", "c:1e3", "c:٣٠٠"])
def test_a_newcomer_that_cannot_be_read_gives_one_line(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--newcomer", given]) == 2
    error = capsys.readouterr().err
    assert "--newcomer" in error and "BANK:ROWS" in error and error.count("\n") == 1
