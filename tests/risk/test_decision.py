"""Decisions: sums that add, reasons that come true, and whatever is unclear goes to a person."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from risk.decision import Application, Decision, Desk, decide
from risk.errors import InputError
from risk.evidence import SourceNote
from tests.risk.lending import desk, policy, reference
from tests.risk.rooms import room_tables
from tests.risk.scorers import DICTIONARY, rows_of

TODAY = date(2026, 11, 24)
GOOD: dict[str, object] = {
    "turnover": 5e7,
    "balance": 90_000.0,
    "late_days": 0,
    "share": 0.2,
    "arrears": 0,
    "trade": "level 40",
}
CLEAR = Application(GOOD, monthly_inflow=400_000.0, other_exposure=0.0, screening={"blacklist": "clear"})


def answer(at: Desk, application: Application = CLEAR) -> Decision:
    return decide(at, application, "d-1", "2026-11-24T00:00:00Z", TODAY)


def records(count: int, seed: int) -> list[dict[str, object]]:
    """Return random applicants of the room, as a caller would send them."""
    found = []
    for row in rows_of(room_tables(DICTIONARY, (count,), seed)[0]):
        record: dict[str, object] = {}
        for field, value in zip(DICTIONARY.model_fields, row, strict=True):
            if value is not None:
                record[field.name] = field.levels[int(value)] if field.kind == "category" else value
        found.append(record)
    return found


@pytest.mark.parametrize("kind", ["scorecard", "trees", "mixed"])
def test_the_reasons_of_a_thousand_declines_are_true(kind: str) -> None:
    at = desk(kind, chosen=policy(cutoff={"approve": 700, "decline": 690, "near": 0}))
    told = 0
    for record in records(1000 if kind == "scorecard" else 200, 5):
        application = replace(CLEAR, record=record)
        made = answer(at, application)
        assert made.outcome in ("decline", "refer")
        document = made.document
        points = document["dimensions"]
        assert document["score"] == sum(points.values())
        lost = [each["points_lost"] for each in document["reasons"]]
        assert lost == sorted(lost, reverse=True) and len(lost) <= 4 and all(each > 0 for each in lost)
        values = at.reader.read(record, {}).values
        for each in document["reasons"]:
            place = at.reader.places[each["field"]]
            best = max(at.champion.scorer.gains(values, place), key=lambda gain: gain.points)
            changed = list(values)
            changed[place] = best.alternative.value
            assert at.champion.scorer.score(changed).score - document["score"] == each["points_lost"] == best.points
            told += 1
        unnamed = {gain.points for gain in at.champion.scorer.best(values)} - set(lost)
        assert all(points <= min(lost) for points in unnamed)
    assert told > 300


def test_hints_come_true_and_keep_to_what_an_owner_can_do() -> None:
    at = desk(chosen=policy(cutoff={"approve": 700, "decline": 690, "near": 0}))
    seen = 0
    for record in records(300, 8):
        document = answer(at, replace(CLEAR, record=record)).document
        values = at.reader.read(record, {}).values
        for hint in document["improve"]:
            assert hint["field"] in ("late_days", "balance", "arrears", "share")
            place = at.reader.places[hint["field"]]
            gains = at.champion.scorer.gains(values, place)
            assert hint["points"] in {gain.points for gain in gains}
            assert hint["reaches_approval"] == (document["score"] + hint["points"] >= 700)
            if hint["field"] == "late_days":
                assert "below" in hint["text_en"]  # fewer days late, never more
            seen += 1
    assert seen > 100


def test_the_same_input_gives_the_same_document() -> None:
    one, two = (json.dumps(answer(desk()).document) for _ in range(2))
    assert one == two


def test_limit_and_price_show_terms_that_add() -> None:
    document = answer(desk()).document
    limit, price = document["limit"], document["price"]
    factor = limit["grade_factor"]
    assert limit["terms"] == {"revenue": 1.25e7, "inflow": 800_000.0, "exposure": 5_000_000.0, "product": 3_000_000.0}
    assert limit["binding"] == "inflow" and limit["amount"] == int(800_000 * factor / 100) * 100
    assert price["basis_points"] == sum(price["components"].values()) and price["components"]["cap"] == 0
    assert price["apr"] == price["basis_points"] / 10_000
    assert answer(desk(), replace(CLEAR, requested=5000)).document["limit"]["offered"] == 5000


def test_a_plain_good_case_is_approved_and_a_bad_one_declined() -> None:
    assert answer(desk()).outcome == "approve"
    bad = {**GOOD, "turnover": 1e3, "balance": -300_000, "late_days": 900, "arrears": 1, "trade": "level 2"}
    assert answer(desk(), replace(CLEAR, record=bad)).outcome == "decline"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"record": {"turnover": 5e7, "balance": 90_000}}, "missing-data"),
        ({"soft": {"visit": "good"}}, "soft-information"),
        ({"soft": {"unheard": "of"}}, "soft-information"),
        ({"monthly_inflow": None}, "limit-unknown"),
        ({"other_exposure": None}, "limit-unknown"),
        ({"other_exposure": 9e9}, "limit-too-small"),
        ({"screening": {}}, "screening:blacklist"),
        ({"screening": {"blacklist": "perhaps"}}, "screening:blacklist"),
        ({"screening": {"blacklist": "clear", "court": "hit"}}, "screening:court"),
    ],
)
def test_what_is_unclear_goes_to_a_person(changes: Mapping[str, Any], code: str) -> None:
    made = answer(desk(), replace(CLEAR, **changes))
    assert made.outcome == "refer" and code in [each["code"] for each in made.document["checks"]]


def test_a_hit_declines_whatever_the_score() -> None:
    assert answer(desk(), replace(CLEAR, screening={"blacklist": "hit"})).outcome == "decline"


def test_near_a_cut_off_a_person_decides() -> None:
    score = answer(desk()).scored.score
    for near in range(-2, 3):
        line = policy(cutoff={"approve": score + near, "decline": score + near, "near": 2})
        made = answer(desk(chosen=line))
        inside = score + near - 2 <= score < score + near + 2
        assert (made.outcome == "refer") == inside == ("near-cut-off" in str(made.document["checks"]))


def test_a_cap_that_does_not_cover_the_loss_goes_to_a_person() -> None:
    made = answer(desk(chosen=policy(price={"legal_cap": 0.0246})))
    price = made.document["price"]
    assert made.outcome == "refer" and price["basis_points"] == 246 == sum(price["components"].values())


def test_soft_information_moves_the_grade_by_its_bound_and_not_the_score() -> None:
    plain = answer(desk())
    for level, shift in (("good", -1), ("bad", 1)):
        made = answer(desk(), replace(CLEAR, soft={"visit": level, "stock": "fast"}))
        assert made.scored == plain.scored and made.document["soft"]["grades"] == -shift
        assert made.grade == min(max(plain.grade + shift, 0), 9)
        assert made.document["model_grade"] == plain.document["grade"]
    assert answer(desk(), replace(CLEAR, soft={"stock": "fast"})).grade == plain.grade


def test_the_grade_is_the_master_scales() -> None:
    at = desk()
    scale = policy().grades.scale()
    for logit in np.linspace(-6, 4, 999):
        assert at.grade(float(logit)) == scale.grade(np.array([logit]))[0] - 1
    for place, cut in enumerate(scale.cuts):
        assert at.grade(cut / 64) == place + 1 and at.grade(np.nextafter(cut / 64, -9.0)) == place


def test_what_cannot_be_used_is_missing_and_said() -> None:
    record: dict[str, object] = {
        "turnover": 1e30,
        "balance": "rich",
        "late_days": -999,
        "share": None,
        "arrears": 0.5,
        "trade": "unheard",
        "colour": "red",
    }
    document = answer(desk(), replace(CLEAR, record=record)).document
    assert document["data_faults"] == {
        "turnover": "bounds",
        "balance": "type",
        "arrears": "bounds",
        "trade": "level",
        "colour": "undeclared",
    }
    missing = {name: why for each in document["data_used"] for name, why in each["missing"].items()}
    assert missing == {
        "turnover": "bounds",
        "balance": "type",
        "share": "absent",
        "arrears": "bounds",
        "trade": "level",
    }


@pytest.mark.parametrize(
    ("note", "rules", "fault"),
    [
        (SourceNote("bureau", date(2026, 10, 25), "c"), {}, None),
        (SourceNote("bureau", date(2026, 10, 24), "c"), {}, "too-old"),
        (SourceNote("bureau", date(2026, 11, 25), "c"), {}, "dated-ahead"),
        (SourceNote("bureau", None, "c"), {}, None),
        (SourceNote("bureau", None, "c"), {"need_as_of": True}, "no-as-of"),
        (SourceNote("bureau", TODAY, None), {"need_consent": True}, "no-consent"),
    ],
)
def test_old_and_unpermitted_data_are_not_used(note: SourceNote, rules: dict[str, Any], fault: str | None) -> None:
    at = desk(chosen=policy(evidence=rules))
    own = [SourceNote("tax", TODAY, "c")]
    document = answer(at, replace(CLEAR, sources=[*own, note])).document
    used = {each["source"]: each for each in document["data_used"]}
    assert used["bureau"]["missing"] == ({} if fault is None else {"balance": fault, "late_days": fault})
    assert used["tax"] == {"source": "tax", "as_of": "2026-11-24", "consent_id": "c", "fields": 1, "missing": {}}


def test_a_reference_of_another_dictionary_is_refused() -> None:
    at = desk()
    other = replace(reference(), dictionary="0" * 64)
    with pytest.raises(InputError, match="frozen over another dictionary"):
        Desk(DICTIONARY, policy(), at.champion, None, other)
    with pytest.raises(InputError, match="other portrait fields"):
        Desk(DICTIONARY, policy(portrait={"vitality": ["late_days"]}), at.champion, None, reference())


def test_the_challenger_scores_in_the_shadow() -> None:
    made = answer(desk(challenger="trees"))
    assert made.challenger is not None and made.challenger.logit != made.scored.logit
    assert made.document == answer(desk()).document


def test_the_portrait_is_a_percentile_with_its_fields() -> None:
    portrait = answer(desk(), replace(CLEAR, record={**GOOD, "turnover": 9e11})).document["portrait"]
    assert portrait["ability_to_repay"]["fed_by"] == ["balance", "late_days"]
    assert 90 <= portrait["vitality"]["percentile"] <= 100
    poor = answer(desk(), replace(CLEAR, record={**GOOD, "turnover": 1.0})).document["portrait"]
    assert poor["vitality"]["percentile"] <= 5
    none = answer(desk(), replace(CLEAR, record={})).document["portrait"]
    assert none["vitality"] == {"percentile": None, "fields_known": 0, "fed_by": ["turnover"]}


def test_reasons_speak_both_languages_and_the_banks_words() -> None:
    bad = {**GOOD, "balance": -300_000, "arrears": 1}
    found = {each["field"]: each for each in answer(desk(), replace(CLEAR, record=bad)).document["reasons"]}
    assert found["balance"]["code"] == "MY-1" and "账户余额" in found["balance"]["text_zh"]
    assert "money in the bank: -300,000 CNY" in found["balance"]["text_en"]
