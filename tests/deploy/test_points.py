"""The points table and the composed applicant, against the scorecard's own arithmetic."""

import dataclasses

import numpy as np
import pytest
from creditmesh_demo.points import compose_applicant, points_table

from risk.card import Scorecard
from risk.table import Table
from tests.deploy.plain import PlainRun


@pytest.fixture
def card(plain_run: PlainRun) -> Scorecard:
    network = plain_run.record.jobs[0].network
    assert isinstance(network, Scorecard)
    return network


def value_inside(item: object, place: int) -> float:
    """Return a column value that falls into an ordinary bin of a card's field."""
    coding = item.coding  # type: ignore[attr-defined]
    if coding.kind == "category":
        return float(coding.groups[place][0])
    cuts = coding.cuts
    if place == 0:
        return float(cuts[0]) - 1e-6
    return float(cuts[place - 1])


def test_applicant_scores_as_the_card_scores_that_row(card: Scorecard) -> None:
    applicant = compose_applicant(card)
    assert applicant is not None
    columns = {}
    for item in card.fields:
        value = value_inside(item, applicant.picks[item.name])
        kind = np.int16 if item.coding.kind == "category" else np.float64
        columns[item.name] = np.array([value], dtype=kind)
    row = Table("composed", columns, np.zeros(1, dtype=np.int8))

    assert applicant.score == int(card.score(row)[0])
    assert tuple(points for _, points in applicant.parts) == tuple(card.subscores(row)[0])
    assert applicant.pd == pytest.approx(float(card.pd(row)[0]), abs=1e-12)
    assert applicant.score == card.base_points + sum(points for _, points in applicant.parts)


def test_reasons_are_the_largest_losses_in_order(card: Scorecard) -> None:
    applicant = compose_applicant(card)
    assert applicant is not None
    losses = [points for _, points in applicant.reasons]

    assert losses == sorted(losses, reverse=True) and len(losses) == 4 and min(losses) > 0
    by_name = {item.name: item for item in card.fields}
    for name, lost in applicant.reasons:
        item = by_name[name]
        best = max(points for points, rows in zip(item.points[:-1], item.rows[:-1], strict=True) if rows)
        assert lost == best - item.points[applicant.picks[name]]


def test_every_part_lies_within_its_range(card: Scorecard) -> None:
    applicant = compose_applicant(card)
    assert applicant is not None
    for name, points in applicant.parts:
        least, usual, most = applicant.ranges[name]
        assert least <= points <= most and least <= usual <= most


def test_a_card_without_fields_has_no_applicant(card: Scorecard) -> None:
    assert compose_applicant(dataclasses.replace(card, fields=())) is None


def test_table_keeps_every_bin_and_labels_both_languages(card: Scorecard, plain_run: PlainRun) -> None:
    table = points_table(card, plain_run.record.jobs[0].spec.dictionary)

    assert table.start == card.base_points
    for shown, item in zip(table.fields, card.fields, strict=True):
        assert tuple(part.points for part in shown.bins) == item.points
        assert sum(part.share for part in shown.bins) == pytest.approx(1)
        assert shown.bins[-1].label_en == "missing" and shown.bins[-1].label_zh == "缺失"
        assert len({part.label_en for part in shown.bins}) == len(shown.bins)
        assert all(part.label_zh for part in shown.bins) and shown.text_zh
