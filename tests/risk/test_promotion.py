"""The rule: every test alone can keep the champion, and what is not known promotes nobody."""

from typing import Any

import pytest

from risk.promotion import promotion


def figures(**more: Any) -> dict[str, Any]:
    return {
        "scores": {"rows": 5000, "bads": 600, "auc": 0.74, "ece": 0.02},
        "drift": {"psi": 0.05},
        "grades": {"monotone": True},
        "fairness": [{"field": "region", "passes": True}],
        "gain": {"difference": 0.02, "standard_error": 0.005, "p_value": 0.0},
        **more,
    }


def answer(champion: dict[str, Any], challenger: dict[str, Any]) -> str:
    return promotion(champion, challenger).answer


def test_a_clear_gain_is_promoted_with_its_reasons() -> None:
    verdict = promotion(figures(), figures())
    assert verdict.answer == "promote" and all(reason.holds for reason in verdict.reasons)
    document = verdict.to_document()
    assert (
        document["reasons"][1]["text"].startswith("AUC differs by +0.0200") and document["rule"]["least_rows"] == 1000
    )
    assert all(reason["text"] and reason["text_zh"] for reason in document["reasons"])


@pytest.mark.parametrize(
    "worse",
    [
        {"gain": {"difference": 0.008, "standard_error": 0.005, "p_value": 0.1}},
        {"gain": {"difference": -0.02, "standard_error": 0.005, "p_value": 0.0}},
        {"scores": {"rows": 5000, "bads": 600, "auc": 0.74, "ece": 0.04}},
        {"drift": {"psi": 0.3}},
        {"grades": {"monotone": False}},
        {"fairness": [{"field": "region", "passes": False}]},
    ],
)
def test_one_failed_test_keeps_the_champion(worse: dict[str, Any]) -> None:
    assert answer(figures(), figures(**worse)) == "keep"


@pytest.mark.parametrize(
    "unknown",
    [
        {"gain": None},
        {"scores": {"rows": 5000, "bads": 600, "auc": 0.7, "ece": None}},
        {"scores": {"rows": 900, "bads": 100, "auc": 0.74, "ece": 0.02}},
        {"scores": {"rows": 5000, "bads": 30, "auc": 0.74, "ece": 0.02}},
        {"scores": {"rows": 5000, "bads": 4990, "auc": 0.74, "ece": 0.02}},
    ],
)
def test_what_is_not_known_promotes_nobody(unknown: dict[str, Any]) -> None:
    assert answer(figures(), figures(**unknown)) == "insufficient"


def test_without_reference_or_segments_the_other_tests_decide() -> None:
    assert answer(figures(), figures(drift=None, grades=None, fairness=[])) == "promote"


def test_a_gap_that_the_champion_has_too_is_no_new_one() -> None:
    unfair = [{"field": "region", "passes": False}]
    assert answer(figures(fairness=unfair), figures(fairness=unfair)) == "promote"
    assert answer(figures(drift={"psi": 0.4}), figures(drift={"psi": 0.35})) == "promote"


def test_the_same_ranking_better_calibrated_is_a_gain() -> None:
    level = {"difference": 0.0, "standard_error": 0.004, "p_value": 1.0}
    loose = {"rows": 5000, "bads": 600, "auc": 0.74, "ece": 0.08}
    assert answer(figures(scores=loose), figures(gain=level)) == "promote"
    assert answer(figures(), figures(gain=level)) == "keep"
