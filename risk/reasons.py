"""Why a score is not higher, and what would raise it, in Chinese and English.

It computes no score: gains come from `risk.row_scorer`, so each reason is true: with that field at its best range, and
nothing else changed, the score is higher by exactly the points it names. Theory: points lost against a field's best,
ordered, at most four (Regulation B's commentary finds that more rarely help). What would improve a score is told only
of fields that an owner can act on, only in the direction that the dictionary declares, and as the nearest range that
brings at least half of what the best one would.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from risk.alternatives import Alternative
from risk.applicant import Value
from risk.dictionary import DIMENSIONS, Field
from risk.lending_policy import ReasonText
from risk.row_scorer import Gain, RowScorer

__all__ = ["MOST_REASONS", "Hint", "Phrases", "Reason", "hints", "reasons"]

MOST_REASONS = 4
MOST_HINTS = 3
_PREFIX = dict(zip(DIMENSIONS, ("OP", "CR", "BE", "SC"), strict=True))
_PERCENT = ("share", "ratio")
_WHOLE = ("count", "heads", "months of 12")


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: its code, the field, its dimension, points lost against the field's best, and the words."""

    code: str
    field: str
    dimension: str
    points: int
    text: str
    text_zh: str


@dataclass(frozen=True, slots=True)
class Hint:
    """One thing that would raise the score by exactly `points`, if it alone changed; `enough`: to reach the cut-off."""

    field: str
    points: int
    enough: bool
    text: str
    text_zh: str


class Phrases:
    """Words for the fields of one dictionary, in the bank's own where the policy has them."""

    def __init__(self, fields: Sequence[Field], own: Sequence[ReasonText]) -> None:
        """Prepare the words; a reason's code, such as `CR03`, counts the fields of its dimension as declared."""
        self.fields = tuple(fields)
        words: Mapping[str, ReasonText] = {item.field: item for item in own}
        # Texts of ranges, by identity: a scorer keeps its ranges for as long as it serves, and so do the entries here.
        self._ranges: dict[int, tuple[Alternative, tuple[str, str]]] = {}
        counts = dict.fromkeys(DIMENSIONS, 0)
        self.codes: list[str] = []
        self.names: list[tuple[str, str]] = []
        for field in fields:
            counts[field.dimension] += 1
            code = f"{_PREFIX[field.dimension]}{counts[field.dimension]:02d}"
            mine = words.get(field.name)
            self.codes.append(mine.code if mine else code)
            self.names.append((mine.text, mine.text_zh) if mine else (field.text, field.text_zh or field.text))

    def value(self, place: int, value: Value) -> tuple[str, str]:
        """Return a value in English and Chinese."""
        field = self.fields[place]
        if value is None:
            return "not known", "未知"
        if field.kind == "category":
            level = field.levels[int(value)]
            return level, level
        if field.kind == "flag":
            return ("yes", "是") if value else ("no", "否")
        return self._number(field, float(value))

    def plain(self, place: int, value: Value) -> str:
        """Return a value as a short text for tables, empty where it is missing."""
        return "" if value is None else self.value(place, value)[0]

    def range(self, each: Alternative) -> tuple[str, str]:
        """Return a range in English and Chinese."""
        known = self._ranges.get(id(each))
        if known is None or known[0] is not each:
            known = self._ranges[id(each)] = (each, self._range(each))
        return known[1]

    def _range(self, each: Alternative) -> tuple[str, str]:
        field = self.fields[each.place]
        if each.levels:
            shown, more = ", ".join(each.levels[:3]), len(each.levels) - 3
            return (f"{shown} and {more} more", f"{shown}等{len(each.levels)}类") if more > 0 else (shown, shown)
        if field.kind == "flag":
            return self.value(each.place, each.value)
        if field.unit in _WHOLE:
            return self._whole(field, each)
        low = None if each.low is None else self._number(field, each.low)
        high = None if each.high is None else self._number(field, each.high)
        if low and high:
            return f"from {low[0]} to below {high[0]}", f"{low[1]}（含）至{high[1]}（不含）"
        if low:
            return f"{low[0]} or more", f"不低于{low[1]}"
        if high:
            return f"below {high[0]}", f"低于{high[1]}"
        return "any value", "任何值"

    def _whole(self, field: Field, each: Alternative) -> tuple[str, str]:
        """Return a range of what is counted in whole numbers: from the first to the last of them."""
        assert field.bounds is not None  # it is a number
        low = math.ceil(field.bounds[0] if each.low is None else each.low)
        high = None if each.high is None else math.ceil(each.high) - 1
        if high is None:
            return (f"{low:,} or more", f"不低于{low:,}") if each.low is not None else ("any value", "任何值")
        if high <= low:
            return f"{low:,}", f"{low:,}"
        if each.low is None:
            return f"{high:,} or less", f"不高于{high:,}"
        return f"{low:,} to {high:,}", f"{low:,}至{high:,}"

    def _number(self, field: Field, value: float) -> tuple[str, str]:
        if field.unit in _PERCENT:
            shown = f"{value * 100:.4g}%"
            return shown, shown
        shown = f"{value:,.0f}" if abs(value) >= 10_000 and value == int(value) else f"{value:,.6g}"
        return (f"{shown} {field.unit}", f"{shown}元") if field.unit == "CNY" else (shown, shown)


