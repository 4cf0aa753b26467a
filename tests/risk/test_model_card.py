"""The card: every figure is the record's, what is missing is said to be missing, and nobody's name becomes markup."""

from dataclasses import replace

import pytest

from risk.model_card import card_of
from risk.model_card_page import render_html, render_markdown
from risk.model_card_texts import (
    ANSWERS,
    BANDS,
    DIMENSIONS,
    NOT_FOR,
    REASONS,
    ROLES,
    SELECTIONS,
    STATES,
    Text,
    say,
)
from risk.pack import pack_sheets
from risk.promotion import promotion
from tests.risk.dossiers import HOSTILE, dossier_of


@pytest.mark.parametrize("name", ["scorecard", "trees"])
def test_a_card_tells_the_record_s_figures_in_both_languages(name: str) -> None:
    dossier = dossier_of(name)
    page = render_markdown(card_of(dossier)).decode()
    assert dossier.metrics is not None
    for figure in ("auc", "ks", "brier"):
        assert page.count(f"{dossier.metrics[figure]:.4f}") >= 2
    assert page.count(dossier.sha256) == 2 and page.count("年营业额") >= 1
    assert "epsilon is not bounded" in page and "ε 无上界" in page
    assert "No validation job has looked at it yet" in page


def test_a_validation_is_told_with_its_figures() -> None:
    dossier = dossier_of("scorecard", validated=True)
    page = render_markdown(card_of(dossier), ["en"]).decode()
    scores = dossier.entry(dossier.validations[0][1])["scores"]
    assert f"{scores['auc']:.4f}" in page and "Job job\\-2" in page and "No validation job" not in page


def test_segments_and_what_moved_are_told() -> None:
    dossier = dossier_of("scorecard", validated=True)
    entry = dossier.entry(dossier.validations[0][1])
    page = render_markdown(card_of(dossier), ["en"]).decode()
    for each in entry["fairness"][0]["segments"]:
        assert "with too few rows" in page if each["withheld"] else f"{each['approval_ratio']:.4f}" in page
    worst = max(entry["fields"], key=lambda each: each["psi"])
    assert f"PSI {worst['psi']:.4f}" in page.replace("\\", "")
    bare = {**entry, "fairness": [], "fields": [], "stability": [
        {"period": "2019-01", "withheld": False, "auc": 0.61}, {"period": "2019-02", "withheld": True}]}  # fmt: skip
    report = {**dossier.validations[0][1], "models": {"champion": bare}}
    page = render_markdown(card_of(replace(dossier, validations=(("job-2", report),))), ["en"]).decode()
    assert "declares no segment" in page and "lowest AUC is 0.6100" in page.replace("\\", "")


@pytest.mark.parametrize(("gain", "answer"), [
    ({"difference": 0.05, "standard_error": 0.001}, "cannot tell"), (None, "cannot tell"),
    ({"difference": -0.05, "standard_error": 0.001}, "keep"),
])  # fmt: skip
def test_a_comparison_tells_the_rule_s_answer_and_every_test(gain: dict[str, float] | None, answer: str) -> None:
    dossier = dossier_of("scorecard", validated=True)
    report = dossier.validations[0][1]
    other = {**report["models"]["champion"], "sha256": "00" * 32}
    mine = {**report["models"]["champion"], "gain": gain}
    verdict = promotion(other, mine).to_document()
    compared = {**report, "models": {"champion": other, "challenger": mine}, "comparison": {"promotion": verdict}}
    shown = replace(dossier, validations=(("job-2", compared),))
    english, chinese = (render_markdown(card_of(shown), [name]).decode() for name in ("en", "zh"))
    assert answer in english and "this one was the challenger" in english
    for reason in verdict["reasons"]:
        assert f"| {reason['code']} |" in english and reason["text_zh"][:6] in chinese.replace("\\", "")
    (rows,) = (sheet.rows for sheet in pack_sheets(shown) if sheet.name == "v1 promotion rule")
    assert [row[0] for row in rows[1:]] == [reason["code"] for reason in verdict["reasons"]]


def test_dropped_fields_are_named_with_their_reason() -> None:
    page = render_markdown(card_of(dossier_of("scorecard")), ["zh"]).decode()
    assert "| constant |" in page and "分箱合并为一" in page


def test_what_is_not_known_is_said_to_be_not_known() -> None:
    bare = replace(dossier_of("scorecard"), lineage=None, metrics=None, dictionary=None, proposals=(), aliases=(),
                   released="", own=None)  # fmt: skip
    page = render_markdown(card_of(bare), ["en"]).decode()
    for said in (
        "No figure was measured",
        "manifest was not kept",
        "Nobody was asked",
        "pending: not released",
        "not known",
    ):
        assert said in page
    assert "At this bank" not in page


def test_noise_and_later_rows_change_what_is_promised() -> None:
    dossier = dossier_of("scorecard")
    private = {**(dossier.lineage or {}), "privacy": "dp", "epsilon": "3.5", "delta": "0.000001"}
    page = render_markdown(card_of(replace(dossier, lineage=private)), ["en"]).decode()
    assert "epsilon 3\\.5" in page or "epsilon 3.5" in page
    assert "not bounded" not in page and "Counts bear noise" in page


@pytest.mark.parametrize("languages", [["en"], ["zh"], ["en", "zh"]])
def test_a_name_does_not_become_markup(languages: list[str]) -> None:
    card = card_of(dossier_of("scorecard"))
    page = render_html(card, languages).decode()
    assert "<script" not in page and "&lt;script&gt;" in page and HOSTILE not in page
    assert "default-src" in page and "http" not in page.replace("http://x", "").replace("http-equiv", "")
    text = render_markdown(card, languages).decode()
    assert "[x](y)" not in text and "`" not in text.replace("\\`", "") and "<" not in text.replace("\\<", "")
    cells = {line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")}
    assert cells <= {3, 4, 5, 8}


def test_the_same_dossier_gives_the_same_bytes() -> None:
    one, other = (card_of(dossier_of("scorecard")) for _ in range(2))
    assert render_html(one) == render_html(other) and render_markdown(one) == render_markdown(other)


def test_every_text_stands_in_both_languages() -> None:
    for found in (
        *NOT_FOR,
        *ROLES.values(),
        *STATES.values(),
        *DIMENSIONS.values(),
        *REASONS.values(),
        *ANSWERS.values(),
        *BANDS.values(),
        *SELECTIONS.values(),
    ):
        assert isinstance(found, Text) and found.en and found.zh and not found.zh.isascii()
    assert say("proposal") == Text("Proposal", "提案")
