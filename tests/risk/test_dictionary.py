"""The dictionary: what it accepts, and one clear refusal for everything else."""

import copy
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from risk.dictionary import parse_dictionary
from risk.errors import InputError
from tests.risk.rooms import category, flag, number

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def document() -> dict[str, Any]:
    """Return a schema that is in order."""
    return {
        "name": "room",
        "version": 1,
        "title": "a room",
        "source": "made up",
        "target": {"field": "bad", "meaning": "1 = bad", "definition": "90 days late", "window_months": 12},
        "time": {"field": "month", "format": "%Y-%m"},
        "accepted": {"field": "taken"},
        "borrower": {"field": "firm"},
        "field": [
            number("turnover", special=[-1, -999], text_zh="营业额", source_system="VAT", max_age_days=90),
            flag("arrears", segment=True),
            category("trade", 3, use="segment"),
        ],
    }


def test_a_complete_document_is_understood() -> None:
    parsed = parse_dictionary(document(), "schema.toml")
    turnover = parsed.field("turnover")
    assert turnover.special == (-999.0, -1.0)
    assert turnover.bounds == (0.0, 1e12)
    assert (turnover.text_zh, turnover.max_age_days) == ("营业额", 90)
    assert [field.name for field in parsed.model_fields] == ["turnover", "arrears"]
    assert parsed.field("trade").levels == ("level 0", "level 1", "level 2")
    assert parsed.accepted == "taken" and parsed.borrower == "firm"
    assert parsed.time is not None and parsed.time.format == "%Y-%m"
    with pytest.raises(KeyError):
        parsed.field("firm")


def test_the_digest_changes_with_every_declared_thing() -> None:
    digests = {parse_dictionary(document(), "x").digest()}
    for path, value in [
        (("version",), 2),
        (("target", "window_months"), 13),
        (("field", 0, "bounds"), [0, 2e12]),
        (("field", 0, "risk_when_rising"), "down"),
        (("field", 2, "levels"), ["a", "b"]),
    ]:
        changed: Any = document()
        place = changed
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        digests.add(parse_dictionary(changed, "x").digest())
    assert len(digests) == 6
    assert parse_dictionary(document(), "another name").digest() in digests


def _set(*path: Any) -> Callable[[dict[str, Any]], None]:
    def change(target: dict[str, Any]) -> None:
        place: Any = target
        for key in path[:-2]:
            place = place[key]
        place[path[-2]] = path[-1]

    return change


def _drop(*path: Any) -> Callable[[dict[str, Any]], None]:
    def change(target: dict[str, Any]) -> None:
        place: Any = target
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


REFUSALS = [
    (_set("colour", "red"), "colour"),
    (_set("target", "colour", "red"), r"\[target\].*colour"),
    (_set("time", "zone", "UTC"), r"\[time\].*zone"),
    (_set("field", 0, "colour", "red"), r"\[\[field\]\] 1 \('turnover'\).*colour"),
    (_drop("name"), "'name' is missing"),
    (_drop("target"), "'target' is missing"),
    (_drop("field"), "'field' is missing"),
    (_drop("field", 0, "bounds"), "turnover.*'bounds' is missing"),
    (_drop("field", 0, "unit"), "'unit' is missing"),
    (_drop("field", 0, "text"), "'text' is missing"),
    (_drop("field", 0, "dimension"), "'dimension' is missing"),
    (_drop("field", 0, "risk_when_rising"), "'risk_when_rising' is missing"),
    (_drop("field", 2, "levels"), "trade.*'levels' is missing"),
    (_set("version", 0), "version"),
    (_set("version", True), "version"),
    (_set("version", "1"), "version"),
    (_set("title", "  "), "title"),
    (_set("target", "bad"), r"\[target\]"),
    (_set("field", []), "at least one"),
    (_set("field", {"name": "x"}), "at least one"),
    (_set("field", 0, "type", "float"), "number, flag, category"),
    (_set("field", 0, "dimension", "soft"), "operating, credit, behaviour, scenario"),
    (_set("field", 0, "risk_when_rising", "none"), "up, down, free"),
    (_set("field", 2, "risk_when_rising", "up"), "category must be free"),
    (_set("field", 0, "bounds", [5, 5]), "smaller first"),
    (_set("field", 0, "bounds", [0]), "two numbers"),
    (_set("field", 0, "bounds", [0, float("inf")]), "finite"),
    (_set("field", 0, "bounds", [0, True]), "finite numbers"),
    (_set("field", 0, "bounds", "0..1"), "finite numbers"),
    (_set("field", 0, "special", [1, 1]), "different"),
    (_set("field", 0, "special", [float("nan")]), "finite"),
    (_set("field", 0, "levels", ["a", "b"]), "does not belong to a number"),
    (_set("field", 1, "bounds", [0, 1]), "does not belong to a flag"),
    (_set("field", 1, "unit", "yes/no"), "does not belong to a flag"),
    (_set("field", 2, "special", [0]), "does not belong to a category"),
    (_set("field", 2, "levels", ["a"]), "2 to"),
    (_set("field", 2, "levels", ["a", "a"]), "different"),
    (_set("field", 2, "levels", [1, 2]), "texts in quotes"),
    (_set("field", 0, "max_age_days", 0), "max_age_days"),
    (_set("field", 1, "segment", "yes"), "true or false"),
    (_set("field", 0, "use", "maybe"), "model, segment, ignore"),
    (_set("field", 1, "name", "turnover"), "already declared"),
    (_set("field", 1, "name", "bad"), "already declared"),
    (_set("field", 1, "name", "firm"), r"already declared by \[borrower\]"),
    (_set("field", 1, "name", " x"), "outer spaces"),
    (_set("time", "format", "%Y"), "%Y and %m"),
    (_set("time", "field", "bad"), "already declared"),
]


@pytest.mark.parametrize(("change", "says"), REFUSALS, ids=[f"{i}-{says[:20]}" for i, (_, says) in enumerate(REFUSALS)])
def test_everything_else_is_refused_by_name(change: Callable[[dict[str, Any]], None], says: str) -> None:
    changed = copy.deepcopy(document())
    change(changed)
    with pytest.raises(InputError) as caught:
        parse_dictionary(changed, "schema.toml")
    assert caught.value.message.startswith("schema.toml: ")
    assert re.search(says, caught.value.message), caught.value.message
    assert "\n" not in caught.value.message


def test_a_room_without_a_model_field_is_refused() -> None:
    changed = document()
    for field in changed["field"]:
        field["use"] = "ignore"
    with pytest.raises(InputError, match="no field has use"):
        parse_dictionary(changed, "schema.toml")


@pytest.mark.parametrize(("room", "fields"), [("sba", 13), ("uci", 21)])
def test_the_real_rooms_are_understood(room: str, fields: int) -> None:
    path = SHARED / room / "schema.toml"
    if not path.exists():
        pytest.skip("the shared rooms are not on this machine")
    assert len(parse_dictionary(tomllib.loads(path.read_text("utf-8")), "schema.toml").model_fields) == fields
