"""Two small pictures as numbers for a template: where the score stands, and the portrait's three bars.

It makes no markup. Theory: a picture says at a glance what the list beneath it says in figures; lengths are worked out
here, since a template should not compute and a strict content policy allows no inline style.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from node.page.frame import words

__all__ = ["Axis", "Scale", "portrait_picture", "score_picture"]

WIDTH = 300
_MARGIN = 60


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of the portrait: its name, its percentile (None if too little is known), and its bar's length."""

    label: str
    percentile: int | None
    length: int
    known: int
    of: int


@dataclass(frozen=True, slots=True)
class Scale:
    """The line of scores: its ends, and where the cut-offs and the applicant stand, in 0 to `WIDTH`."""

    low: int
    high: int
    decline_x: int
    approve_x: int
    score_x: int
    width: int = WIDTH


def portrait_picture(portrait: Mapping[str, Any] | None, language: str) -> list[Axis]:
    """Return the portrait's axes; none without a reference to draw them against."""
    names = words(language)["portrait"]
    return [
        Axis(
            names[name],
            axis["percentile"],
            round(WIDTH * (axis["percentile"] or 0) / 100),
            axis["fields_known"],
            len(axis["fed_by"]),
        )
        for name, axis in (portrait or {}).items()
    ]


def score_picture(score: int | None, cutoff: Mapping[str, int] | None) -> Scale | None:
    """Return the line of scores with this score on it, None where there is none."""
    if score is None or cutoff is None:
        return None
    low = min(cutoff["decline"] - _MARGIN, score)
    high = max(cutoff["approve"] + _MARGIN, score)
    places = [round(WIDTH * (each - low) / (high - low)) for each in (cutoff["decline"], cutoff["approve"], score)]
    return Scale(low, high, *places)
