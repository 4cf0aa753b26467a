"""The shared dictionary of a room: which fields exist, what they mean and within which bounds.

It parses the document that `tomllib` made of a `schema.toml` and refuses whatever it does not know. It reads no
file and sees no borrower. Theory: bounds, levels and the direction of risk are declared by the members together
and never taken from anybody's rows, so that nothing about a row leaks through a range, and every member cuts the
same field in the same way.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from risk.errors import InputError

__all__ = ["DIMENSIONS", "Dictionary", "Field", "Target", "Time", "parse_dictionary"]

DIMENSIONS = ("operating", "credit", "behaviour", "scenario")
Kind = Literal["number", "flag", "category"]
Direction = Literal["up", "down", "free"]
Use = Literal["model", "segment", "ignore"]

MAX_FIELDS = 512
MAX_LEVELS = 2000
MAX_SPECIAL = 16
MAX_TEXT = 1000
MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class Target:
    """Name the column that says how a loan ended: 1 = bad, 0 = good."""

    field: str
    meaning: str
    definition: str | None = None
    window_months: int | None = None


@dataclass(frozen=True, slots=True)
class Time:
    """Name the column that dates a row, and its `strptime` format."""

    field: str
    format: str


@dataclass(frozen=True, slots=True)
class Field:
    """Describe one column of evidence.

    bounds: smallest and largest permitted value of a number, else None. levels: a category's values, in order.
    risk_when_rising: `up` when a larger value means more risk. special: values of a number that are codes, not
    amounts (they may lie outside the bounds); each is a bin of its own.
    """

    name: str
    dimension: str
    kind: Kind
    risk_when_rising: Direction
    text: str
    unit: str | None = None
    bounds: tuple[float, float] | None = None
    levels: tuple[str, ...] = ()
    text_zh: str | None = None
    source_system: str | None = None
    max_age_days: int | None = None
    segment: bool = False
    use: Use = "model"
    special: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Hold everything the members agreed on about their columns.

    accepted, borrower: the column that says whether an application was accepted, and the one that identifies a
    borrower (never a feature), or None.
    """

    name: str
    version: int
    title: str
    source: str
    target: Target
    fields: tuple[Field, ...]
    time: Time | None = None
    accepted: str | None = None
    borrower: str | None = None

    @property
    def model_fields(self) -> tuple[Field, ...]:
        """Return the fields that a model may use, in declared order."""
        return tuple(field for field in self.fields if field.use == "model")

    def field(self, name: str) -> Field:
        """Return the field of that name, or raise `KeyError`."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    def digest(self) -> str:
        """Return the SHA-256, in hex, of the canonical JSON of all that is declared."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()


def parse_dictionary(document: Mapping[str, Any], where: str) -> Dictionary:
    """Return the dictionary that a parsed schema document declares.

    document: what `tomllib` returned. where: name of the file, for messages. Raises `InputError` naming file,
    table and key for an unknown, absent or unusable key.
    """
    keys = _Keys(document, where, "top level")
    name, version = keys.name("name"), keys.integer("version", 1)
    title, source = keys.text("title"), keys.text("source")
    target = _target(keys.table("target"))
    time_keys = keys.optional_table("time")
    accepted_keys, borrower_keys = keys.optional_table("accepted"), keys.optional_table("borrower")
    dictionary = Dictionary(
        name=name,
        version=version,
        title=title,
        source=source,
        target=target,
        fields=tuple(_field(item) for item in keys.tables("field")),
        time=None if time_keys is None else _time(time_keys),
        accepted=None if accepted_keys is None else _only_field(accepted_keys),
        borrower=None if borrower_keys is None else _only_field(borrower_keys),
    )
    keys.close()
    _check_names(dictionary, where)
    return dictionary


