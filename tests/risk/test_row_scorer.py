"""One row scored alone: the model's own batch figures, and gains that come true when the field is changed."""

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from risk.curve import STRAIGHT, Curve
from risk.elementary import sigmoid
from risk.errors import InputError
from risk.head import Curves
from risk.row_scorer import RowScorer, row_scorer
from tests.risk.scorers import DICTIONARY, HEAD, golden, models, rows_of

FIELDS = DICTIONARY.model_fields
KINDS = ["scorecard", "trees", "free", "towers"]
ALL = [*KINDS, "mixed", "mixed-cards"]


@lru_cache
def scorers() -> dict[str, RowScorer]:
    made = {name: row_scorer(FIELDS, models()[name]) for name in KINDS}
    made["mixed"] = row_scorer(FIELDS, models()["trees"], (HEAD, models()["own"]))
    made["mixed-cards"] = row_scorer(FIELDS, models()["scorecard"], (HEAD, models()["own"]))
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_scores_as_it_does_in_a_batch(kind: str) -> None:
    table, model = golden(), models()[kind]
    logit, score, points = model.logit(table), model.score(table), model.subscores(table)  # type: ignore[attr-defined]
    chance = model.pd(table)
    for at, values in enumerate(rows_of(table)):
        found = scorers()[kind].score(values)
        assert found.score == score[at] and found.points == tuple(points[at])
        assert found.logit == logit[at] and found.pd == chance[at]


@pytest.mark.parametrize("kind", ["mixed", "mixed-cards"])
def test_a_mixed_row_has_the_heads_log_odds(kind: str) -> None:
    table = golden()
    network = models()["trees" if kind == "mixed" else "scorecard"]
    logit = HEAD.logit(network.logit(table), models()["own"].logit(table))
    factor = 20 / math.log(2)
    for at, values in enumerate(rows_of(table)):
        found = scorers()[kind].score(values)
        assert found.logit == logit[at] and found.pd == sigmoid(logit)[at]
        assert abs(found.score - (600 - factor * (math.log(30) + found.logit))) <= 2.5


def test_the_banks_own_calibration_moves_the_pd_and_nothing_else() -> None:
    """One row gives the bits of the batch, for a curve of many bends; the score and its points stay."""
    table = golden()
    bent = Curve("isotonic", 0.2, 1.0, ((-2.0, 0.5), (-1.25, -0.7), (0.5, 0.2)))
    head = replace(HEAD, curves=Curves(mixed=bent, network=bent))
    alone = row_scorer(FIELDS, models()["trees"], curve=bent)
    mixed = row_scorer(FIELDS, models()["trees"], (head, models()["own"]))
    network, own = (models()[name].logit(table) for name in ("trees", "own"))
    expected = {"alone": bent.pd(network), "mixed": head.pd(network, own)}
    assert np.abs(expected["alone"] - sigmoid(network)).max() > 0.02
    for at, values in enumerate(rows_of(table)):
        for name, scorer in (("alone", alone), ("mixed", mixed)):
            assert scorer.score(values).pd == expected[name][at]
        assert replace(alone.score(values), curve=STRAIGHT) == scorers()["trees"].score(values)


@pytest.mark.parametrize("kind", ALL)
def test_sub_scores_add_and_gains_are_true(kind: str) -> None:
    scorer = scorers()[kind]
    rows = rows_of(golden())
    rng = np.random.default_rng(1)
    seen = 0
    for at in rng.choice(len(rows), 60, replace=False):
        values = rows[at]
        before = scorer.score(values)
        assert before.score == before.base + sum(before.points)
        best = {gain.alternative.place: gain.points for gain in scorer.best(values)}
        for place in range(len(FIELDS)):
            found = scorer.gains(values, place)
            for gain in found:
                changed = list(values)
                changed[place] = gain.alternative.value
                assert scorer.score(changed).score - before.score == gain.points
                seen += 1
            assert max([0, *(gain.points for gain in found)]) == best.get(place, 0)
    assert seen > 500


@pytest.mark.parametrize("kind", ALL)
def test_a_range_scores_alike_from_end_to_end(kind: str) -> None:
    scorer = scorers()[kind]
    values = list(rows_of(golden())[7])
    for place in scorer.used:
        for gain in scorer.gains(values, place):
            each, field = gain.alternative, FIELDS[place]
            low, high = field.bounds or (0.0, 1.0)
            ends = [each.value, low if each.low is None else each.low]
            ends.append(high if each.high is None else math.nextafter(each.high, -math.inf))
            inside = [field.levels.index(level) for level in each.levels] if each.levels else ends
            for value in inside if field.kind != "flag" else [each.value]:
                if value in field.special:
                    continue
                changed = list(values)
                changed[place] = value
                assert scorer.score(changed).score - scorer.score(values).score == gain.points


def test_a_model_of_another_dictionary_is_refused() -> None:
    with pytest.raises(InputError, match="no model field"):
        row_scorer(FIELDS[1:], models()["scorecard"])
    with pytest.raises(InputError, match="no model field"):
        row_scorer(FIELDS[1:], models()["trees"])


def test_a_forest_without_trees_scores_its_intercept() -> None:
    empty = replace(models()["trees"], trees=())  # type: ignore[type-var]
    scorer = row_scorer(FIELDS, empty)
    values = rows_of(golden())[0]
    assert scorer.score(values).logit == empty.logit(golden())[0]
    assert scorer.best(values) == []
