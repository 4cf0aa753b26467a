"""Score one applicant by a prepared model, and say what each field costs: the same numbers as the model's own batch.

It decides nothing. Theory: the score is an integer base plus four integer sub-scores, one a dimension, so they add to
it exactly. On a scorecard a sub-score is the sum of its fields' points. On trees, towers and mixed models a dimension's
share of the log-odds becomes points and is rounded half to even, each dimension by itself; the base is rounded by
itself too, so the score may stand up to two points and a half beside the log-odds' own, and the PD always comes from
the log-odds. What a field costs is the score with the field at its best range minus the score as it is, everything
else being equal: computed by scoring that applicant, so it is true whatever the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from risk.alternatives import Alternative, alternatives_of, binning, merged
from risk.applicant import Value
from risk.card import CardField, Scaling, Scorecard
from risk.curve import STRAIGHT, Curve
from risk.dictionary import DIMENSIONS, Field
from risk.elementary import ln, sigmoid_of
from risk.errors import InputError
from risk.forest import Forest
from risk.head import Head
from risk.model import Model
from risk.row_shares import SharePart, share_part

__all__ = ["Gain", "RowScorer", "Scored", "row_scorer"]

_STEP = float(1 << 30)


@dataclass(frozen=True, slots=True)
class Scored:
    """Hold one applicant: score = base + the four points (in the order of `DIMENSIONS`), and the log-odds of bad.

    curve: the bank's own calibration of these log-odds.
    """

    score: int
    base: int
    points: tuple[int, int, int, int]
    logit: float
    curve: Curve = STRAIGHT

    @property
    def pd(self) -> float:
        """Return the calibrated probability of bad, 0 to 1."""
        return sigmoid_of(self.calibrated)

    @property
    def calibrated(self) -> float:
        """Return the calibrated log-odds of bad."""
        return self.curve.at(self.logit)

    def dimensions(self) -> dict[str, int]:
        """Return the base and the four sub-scores by name; they add to the score."""
        return {"base": self.base, **dict(zip(DIMENSIONS, self.points, strict=True))}


@dataclass(frozen=True, slots=True)
class Gain:
    """Say by how many points the score rises when a field's value moves into this range, and nothing else changes."""

    points: int
    alternative: Alternative


class RowScorer(Protocol):
    """Score rows of values as `risk.applicant.Reading` holds them."""

    used: tuple[int, ...]
    """Places of the fields that the model looks at."""

    def score(self, values: Sequence[Value]) -> Scored:
        """Return the score of one applicant."""
        ...

    def best(self, values: Sequence[Value]) -> list[Gain]:
        """Return the largest gain of every field that has one above 0, in the order of the dictionary."""
        ...

    def gains(self, values: Sequence[Value], place: int) -> list[Gain]:
        """Return the gain of every range of one field, also 0 and below, in rising order of the ranges."""
        ...


def row_scorer(
    fields: Sequence[Field], model: Model, mix: tuple[Head, Model] | None = None, curve: Curve = STRAIGHT
) -> RowScorer:
    """Prepare a model for single rows.

    fields: the model fields of its dictionary. mix: a head and its partner model; then `model` is the network's, and
    the head's own curve counts. curve: else the bank's calibration of this model (`Head.curves`). Raises `InputError`
    where the model looks at a field that the dictionary does not have.
    """
    if mix is None and isinstance(model, Scorecard):
        return _CardScorer(fields, model, curve)
    if mix is None:
        return _ShareScorer(fields, _Mix(((1.0, share_part(fields, model)),), 0.0, curve), _scaling(model))
    head, own = mix
    parts = ((head.network, share_part(fields, model)), (head.own, share_part(fields, own)))
    return _ShareScorer(fields, _Mix(parts, head.intercept, head.curves.mixed), _scaling(model))


@dataclass(frozen=True, slots=True)
class _Mix:
    """Weights and shares of one or two models, what is added to their log-odds, and the curve of the sum."""

    parts: tuple[tuple[float, SharePart], ...]
    shift: float
    curve: Curve


class _CardScorer:
    """A scorecard: points by bin, looked up."""

    def __init__(self, fields: Sequence[Field], card: Scorecard, curve: Curve) -> None:
        self._curve = curve
        places = {field.name: place for place, field in enumerate(fields)}
        self._base, self._intercept = card.base_points, card.intercept << 10
        self._rows = [_CardRow(places, fields, item) for item in card.fields]
        self.used = tuple(row.place for row in self._rows)
        self._by_place = {row.place: row for row in self._rows}

    def score(self, values: Sequence[Value]) -> Scored:
        """Return the score of one applicant."""
        points, steps = [0, 0, 0, 0], self._intercept
        for row in self._rows:
            place = row.bin(values[row.place])
            points[row.dimension] += row.points[place]
            steps -= row.steps[place]
        one, two, three, four = points
        total = self._base + one + two + three + four
        return Scored(total, self._base, (one, two, three, four), steps / _STEP, self._curve)

    def best(self, values: Sequence[Value]) -> list[Gain]:
        """Return the largest gain of every field that has one above 0, in the order of the dictionary."""
        found = []
        for row in self._rows:
            lost = row.most - row.points[row.bin(values[row.place])]
            if lost > 0:
                found.append(Gain(lost, row.best))
        return found

    def gains(self, values: Sequence[Value], place: int) -> list[Gain]:
        """Return the gain of every range of one field, in rising order."""
        row = self._by_place.get(place)
        if row is None:
            return []
        now = row.points[row.bin(values[place])]
        return [Gain(points - now, alternative) for points, alternative in row.ranges]


