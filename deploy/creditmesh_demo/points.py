"""Turn a scorecard into the points table of the report, and compose an example applicant from it.

It reads no row: the applicant is put together from the table, so the picture shows no borrower. Theory: a score is the
card's integer start plus one bin's integer points per field; the probability of default comes from the unrounded logit.
"""

from collections.abc import Sequence

import numpy as np

from creditmesh_demo.page.view import Applicant, Bin, FieldCard, Points
from risk.card import CardField, Scorecard
from risk.dictionary import DIMENSIONS, Dictionary, Field
from risk.elementary import sigmoid

__all__ = ["compose_applicant", "points_table"]

WEAK_SPOTS = 2
REASONS = 4
MOST_LEVELS = 4
WOE_STEPS = 1 << 10
LOGIT_STEPS = 1 << 30

DROPPED_ZH = {
    "it is missing in every row": "所有行均缺失",
    "too few rows outside one bin": "除一箱外行数过少",
    "its bins merge to one": "各箱合并为一箱",
    "its information value is below the limit": "信息值低于下限",
    "its weight is negative beside the others": "与其他字段同用时权重为负",
}


def points_table(card: Scorecard, dictionary: Dictionary) -> Points:
    """Return the card as the report shows it; bins without rows are kept, so that places stay the card's own."""
    fields = tuple(_field_card(item, dictionary.field(item.name)) for item in card.fields)
    dropped = tuple((name, reason, DROPPED_ZH.get(reason, reason)) for name, reason in card.dropped)
    return Points(card.base_points, fields, dropped)


def compose_applicant(card: Scorecard) -> Applicant | None:
    """Return a usual applicant with two weak spots, or None for a card without fields.

    In every field the applicant stands in the bin with most rows; in the two fields of different dimensions that can
    cost most, in the worst bin that holds rows.
    """
    if not card.fields:
        return None
    picks = {item.name: max((item.rows[place], -place, place) for place in _held(item))[2] for item in card.fields}
    weak: dict[str, CardField] = {}
    for item in sorted(card.fields, key=lambda item: (min(_held_points(item)) - max(_held_points(item)), item.name)):
        if item.dimension not in weak and len(weak) < WEAK_SPOTS:
            weak[item.dimension] = item
            picks[item.name] = min((item.points[place], place) for place in _held(item))[1]
    parts = tuple(
        (name, sum(item.points[picks[item.name]] for item in card.fields if item.dimension == name))
        for name in DIMENSIONS
    )
    logit = (card.intercept << 10) - sum(item.weight * item.woe[picks[item.name]] for item in card.fields)
    lost = [(item.name, max(_held_points(item)) - item.points[picks[item.name]]) for item in card.fields]
    lost.sort(key=lambda pair: (-pair[1], pair[0]))
    return Applicant(
        picks=picks,
        parts=parts,
        score=card.base_points + sum(points for _, points in parts),
        pd=float(sigmoid(np.array([logit / LOGIT_STEPS]))[0]),
        ranges={name: _range([item for item in card.fields if item.dimension == name]) for name in DIMENSIONS},
        reasons=tuple((name, points) for name, points in lost[:REASONS] if points > 0),
    )


def _held(item: CardField) -> list[int]:
    """Return the places of the bins that hold rows; the missing bin only if no other does."""
    held = [place for place, rows in enumerate(item.rows[:-1]) if rows]
    return held or [len(item.rows) - 1]


def _held_points(item: CardField) -> list[int]:
    return [item.points[place] for place in _held(item)]


def _range(items: Sequence[CardField]) -> tuple[int, float, int]:
    least = sum(min(_held_points(item)) for item in items)
    most = sum(max(_held_points(item)) for item in items)
    usual = 0.0
    for item in items:
        usual += sum(rows * points for rows, points in zip(item.rows, item.points, strict=True)) / max(
            sum(item.rows), 1
        )
    return least, min(max(usual, least), most), most


def _field_card(item: CardField, declared: Field) -> FieldCard:
    rows = max(sum(item.rows), 1)
    bins = tuple(
        Bin(
            *_label(item, declared, place),
            share=item.rows[place] / rows,
            bad_rate=_rate(item.bads[place], item.rows[place]),
            woe=item.woe[place] / WOE_STEPS,
            points=item.points[place],
        )
        for place in range(len(item.points))
    )
    return FieldCard(item.name, item.dimension, declared.text, declared.text_zh or declared.text, item.iv, bins)


def _rate(bads: int | None, rows: int) -> float | None:
    return None if bads is None or not rows else bads / rows


def _label(item: CardField, declared: Field, place: int) -> tuple[str, str]:
    coding = item.coding
    if place == coding.bins - 1:
        return "missing", "缺失"
    if place >= coding.ordinary:
        code = _number(coding.special[place - coding.ordinary])
        return f"code {code}", f"代码 {code}"
    if coding.kind == "category":
        return _levels([item.levels[level] for level in coding.groups[place]])
    if coding.kind == "flag":
        return ("yes", "是") if place else ("no", "否")
    return _interval(coding.cuts, place)


def _levels(levels: Sequence[str]) -> tuple[str, str]:
    shown = ", ".join(levels[:MOST_LEVELS])
    more = len(levels) - MOST_LEVELS
    return (f"{shown} and {more} more", f"{shown} 等 {len(levels)} 类") if more > 0 else (shown, shown)


def _interval(cuts: Sequence[float], place: int) -> tuple[str, str]:
    if not cuts:
        return "any number", "任意数值"
    if place == 0:
        return f"below {_number(cuts[0])}", f"低于 {_number(cuts[0])}"
    low = _number(cuts[place - 1])
    if place == len(cuts):
        return f"{low} or more", f"{low} 及以上"
    return f"{low} to {_number(cuts[place])}", f"{low} 至 {_number(cuts[place])}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 and value == int(value) else f"{value:.6g}"
