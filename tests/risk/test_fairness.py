"""Four fifths, gaps, and what is withheld."""

import numpy as np
import pytest

from risk.fairness import Segment, fairness
from risk.score_figures import ScoreFigures, count_scores, score_figures


def figures(rows: int, bads: int) -> ScoreFigures:
    target = np.zeros(rows, dtype=np.int8)
    target[:bads] = 1
    return score_figures(count_scores(np.linspace(-3, 1, rows), target, np.zeros(1000, dtype=np.int64)))


def test_the_rule_is_against_the_most_approved() -> None:
    found = fairness("size", [Segment("a", 90, figures(100, 10)), Segment("b", 144, figures(200, 30)),
                              Segment("c", 143, figures(200, 30)), Segment("d", None, None)])  # fmt: skip
    assert [item.passes for item in found.segments] == [True, True, False, None]
    assert found.segments[1].approval_ratio == pytest.approx(0.8) and found.passes is False
    assert found.segments[1].calibration_gap == pytest.approx((found.segments[1].mean_pd or 0.0) - 30 / 200)
    assert found.segments[3].to_document() == {"level": "d", "withheld": True}
    assert found.to_document()["field"] == "size" and "rows" in found.to_document()["segments"][0]


def test_nobody_approved_is_nobody_worse() -> None:
    found = fairness("size", [Segment("a", 0, figures(100, 10)), Segment("b", 0, figures(200, 30))])
    assert found.passes is True and found.segments[0].approval_ratio == 1.0


def test_nothing_shown_is_nothing_judged() -> None:
    assert fairness("size", [Segment("a", None, None)]).passes is None and fairness("size", []).passes is None