class _CardRow:
    """One field of a card as lists: the bin of a value, points and evidence of a bin."""

    __slots__ = ("best", "bin", "dimension", "most", "place", "points", "ranges", "steps")

    def __init__(self, places: dict[str, int], fields: Sequence[Field], item: CardField) -> None:
        self.place = _place(places, item.name)
        self.dimension = DIMENSIONS.index(item.dimension)
        self.points = list(item.points)
        self.steps = [item.weight * woe for woe in item.woe]
        self.bin = binning(item.coding)
        alternatives = alternatives_of(self.place, fields[self.place], [item.coding])
        ranges = merged([(self.bin(each.value), each) for each in alternatives])
        self.ranges = [(self.points[self.bin(each.value)], each) for each in ranges]
        self.most, self.best = max(self.ranges, key=lambda found: found[0])


class _ShareScorer:
    """Any sum of parts whose log-odds are shared out among the four dimensions."""

    def __init__(self, fields: Sequence[Field], mix: _Mix, scaling: Scaling) -> None:
        parts, shift = mix.parts, mix.shift
        self._parts, self._shift, self._curve, self._factor = parts, shift, mix.curve, scaling.factor
        self._single = len(parts) == 1
        intercept = shift + sum(weight * (part.intercept / _STEP) for weight, part in parts)
        if self._single and parts[0][1].offset is not None:
            self._base = parts[0][1].offset
        else:
            self._base = round(scaling.points - scaling.factor * (ln(scaling.odds) + intercept))
        self.used = tuple(sorted({place for _, part in parts for place in part.used}))
        self._ranges = {place: self._distinct(fields, place) for place in self.used}
        ordered = [each for place in self.used for each in self._ranges[place]]
        self._all = tuple(ordered)
        for _, part in parts:
            part.prepare(ordered)

    def _distinct(self, fields: Sequence[Field], place: int) -> list[Alternative]:
        codings = [coding for _, part in self._parts for coding in part.codings(place)]
        signed = [
            (tuple(part.signature(each) for _, part in self._parts), each)
            for each in alternatives_of(place, fields[place], codings)
        ]
        return merged(signed)

    def score(self, values: Sequence[Value]) -> Scored:
        """Return the score of one applicant."""
        shares = [(weight, part.intercept, part.shares(values)) for weight, part in self._parts]
        logit = self._logit(shares)
        mixed = [sum(weight * share[number] for weight, _, share in shares) for number in range(4)]
        one, two, three, four = (round(share * (-self._factor / _STEP)) for share in mixed)
        total = self._base + one + two + three + four
        return Scored(total, self._base, (one, two, three, four), logit, self._curve)

    def best(self, values: Sequence[Value]) -> list[Gain]:
        """Return the largest gain of every field that has one above 0, in the order of the dictionary."""
        rise = self._rises(values)
        found, start = [], 0
        for place in self.used:
            ranges = self._ranges[place]
            most = max(range(len(ranges)), key=lambda at: rise[start + at])
            if rise[start + most] > 0:
                found.append(Gain(rise[start + most], ranges[most]))
            start += len(ranges)
        return found

    def gains(self, values: Sequence[Value], place: int) -> list[Gain]:
        """Return the gain of every range of one field, in rising order."""
        rise = self._rises(values)
        return [Gain(rise[at], each) for at, each in enumerate(self._all) if each.place == place]

    def _rises(self, values: Sequence[Value]) -> list[int]:
        """Return by how much each of all ranges raises the score."""
        changed = [(weight, part.alternatives(values)) for weight, part in self._parts]
        total = sum(weight * shares for weight, shares in changed)
        points = np.rint(total * (-self._factor / _STEP)).astype(np.int64).sum(axis=1)
        now = sum(self.score(values).points)
        return [int(each) - now for each in points]

    def _logit(self, shares: Sequence[tuple[float, int, Sequence[int]]]) -> float:
        """Return the log-odds as the model or its head computes them: the same operations in the same order."""
        each = [(intercept + sum(share)) / _STEP for _, intercept, share in shares]
        if self._single:
            return each[0]
        return self._shift + shares[0][0] * each[0] + shares[1][0] * each[1]


def _place(places: dict[str, int], name: str) -> int:
    if name not in places:
        raise InputError("model-dictionary", f"the model looks at '{name}', which is no model field of the dictionary")
    return places[name]


def _scaling(model: Model) -> Scaling:
    if isinstance(model, Scorecard | Forest):
        return model.scaling
    return model.card.scaling  # type: ignore[attr-defined]
