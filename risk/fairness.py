"""Whether a cut-off and a model treat the declared segments alike.

It sees counts of whole segments, never a row, and judges no law. Theory: the four-fifths rule (US Uniform Guidelines on
Employee Selection Procedures, 1978, section 4D): a segment approved at less than 80 % of the rate of the most approved
one is a reason to look closer. Ranking (AUC) and calibration within each segment say whether the model knows less of it
or misjudges its risk. Segments of fewer than k rows are withheld by whoever counts (`risk.score_cells.shown`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from risk.score_figures import ScoreFigures

__all__ = ["FOUR_FIFTHS", "FieldFairness", "Segment", "SegmentFigures", "fairness"]

FOUR_FIFTHS = Fraction(4, 5)


@dataclass(frozen=True, slots=True)
class Segment:
    """Hold what was counted of one segment: its level, how many rows the cut-off approves, and its score figures.

    approved, figures: None where the segment is withheld.
    """

    level: str
    approved: int | None
    figures: ScoreFigures | None


@dataclass(frozen=True, slots=True)
class SegmentFigures:
    """Hold one segment beside the others.

    approval_ratio: its approval rate over the most approved segment's. passes: whether that is four fifths or more.
    calibration_gap: mean PD minus observed bad rate. All None where the segment is withheld.
    """

    level: str
    withheld: bool
    rows: int | None = None
    approval_rate: float | None = None
    approval_ratio: float | None = None
    passes: bool | None = None
    bad_rate: float | None = None
    mean_pd: float | None = None
    calibration_gap: float | None = None
    auc: float | None = None
    ks: float | None = None
    ece: float | None = None

    def to_document(self) -> dict[str, Any]:
        """Return the figures as plain JSON values; of a withheld segment only that it is."""
        if self.withheld:
            return {"level": self.level, "withheld": True}
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class FieldFairness:
    """Hold all segments of one field. passes: whether each shown one does; None where none is shown."""

    field: str
    passes: bool | None
    segments: tuple[SegmentFigures, ...]

    def to_document(self) -> dict[str, Any]:
        """Return the figures as plain JSON values."""
        segments = [segment.to_document() for segment in self.segments]
        return {"field": self.field, "passes": self.passes, "segments": segments}


def fairness(field: str, segments: Sequence[Segment]) -> FieldFairness:
    """Return how the segments of one field compare."""
    rates = [_rate(segment) for segment in segments]
    best = max((rate for rate in rates if rate is not None), default=None)
    found = tuple(_beside(segment, rate, best) for segment, rate in zip(segments, rates, strict=True))
    judged = [segment.passes for segment in found if segment.passes is not None]
    return FieldFairness(field, all(judged) if judged else None, found)


def _rate(segment: Segment) -> Fraction | None:
    if segment.figures is None or segment.approved is None or not segment.figures.rows:
        return None
    return Fraction(segment.approved, segment.figures.rows)


def _beside(segment: Segment, rate: Fraction | None, best: Fraction | None) -> SegmentFigures:
    figures = segment.figures
    if figures is None or rate is None:
        return SegmentFigures(segment.level, True)
    # Where nobody is approved, nobody is treated worse.
    ratio = rate / best if best else Fraction(1)
    known = figures.mean_pd is not None and figures.bad_rate is not None
    return SegmentFigures(
        level=segment.level,
        withheld=False,
        rows=figures.rows,
        approval_rate=float(rate),
        approval_ratio=float(ratio),
        passes=ratio >= FOUR_FIFTHS,
        bad_rate=figures.bad_rate,
        mean_pd=figures.mean_pd,
        calibration_gap=(figures.mean_pd or 0.0) - (figures.bad_rate or 0.0) if known else None,
        auc=figures.auc,
        ks=figures.ks,
        ece=figures.ece,
    )
