"""Take the keys of a parsed TOML table one by one, strictly.

It reads no file. Theory: a policy is checked whole before it decides anything: every key is taken once, a missing, an
unknown or an out-of-range one is refused in one line that names file, table and key, and nothing has a silent default.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from risk.errors import InputError

__all__ = ["StrictKeys"]

_MOST_TEXT = 1000
_MOST_ITEMS = 512


class StrictKeys:
    """Hold one TOML table while its keys are taken."""

    def __init__(self, table: Any, where: str, place: str) -> None:
        """Begin with a table; where: the file's name, place: the table's name, both for messages."""
        if not isinstance(table, Mapping):
            raise InputError("policy-table", f"{where}: '{place}' must be a table, written [{place}]")
        self._entries, self._where, self._place = table, where, place
        self._taken: set[str] = set()

    def refuse(self, key: str, expected: str) -> InputError:
        """Return the error that says what `key` must be."""
        place = f"{self._place}." if self._place else ""
        return InputError("policy-key", f"{self._where}: {place}{key} must be {expected}")

    def has(self, key: str) -> bool:
        """Say whether the table has the key."""
        return key in self._entries

    def take(self, key: str) -> Any:
        """Return the key's value; raise `InputError` where it is missing."""
        self._taken.add(key)
        if key not in self._entries:
            place = f"{self._place}." if self._place else ""
            raise InputError("policy-key-missing", f"{self._where}: key {place}{key} is missing; add it")
        return self._entries[key]

    def text(self, key: str, most: int = _MOST_TEXT) -> str:
        """Return a text of 1 to `most` printable characters."""
        value = self.take(key)
        if not isinstance(value, str) or not value.strip() or len(value) > most or not value.isprintable():
            raise self.refuse(key, f"a text of 1 to {most} printable characters in quotes")
        return value

    def whole(self, key: str, low: int, high: int) -> int:
        """Return a whole number from low to high."""
        value = self.take(key)
        if type(value) is not int or not low <= value <= high:
            raise self.refuse(key, f"a whole number from {low} to {high}")
        return value

    def number(self, key: str, low: float, high: float) -> float:
        """Return a finite number from low to high."""
        return self._number(key, self.take(key), low, high)

    def truth(self, key: str) -> bool:
        """Return true or false."""
        value = self.take(key)
        if type(value) is not bool:
            raise self.refuse(key, "true or false")
        return value

    def numbers(self, key: str, count: int, low: float, high: float) -> tuple[float, ...]:
        """Return exactly `count` finite numbers from low to high."""
        value = self.take(key)
        if not isinstance(value, list) or len(value) != count:
            raise self.refuse(key, f"a list of {count} numbers")
        return tuple(self._number(key, item, low, high) for item in value)

    def texts(self, key: str, least: int = 0) -> tuple[str, ...]:
        """Return at least `least` different texts."""
        value = self.take(key)
        fine = isinstance(value, list) and least <= len(value) <= _MOST_ITEMS
        if not fine or not all(isinstance(item, str) and 0 < len(item) <= _MOST_TEXT for item in value):
            raise self.refuse(key, f"a list of at least {least} texts in quotes")
        if len(set(value)) != len(value):
            raise self.refuse(key, "a list of different texts")
        return tuple(value)

    def table(self, key: str) -> "StrictKeys":
        """Return the table `key`."""
        return StrictKeys(self.take(key), self._where, key)

    def tables(self, key: str) -> "list[StrictKeys]":
        """Return the tables written [[key]]; none where the key is absent."""
        if key not in self._entries:
            return []
        value = self.take(key)
        if not isinstance(value, list) or len(value) > _MOST_ITEMS:
            raise self.refuse(key, f"tables written [[{key}]]")
        return [StrictKeys(item, self._where, f"{key}[{number}]") for number, item in enumerate(value, start=1)]

    def close(self) -> None:
        """Refuse a key that nobody took."""
        unknown: Sequence[str] = sorted(str(key) for key in self._entries if key not in self._taken)
        if unknown:
            place = f"{self._place}." if self._place else ""
            known = ", ".join(sorted(self._taken))
            raise InputError(
                "policy-key-unknown", f"{self._where}: unknown key {place}{unknown[0][:64]}; known keys are {known}"
            )

    def _number(self, key: str, value: Any, low: float, high: float) -> float:
        if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
            raise self.refuse(key, f"numbers from {low:g} to {high:g}")
        return float(value)
