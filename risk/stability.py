"""How a model does from month to month: bad rate, drift of the scores, and ranking.

It sees counts of whole periods, never a row. Theory: months are run together until each period has enough rows for its
figures to mean something; a period is held against the frozen training scores, not against the period before it, so
that slow drift shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from risk.drift import Drift
from risk.months import month_text
from risk.score_figures import ScoreFigures

__all__ = ["Period", "PeriodFigures", "periods", "stability"]


@dataclass(frozen=True, slots=True)
class Period:
    """Name a run of months, 12 * year + month - 1, both ends included."""

    first: int
    last: int

    @property
    def name(self) -> str:
        """Return the period as text, such as 2004-01 or 2004-01..2004-03."""
        first, last = month_text(self.first), month_text(self.last)
        return first if first == last else f"{first}..{last}"


@dataclass(frozen=True, slots=True)
class PeriodFigures:
    """Hold one period's figures; None where it is withheld, or drift where the model has no reference."""

    name: str
    figures: ScoreFigures | None
    drift: Drift | None

    def to_document(self) -> dict[str, Any]:
        """Return the figures as plain JSON values; of a withheld period only that it is."""
        if self.figures is None:
            return {"period": self.name, "withheld": True}
        names = ("rows", "bads", "bad_rate", "mean_pd", "auc", "ks")
        moved = {} if self.drift is None else {"psi": self.drift.psi, "band": self.drift.band}
        shown = {name: getattr(self.figures, name) for name in names}
        return {"period": self.name, "withheld": False, **shown, "psi": None, "band": None, **moved}


def periods(rows: Sequence[int], first: int, least: int) -> tuple[Period, ...]:
    """Return runs of months with at least so many rows each; what is left at the end joins the last.

    rows: per month from the month `first` on. Months before the first row and after the last are in no period.
    """
    used = [place for place, count in enumerate(rows) if count]
    if not used:
        return ()
    found: list[Period] = []
    start, gathered = used[0], 0
    for place in range(used[0], used[-1] + 1):
        gathered += int(rows[place])
        if gathered >= least:
            found.append(Period(first + start, first + place))
            start, gathered = place + 1, 0
    if gathered and found:
        found[-1] = Period(found[-1].first, first + used[-1])
    elif gathered:
        found.append(Period(first + start, first + used[-1]))
    return tuple(found)


def stability(names: Sequence[str], figures: Sequence[ScoreFigures | None], moved: Sequence[Drift | None]) -> tuple[
    PeriodFigures, ...
]:  # fmt: skip
    """Return the figures period by period, in order of time."""
    return tuple(PeriodFigures(*each) for each in zip(names, figures, moved, strict=True))