class _Keys:
    """Take keys from one TOML table, each once, and refuse what is left."""

    def __init__(self, table: Mapping[str, Any], where: str, place: str) -> None:
        self.entries, self.where, self.place = table, where, place
        self.taken: set[str] = set()

    def refuse(self, code: str, what: str) -> InputError:
        return InputError(code, f"{self.where}: {self.place}: {what}")

    def take(self, key: str) -> Any:
        self.taken.add(key)
        return self.entries.get(key)

    def need(self, key: str) -> Any:
        value = self.take(key)
        if value is None:
            raise self.refuse("schema-key-missing", f"key '{key}' is missing; add it")
        return value

    def text(self, key: str) -> str:
        self.need(key)
        return cast(str, self.optional_text(key))

    def optional_text(self, key: str) -> str | None:
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT:
            raise self.refuse("schema-text", f"key '{key}' must be a text of 1 to {MAX_TEXT} characters")
        return value

    def name(self, key: str) -> str:
        value = self.text(key)
        if len(value) > MAX_NAME or value != value.strip() or not value.isprintable():
            raise self.refuse(
                "schema-name", f"key '{key}' must be 1 to {MAX_NAME} printable characters without outer spaces"
            )
        return value

    def integer(self, key: str, low: int) -> int:
        self.need(key)
        return cast(int, self.optional_integer(key, low))

    def optional_integer(self, key: str, low: int) -> int | None:
        value = self.take(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value < 2**31:
            raise self.refuse("schema-integer", f"key '{key}' must be a whole number of at least {low}")
        return value

    def truth(self, key: str) -> bool:
        value = self.take(key)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.refuse("schema-truth", f"key '{key}' must be true or false")
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        value = self.take(key) if default is not None else self.need(key)
        if value is None:
            return cast(str, default)
        if not isinstance(value, str) or value not in allowed:
            raise self.refuse("schema-choice", f"key '{key}' must be one of {', '.join(allowed)}")
        return value

    def numbers(self, key: str) -> tuple[float, ...]:
        value = self.take(key)
        if not isinstance(value, list) or not all(_is_number(item) for item in value):
            raise self.refuse("schema-numbers", f"key '{key}' must be a list of finite numbers")
        return tuple(float(item) + 0.0 for item in value)

    def table(self, key: str) -> "_Keys":
        value = self.need(key)
        if not isinstance(value, dict):
            raise self.refuse("schema-table", f"'{key}' must be a table, written [{key}]")
        return _Keys(value, self.where, f"[{key}]")

    def optional_table(self, key: str) -> "_Keys | None":
        return None if self.take(key) is None else self.table(key)

    def tables(self, key: str) -> "list[_Keys]":
        value = self.need(key)
        if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
            raise self.refuse("schema-fields", f"'{key}' must be tables written [[{key}]], at least one")
        if len(value) > MAX_FIELDS:
            raise self.refuse("schema-fields", f"{len(value)} fields, at most {MAX_FIELDS} are possible")
        places = [f"[[{key}]] {number}" for number in range(1, len(value) + 1)]
        return [
            _Keys(item, self.where, place + (f" ('{item['name']}')" if isinstance(item.get("name"), str) else ""))
            for item, place in zip(value, places, strict=True)
        ]

    def close(self) -> None:
        for key in self.entries:
            if key not in self.taken:
                known = ", ".join(sorted(self.taken))
                raise self.refuse("schema-key-unknown", f"unknown key '{key}'; known keys are {known}")

    def forbid(self, key: str, kind: str) -> None:
        if self.take(key) is not None:
            raise self.refuse("schema-key-misplaced", f"key '{key}' does not belong to a {kind}; remove it")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _target(keys: _Keys) -> Target:
    target = Target(
        field=keys.name("field"),
        meaning=keys.text("meaning"),
        definition=keys.optional_text("definition"),
        window_months=keys.optional_integer("window_months", 1),
    )
    keys.close()
    return target


def _time(keys: _Keys) -> Time:
    time = Time(field=keys.name("field"), format=keys.text("format"))
    keys.close()
    if "%Y" not in time.format or "%m" not in time.format:
        raise keys.refuse("schema-time", "key 'format' must hold %Y and %m, such as \"%Y-%m\"")
    return time


def _only_field(keys: _Keys) -> str:
    name = keys.name("field")
    keys.close()
    return name


def _field(keys: _Keys) -> Field:
    name = keys.name("name")
    kind = cast(Kind, keys.choice("type", ("number", "flag", "category")))
    direction = cast(Direction, keys.choice("risk_when_rising", ("up", "down", "free")))
    if kind == "category" and direction != "free":
        raise keys.refuse("schema-direction", "key 'risk_when_rising' of a category must be free: levels do not rise")
    unit, bounds, special = _number_keys(keys, kind)
    field = Field(
        name=name,
        dimension=keys.choice("dimension", DIMENSIONS),
        kind=kind,
        risk_when_rising=direction,
        text=keys.text("text"),
        unit=unit,
        bounds=bounds,
        levels=_levels(keys, kind),
        text_zh=keys.optional_text("text_zh"),
        source_system=keys.optional_text("source_system"),
        max_age_days=keys.optional_integer("max_age_days", 1),
        segment=keys.truth("segment"),
        use=cast(Use, keys.choice("use", ("model", "segment", "ignore"), "model")),
        special=special,
    )
    keys.close()
    return field


def _number_keys(keys: _Keys, kind: Kind) -> tuple[str | None, tuple[float, float] | None, tuple[float, ...]]:
    if kind != "number":
        for key in ("unit", "bounds", "special"):
            keys.forbid(key, kind)
        return None, None, ()
    unit = keys.text("unit")
    keys.need("bounds")
    bounds = keys.numbers("bounds")
    if len(bounds) != 2 or not bounds[0] < bounds[1]:
        raise keys.refuse("schema-bounds", "key 'bounds' must be two numbers, the smaller first")
    special = () if keys.take("special") is None else keys.numbers("special")
    if len(special) > MAX_SPECIAL or len(set(special)) != len(special):
        raise keys.refuse("schema-special", f"key 'special' must be at most {MAX_SPECIAL} different numbers")
    return unit, (bounds[0], bounds[1]), tuple(sorted(special))


def _levels(keys: _Keys, kind: Kind) -> tuple[str, ...]:
    if kind != "category":
        keys.forbid("levels", kind)
        return ()
    value = keys.need("levels")
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise keys.refuse("schema-levels", "key 'levels' must be a list of texts in quotes")
    if not 2 <= len(value) <= MAX_LEVELS or len(set(value)) != len(value):
        raise keys.refuse("schema-levels", f"key 'levels' must hold 2 to {MAX_LEVELS} different texts")
    return tuple(value)


def _check_names(dictionary: Dictionary, where: str) -> None:
    places = {dictionary.target.field: "[target]"}
    others = [("[accepted]", dictionary.accepted), ("[borrower]", dictionary.borrower)]
    others.append(("[time]", dictionary.time.field if dictionary.time else None))
    others += [(f"[[field]] {number}", field.name) for number, field in enumerate(dictionary.fields, start=1)]
    for place, name in others:
        if name is None:
            continue
        if name in places:
            raise InputError(
                "schema-name-twice",
                f"{where}: {place}: column '{name}' is already declared by {places[name]}; a column has one role",
            )
        places[name] = place
    if not dictionary.model_fields:
        raise InputError("schema-fields", f'{where}: no field has use = "model"; declare at least one')