def reasons(phrases: Phrases, scorer: RowScorer, values: Sequence[Value]) -> tuple[list[Reason], list[Gain]]:
    """Return at most four reasons, the most points first, and the best gain of every field that has one."""
    found = scorer.best(values)
    ordered = sorted(found, key=lambda gain: -gain.points)[:MOST_REASONS]
    return [_reason(phrases, gain, values[gain.alternative.place]) for gain in ordered], found


def hints(
    phrases: Phrases,
    scorer: RowScorer,
    values: Sequence[Value],
    best: Sequence[Gain],
    wanted: tuple[frozenset[int], int],
) -> list[Hint]:
    """Return at most three hints, the most points first.

    best: what `reasons` returned beside the reasons. wanted: places of the fields that an owner can act on, and the
    points that are lacking to the cut-off.
    """
    places, lacking = wanted
    found: list[Gain] = []
    for gain in best:
        place = gain.alternative.place
        value = values[place]
        if place not in places or value is None:
            continue
        nearest = _nearest(phrases.fields[place], value, gain.points, scorer.gains(values, place))
        if nearest is not None:
            found.append(nearest)
    found.sort(key=lambda gain: -gain.points)
    return [_hint(phrases, gain, values[gain.alternative.place], lacking) for gain in found[:MOST_HINTS]]


def _reason(phrases: Phrases, gain: Gain, value: Value) -> Reason:
    place = gain.alternative.place
    field, (name, name_zh) = phrases.fields[place], phrases.names[place]
    (now, now_zh), (best, best_zh) = phrases.value(place, value), phrases.range(gain.alternative)
    return Reason(
        code=phrases.codes[place],
        field=field.name,
        dimension=field.dimension,
        points=gain.points,
        text=f"{name}: {now}; this costs {_points(gain.points)} against the best range ({best})",
        text_zh=f"{name_zh}：{now_zh}，与最佳区间（{best_zh}）相比少{gain.points}分",
    )


def _hint(phrases: Phrases, gain: Gain, value: Value, lacking: int) -> Hint:
    place = gain.alternative.place
    name, name_zh = phrases.names[place]
    (now, now_zh), (goal, goal_zh) = phrases.value(place, value), phrases.range(gain.alternative)
    return Hint(
        field=phrases.fields[place].name,
        points=gain.points,
        enough=gain.points >= lacking,
        text=f"{name}: from {now} to {goal} would bring {_points(gain.points)}",
        text_zh=f"{name_zh}：由{now_zh}改善为{goal_zh}，可提高{gain.points}分",
    )


def _nearest(field: Field, value: float | int, most: int, gains: Sequence[Gain]) -> Gain | None:
    """Return the nearest range that brings half of the best one's points or more, in the declared direction."""
    found: list[tuple[float, Gain]] = []
    for gain in gains:
        each = gain.alternative
        if gain.points <= 0 or 2 * gain.points < most:
            continue
        if field.kind == "category" or each.levels:
            found.append((0.0 - gain.points, gain))
        elif each.low is not None and each.low > value and field.risk_when_rising != "up":
            found.append((each.low - value, gain))
        elif each.high is not None and each.high <= value and field.risk_when_rising != "down":
            found.append((value - each.high, gain))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _points(points: int) -> str:
    return "1 point" if points == 1 else f"{points} points"
