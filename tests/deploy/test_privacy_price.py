"""The price of privacy is computed, repeats, and costs more without secure aggregation."""

import dataclasses
import math
from typing import NoReturn

import pytest
from creditmesh_demo.page.charts import price as draw_price
from creditmesh_demo.privacy_price import DELTA, Price, PricePoint, multiplier_for, price

from privacy.accountant import PrivacyEvent, epsilon_of
from risk.catalogue import recipe
from risk.errors import InputError
from risk.job import Book, JobSpec, releases
from risk.scorecard import ScorecardRecipe
from tests.risk.private_rooms import private_books
from tests.risk.rooms import books_of, flag, number, room_dictionary, room_tables, spec_of


def private_room() -> tuple[JobSpec, dict[str, Book]]:
    spec = spec_of(room_dictionary(number("balance", (-400_000, 2_000_000), "down"), flag("arrears", "up")), 4)
    tables = room_tables(spec.dictionary, (900, 700, 500, 400), 5)
    noisy = dataclasses.replace(spec, multiplier=1)
    return noisy, {book.table.member: book for book in private_books(tables, noisy)}


@pytest.mark.parametrize("epsilon", ["1", "8"])
def test_the_multiplier_is_the_least_that_keeps_the_promise(epsilon: str) -> None:
    spec, _ = private_room()
    multiplier = multiplier_for(spec, epsilon)

    def cost(level: int) -> float:
        events = [
            PrivacyEvent(item.rows, item.variance(level), item.row_l1, item.row_l2_squared, count=item.count)
            for item in releases(spec)
        ]
        return epsilon_of(events, DELTA)

    assert cost(multiplier) <= float(epsilon) < cost(multiplier - 100)


def test_points_repeat_and_stand_on_the_same_rows() -> None:
    spec, books = private_room()
    first, second = (price(books, spec, ["1", "30"], draws=2) for _ in range(2))
    assert first == second and first.reason == "" and first.exact is not None
    low, high = first.points
    assert low.multiplier > high.multiplier and low.epsilon == "1"
    for point in first.points:
        assert 0.0 < point.lowest <= point.auc <= point.highest < 1.0 and 0.0 < point.alone < 1.0


def test_trees_have_a_price_too() -> None:
    spec, books = private_room()
    trees = dataclasses.replace(spec, recipe="trees", parameters=recipe("trees").parse_parameters({"trees": 4}))
    found = price(books, trees, ["8"], draws=1)
    assert found.exact is not None and found.points[0].auc > 0.5


def test_a_recipe_without_such_a_form_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, books = private_room()

    def none(_self: ScorecardRecipe, _spec: JobSpec) -> NoReturn:
        raise InputError("dp-unsupported", "job: this recipe has no form with differential privacy")

    monkeypatch.setattr(ScorecardRecipe, "releases", none)
    found = price(books, spec, ["1"])
    assert found.exact is None and found.points == () and "differential privacy" in found.reason


def test_too_few_banks_have_no_price() -> None:
    spec = dataclasses.replace(spec_of(room_dictionary(), 3), multiplier=0)
    tables = room_tables(spec.dictionary, (900, 700, 500), 5)
    found = price({book.table.member: book for book in books_of(tables, spec)}, spec, ["1"])
    assert found.points == () and "four banks" in found.reason


def test_the_chart_shows_both_lines_in_both_languages() -> None:
    points = tuple(PricePoint(e, 1, 0.7 + place / 100, 0.69, 0.73, 0.6) for place, e in enumerate(("1", "3", "8")))
    drawn = {language: draw_price([Price("scorecard", 0.74, points)], language) for language in ("en", "zh")}
    assert "without secure aggregation" in drawn["en"] and "无安全聚合" in drawn["zh"]
    assert "without noise" in drawn["en"] and not math.isnan(points[0].auc)
