"""The page: self-contained, in both languages, escaped, and honest in its headline."""

import dataclasses
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import pytest
from creditmesh_demo.page.headline import headline, statements
from creditmesh_demo.page.render import draw, render
from creditmesh_demo.page.texts import DIMENSION_NAMES, LABELS, WHY, signed
from creditmesh_demo.page.view import BankRow, Contrast, RecipeView, RunView
from creditmesh_demo.privacy_price import Price, PricePoint
from creditmesh_demo.report import check_sums, judge_job, report_document, run_view
from creditmesh_demo.run_record import Timing

from tests.deploy.plain import PlainRun

VOID = {"meta", "input", "br", "wbr", "link", "img"}


class Reader(HTMLParser):
    """Collect texts by language, ids, references and resources of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[tuple[str, str | None]] = []
        self.texts: dict[str, list[str]] = {"en": [], "zh": []}
        self.ids: list[str] = []
        self.references: list[str] = []
        self.resources: list[str] = []
        self.unclosed = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        for name, value in values.items():
            self.references += re.findall(r"url\(#([^)]+)\)", value or "")
            if name in ("src", "href", "xlink:href", "data") and value:
                (self.references if value.startswith("#") else self.resources).append(value.removeprefix("#"))
        if tag not in VOID:
            self.stack.append((tag, values.get("lang")))

    def handle_endtag(self, tag: str) -> None:
        while self.stack and self.stack[-1][0] != tag:
            self.stack.pop()
            self.unclosed += 1
        if self.stack:
            self.stack.pop()

    def handle_data(self, data: str) -> None:
        languages = [language for _, language in self.stack if language in self.texts]
        inside = [tag for tag, _ in self.stack]
        if data.strip() and languages and "svg" not in inside and inside[0] == "html" and len(languages) > 1:
            self.texts[languages[-1] or ""].append(data.strip())


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


@pytest.fixture(scope="module")
def view(plain_run: PlainRun) -> RunView:
    judged = [judge_job(job, plain_run.tables, compare_pooled=True) for job in plain_run.record.jobs]
    checks = [check_sums(job, plain_run.tables) for job in plain_run.record.jobs]
    report = report_document(plain_run.record, judged, Timing(1.5, 3.25, 1))
    return run_view(plain_run.record, judged, checks, report)


@pytest.fixture(scope="module")
def page(view: RunView) -> str:
    return render(view, draw(view))


def test_page_loads_nothing_and_every_reference_resolves(page: str) -> None:
    reader = read(page)

    assert reader.resources == []
    assert "@import" not in page and "http-equiv" not in page
    assert re.findall(r"(?:src|href)=\"?https?:", page) == []
    assert set(reader.references) <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))


def test_every_text_stands_in_both_languages(page: str) -> None:
    reader = read(page)

    assert len(reader.texts["zh"]) > 100
    assert len(re.findall(r'<span lang="en">', page)) == len(re.findall(r'<span lang="zh">', page))
    pairs = re.findall(r'<span lang="en">(.*?)</span><span lang="zh">(.*?)</span>', page, re.DOTALL)
    assert all(english.strip() and chinese.strip() for english, chinese in pairs)
    assert sum("None" in text for text in (*reader.texts["en"], *reader.texts["zh"])) == 0


def test_labels_have_two_languages() -> None:
    assert all(english and chinese and english != chinese for english, chinese in (*LABELS.values(), *WHY.values()))
    assert all(set(names) == {"en", "zh"} for names in DIMENSION_NAMES.values())
    assert [signed(value) for value in (3, 0, -3)] == ["+3", "0", "−3"]


def test_page_says_what_is_not_protected(page: str) -> None:
    assert "Sums are not yet verified by members: the coordinator is trusted to add correctly." in page
    assert "No differential privacy" in page and "没有差分隐私" in page
    assert "creditmesh-audit verify nodes/city_bank" in page


def test_page_says_who_verified_the_sums(view: RunView) -> None:
    verified = dataclasses.replace(view, verifiers=2)
    shown = render(verified, draw(verified))

    assert "recomputed and signed by at least 2 of the members" in shown and "至少 2 家成员重新计算并签名" in shown
    assert "not yet verified" not in shown


def test_drawings_and_tables_are_there(page: str, view: RunView) -> None:
    assert page.count("<svg") == 2 * 7
    assert view.points is not None
    assert page.count('class="card"') == len(view.points.fields)
    for bank in view.report["members"]:
        assert bank.replace("_", "_<wbr>") in page


def test_the_price_of_privacy_stands_on_the_page_of_a_noisy_run(page: str, view: RunView) -> None:
    assert 'id="price"' not in page
    point = PricePoint("3", 1_650_000, 0.7123, 0.71, 0.715, 0.6543)
    noisy = dataclasses.replace(view, prices=(Price("scorecard", 0.7234, (point,)), Price("trees", None, (), "none")))
    shown = render(noisy, draw(noisy))
    assert 'id="price"' in shown and "0.712" in shown and "0.654" in shown and "0.723" in shown
    assert shown.count("<svg") == 2 * 8


def test_the_page_says_whom_the_noise_protects(page: str, view: RunView) -> None:
    assert "at most epsilon" not in page
    spent = {**view.report, "privacy": {**view.report["privacy"], "epsilon": {"amber": 2.5}}}
    rows, borrowers = (dataclasses.replace(view, report=spent, unit=unit) for unit in ("record", "borrower"))
    shown = render(rows, draw(rows))
    assert "one record at one bank changes" in shown and "单个机构的一条记录" in shown
    shown = render(borrowers, draw(borrowers))
    assert "one borrower with all rows at one bank changes" in shown and "单个机构的一名借款人的全部记录" in shown


def test_a_page_without_curves_or_points_of_a_price_is_written(view: RunView) -> None:
    recipes = tuple(dataclasses.replace(recipe, curves=None) for recipe in view.recipes)
    bare = dataclasses.replace(view, recipes=recipes, prices=(Price("scorecard", None, (), "one class"),), sent={})
    shown = render(bare, draw(bare))
    assert "one class" in shown and 'id="price"' in shown


def test_values_are_escaped(view: RunView) -> None:
    evil = "<script>alert(1)</script>"
    shown = render(dataclasses.replace(view, title=evil, source=f'"{evil}'), draw(view))

    assert evil not in shown and "&lt;script&gt;alert(1)" in shown


def test_a_failed_run_still_gives_a_page(view: RunView) -> None:
    failed = dataclasses.replace(
        view.recipes[0], state="failed", reason="member lost: too few left", banks=(), curves=None
    )
    broken = dataclasses.replace(view, recipes=(failed,), points=None, applicant=None, checks=())
    shown = render(broken, draw(broken))

    assert "No model was trained" in shown and "member lost: too few left" in shown


def test_a_wrong_sum_is_said_loudly(view: RunView) -> None:
    wrong = dataclasses.replace(view, checks=(dataclasses.replace(view.checks[0], different=2),))

    assert "Do not use this model" in render(wrong, draw(wrong))


def bank(name: str, market: tuple[float, float], own: tuple[float, float] = (-0.01, 0.02)) -> BankRow:
    def contrast(limits: tuple[float, float]) -> Contrast:
        return Contrast(sum(limits) / 2, *limits)

    figures: dict[str, Any] = {
        "auc_own": 0.70, "auc_network": 0.68, "auc_mixed": 0.71, "auc_own_market": 0.60, "chosen": "mixed",
    }  # fmt: skip
    return BankRow(name, figures, contrast(own), contrast(own), contrast(market))


def recipe(banks: Sequence[BankRow]) -> RecipeView:
    return RecipeView("scorecard", {"network": {"auc": 0.66}}, tuple(banks), None, "done", "", {})


def test_headline_follows_the_intervals() -> None:
    better, even, worse = (0.01, 0.05), (-0.01, 0.05), (-0.05, -0.01)

    every = headline(recipe([bank("a", better), bank("b", better)]))
    one = headline(recipe([bank("a", better), bank("b", even), bank("c", worse)]))
    nobody = headline(recipe([bank("a", even), bank("b", worse)]))
    assert every.tone == one.tone == "gains" and nobody.tone == "even"
    assert "every one of the 2 banks" in every.en and "全部 2 家" in every.zh
    assert "1 of 3 banks ranks" in one.en and "3 家机构中有 1 家" in one.zh
    assert "not clearly better" in nobody.en and "并不明显优于" in nobody.zh
    assert headline(None).tone == "loses"


def test_findings_name_the_losers_and_warn_established_banks() -> None:
    rows = [bank("alpha", (0.01, 0.05), own=(-0.06, -0.02)), bank("beta", (0.01, 0.05))]
    found = statements(recipe(rows))
    own = next(statement for statement in found if statement.lead_en == "A bank's own customers")

    assert own.tone == "loses"
    assert "clearly worse: 1 bank (alpha)" in own.en and "明显更差：1 家（alpha）" in own.zh
    assert "should not simply swap" in own.en and "不应直接" in own.zh
