"""What a report shows, as plain values: the page draws it and computes nothing that could change a figure.

Theory: everything that needs a table, a model or a log is worked out before (`creditmesh_demo.findings`), so a page can
be drawn again from the same view and two pages differ only where their views do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from creditmesh_demo.privacy_price import Price

__all__ = [
    "Applicant",
    "BankRow",
    "Bin",
    "Contrast",
    "Curves",
    "FieldCard",
    "Points",
    "RecipeView",
    "RunView",
    "SelfCheck",
    "Verdict",
]

Verdict = Literal["gains", "even", "loses"]


@dataclass(frozen=True, slots=True)
class Contrast:
    """Hold one model's AUC minus another's on the same rows, with its 95 % interval."""

    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """Return what the interval lets one say."""
        if self.low > 0:
            return "gains"
        return "loses" if self.high < 0 else "even"


@dataclass(frozen=True, slots=True)
class BankRow:
    """Hold one bank's results with one recipe; AUC and KS are None where the hold-out has one class only.

    own_network, own_mixed: gain over the own model on own customers. market: gain of the network's model over the own
    one on all members' hold-out rows.
    """

    bank: str
    figures: Mapping[str, Any]
    own_network: Contrast | None
    own_mixed: Contrast | None
    market: Contrast | None


@dataclass(frozen=True, eq=False, slots=True)
class Curves:
    """Hold what the network's secure histogram of hold-out scores shows.

    rows, bads: of the whole hold-out. goods_share, bads_share: (edges,) float64, shares above each score edge from the
    riskiest to the safest, 0 to 1. group_rows, group_bads: (groups,) int64 by predicted PD. group_pd: (groups,) mean
    predicted PD.
    """

    rows: int
    bads: int
    goods_share: np.ndarray
    bads_share: np.ndarray
    group_rows: np.ndarray
    group_bads: np.ndarray
    group_pd: np.ndarray

    @property
    def group_observed(self) -> np.ndarray:
        """Return the bad rate of each group, (groups,) float64."""
        return self.group_bads / self.group_rows


@dataclass(frozen=True, slots=True)
class RecipeView:
    """Hold one recipe's outcome: its entry of report.json, its banks and its curves; reason says why it failed."""

    name: str
    entry: Mapping[str, Any] | None
    banks: tuple[BankRow, ...]
    curves: Curves | None
    state: Literal["done", "failed"]
    reason: str
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Bin:
    """Hold one bin of a field: its label in both languages, share of rows and bad rate (0 to 1; None where the
    network did not ask for labels), WOE and points.
    """

    label_en: str
    label_zh: str
    share: float
    bad_rate: float | None
    woe: float
    points: int


@dataclass(frozen=True, slots=True)
class FieldCard:
    """Hold one field of the points table; information_value is its IV over all members' training rows."""

    name: str
    dimension: str
    text_en: str
    text_zh: str
    information_value: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Points:
    """Hold the scorecard as points: score = start + points of one bin per field. dropped: (field, en, zh)."""

    start: int
    fields: tuple[FieldCard, ...]
    dropped: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Applicant:
    """Hold a composed applicant: picks maps a field to the place of its bin; parts are (dimension, points).

    ranges: by dimension (least, usual, most) points; reasons: (field, points lost against the best bin), worst first.
    """

    picks: Mapping[str, int]
    parts: tuple[tuple[str, int], ...]
    score: int
    pd: float
    ranges: Mapping[str, tuple[int, float, int]]
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """Say how many opened sums were compared with plain sums over the members' tables, and how many differed."""

    recipe: str
    sums: int
    different: int


@dataclass(frozen=True, slots=True)
class RunView:
    """Hold everything the page shows about one run; started is UTC text, report the content of report.json.

    sent: by reason (a key of `texts.LABELS`), bytes by bank. verifiers: members that at least signed each opened sum
    after recomputing it, 0 if sums are not verified. excluded: banks that were lost for good. prices: what epsilon
    costs each recipe, none in an exact run. unit: whom noise protects, one `borrower` with all rows or one `record`.
    """

    report: Mapping[str, Any]
    title: str
    source: str
    target: str
    synthetic: bool
    started: str
    recipes: tuple[RecipeView, ...]
    points: Points | None
    applicant: Applicant | None
    sent: Mapping[str, Mapping[str, int]]
    checks: tuple[SelfCheck, ...]
    verifiers: int
    excluded: tuple[str, ...]
    prices: tuple[Price, ...] = ()
    unit: str = "record"
