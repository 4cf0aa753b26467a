"""The synthetic room: what its files look like and whether its fields mean what the dictionary says."""

import dataclasses
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from creditmesh_demo import room
from creditmesh_demo.cli import main
from creditmesh_demo.room_banks import INSTITUTIONS, Institution, scaled
from creditmesh_demo.room_draw import DRAWS
from creditmesh_demo.room_firms import MIXING, TRAITS

from node.check import check_table
from node.dataset import read_dictionary
from node.source import scan_table

SMALL = tuple(dataclasses.replace(institution, rows=200) for institution in INSTITUTIONS)
DRAWN_OTHERWISE = {"industry", "industry_cycle_index", "loan_term", "owner_id_hash"}

# What the published table of the generator says of each field: shape, and median (lognormal, share), mean (normal,
# count, ordinal) or share of firms that were ever late.
TABLE = {
    "vat_revenue_12m": ("lognormal", 1.5e6),
    "revenue_growth_yoy": ("normal", 0.06),
    "revenue_volatility": ("lognormal", 0.3),
    "invoice_active_months": ("clipped", 10.6),
    "invoice_void_rate": ("share", 0.04),
    "gross_margin": ("normal", 0.22),
    "electricity_kwh_trend": ("normal", 0.03),
    "employees_insured": ("lognormal", 7),
    "months_since_registration": ("lognormal", 55),
    "tax_credit_rating": ("clipped", 3.4),
    "tax_arrears_count_24m": ("count", 0.25),
    "bureau_max_dpd_24m": ("late", 0.15),
    "bureau_utilisation": ("share", 0.45),
    "bureau_inquiries_6m": ("count", 1.8),
    "active_lenders": ("count", 1.7),
    "debt_to_revenue": ("lognormal", 0.33),
    "enforcement_cases_36m": ("count", 0.06),
    "utility_late_payments_12m": ("count", 0.5),
    "settle_inflow_outflow": ("normal", 1.02),
    "cash_buffer_days": ("lognormal", 16),
    "balance_low_days_90d": ("clipped", 18),
    "returned_payment_rate": ("share", 0.015),
    "pos_night_share": ("share", 0.1),
    "owner_card_utilisation": ("share", 0.38),
    "related_party_transfer_share": ("share", 0.12),
    "account_tenure_months": ("lognormal", 27),
    "top3_buyer_share": ("share", 0.4),
    "buyer_payment_delay_days": ("lognormal", 27),
    "anchor_buyer_years": ("lognormal", 2),
    "platform_order_growth": ("normal", 0.08),
}


@pytest.fixture(scope="module")
def drawn() -> list[room.Rows]:
    return room.draw(INSTITUTIONS, 0)


def model_fields() -> list[dict[str, object]]:
    return [field for field in room.room_fields() if field.get("use", "model") == "model"]


def rank_auc(value: np.ndarray, bad: np.ndarray) -> float:
    """Mann-Whitney with mid-ranks, straight from its definition."""
    _, inverse, counts = np.unique(value, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    bads, goods = int(bad.sum()), int((1 - bad).sum())
    return float((ranks[bad == 1].sum() - bads * (bads + 1) / 2) / (bads * goods))


def test_dictionary_has_thirty_two_fields_in_four_dimensions() -> None:
    counts = Counter(field["dimension"] for field in model_fields())

    assert counts == {"operating": 9, "credit": 9, "behaviour": 8, "scenario": 6}
    assert all(field["text"] and field["text_zh"] and field["source_system"] for field in room.room_fields())


def test_every_number_has_a_plan_and_no_plan_is_unused() -> None:
    assert {field["name"] for field in room.room_fields()} == set(DRAWS) | DRAWN_OTHERWISE
    for how in DRAWS.values():
        explained = np.array([how.loadings.get(name, 0.0) for name in TRAITS]) @ MIXING
        assert set(how.loadings) <= set(TRAITS) and explained @ explained < 1


def test_every_directed_field_shows_its_sign(drawn: list[room.Rows]) -> None:
    bad = np.concatenate([rows.bad for rows in drawn])
    wrong = []
    accepted = np.concatenate([rows.accepted for rows in drawn])
    for field in room.room_fields():
        value = np.concatenate([rows.columns[field["name"]] for rows in drawn])
        known = ~np.isnan(value) & accepted
        auc = rank_auc(value[known], bad[known])
        if (field["risk_when_rising"] == "up" and auc <= 0.51) or (field["risk_when_rising"] == "down" and auc >= 0.49):
            wrong.append((field["name"], auc))

    assert wrong == []


def test_bad_rates_and_bounds_hold(drawn: list[room.Rows]) -> None:
    for institution, rows in zip(INSTITUTIONS, drawn, strict=True):
        assert abs(rows.bad[rows.accepted].mean() - institution.bad_rate) < 0.015
        for field in room.room_fields():
            low, high = field.get("bounds", (0, len(field.get("levels", ())) - 1))
            value = rows.columns[field["name"]]
            known = value[~np.isnan(value)]
            assert known.size == 0 or (known.min() >= low and known.max() <= high), field["name"]


def test_a_source_is_missing_as_a_whole(drawn: list[room.Rows]) -> None:
    rural = drawn[2].columns

    assert np.isnan(rural["platform_order_growth"]).all()
    both = np.isnan(rural["vat_revenue_12m"]) & np.isnan(rural["gross_margin"])
    assert 0.25 < both.mean() < 0.4


def test_same_seed_same_bytes_and_another_seed_other_bytes(tmp_path: Path) -> None:
    files = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        folder = tmp_path / name
        folder.mkdir()
        room.write_room(folder, seed, SMALL)
        files.append({path.name: path.read_bytes() for path in folder.iterdir()})

    assert files[0] == files[1]
    assert files[0]["city_bank.csv"] != files[2]["city_bank.csv"]
    assert files[0]["schema.toml"] == files[2]["schema.toml"]


def test_the_files_are_what_a_node_reads(tmp_path: Path) -> None:
    room.write_room(tmp_path, 0, SMALL)
    schema = tomllib.loads((tmp_path / "schema.toml").read_text(encoding="utf-8"))
    fields = [field["name"] for field in schema["field"]]
    roles = [schema[role]["field"] for role in ("time", "borrower", "accepted", "target")]
    dictionary = read_dictionary(tmp_path / "schema.toml")

    for institution in SMALL:
        path = tmp_path / f"{institution.name}.csv"
        assert path.read_text(encoding="utf-8").splitlines()[0].split(",") == [*roles[:2], *fields, *roles[2:]]
        assert check_table(path, tmp_path / "schema.toml").ok
        scan = scan_table(path, dictionary, institution.name)
        assert (scan.rows, scan.left_out) == (200, round(200 / (1 - institution.turned_away)) - 200)
        assert scan.table is not None and scan.table.month is not None and scan.table.borrower is not None
        assert set(scan.table.columns) >= {field.name for field in dictionary.model_fields}


def test_a_rejected_application_has_fields_and_no_outcome(tmp_path: Path) -> None:
    room.write_room(tmp_path, 0, SMALL)
    lines = [line.split(",") for line in (tmp_path / "city_bank.csv").read_text().splitlines()]
    rejected = [line for line in lines[1:] if line[-2] == "0"]
    assert rejected and all(line[-1] == "" for line in rejected)
    assert all(line[-1] in "01" and line[-1] for line in lines[1:] if line[-2] == "1")
    assert all(sum(cell != "" for cell in line) > 15 for line in rejected)


def test_rejected_firms_would_have_been_worse_and_some_of_them_good(drawn: list[room.Rows]) -> None:
    for institution, rows in zip(INSTITUTIONS, drawn, strict=True):
        assert abs((~rows.accepted).mean() - institution.turned_away) < 0.001
        rejected = rows.bad[~rows.accepted].mean()
        assert 1.3 * rows.bad[rows.accepted].mean() < rejected < 0.6


def test_marginals_are_those_of_the_published_table() -> None:
    plain = Institution("plain", 20_000, 0.08, 0.0001, {}, (1,) * 10, {})
    rows = room.draw([plain], 5)[0]
    assert set(TABLE) == {field["name"] for field in model_fields()} - DRAWN_OTHERWISE
    for name, (shape, expected) in TABLE.items():
        value = rows.columns[name][~np.isnan(rows.columns[name])]
        if shape == "late":
            middle = float(np.mean(value > 0))
        else:
            middle = float(np.median(value) if shape in ("lognormal", "share") else np.mean(value))
        # Clipping at the ends of a scale moves its mean; the rest is noise of the draw.
        room_for_noise = {"clipped": 0.08 * expected, "normal": 0.01}.get(shape, 0.04 * expected + 0.002)
        assert abs(middle - expected) <= room_for_noise, (name, middle)
    months = np.bincount(rows.month, minlength=24)
    assert len(months) == 24 and months.min() > 600


def test_the_months_have_a_cycle_that_borrowers_feel(drawn: list[room.Rows]) -> None:
    bad = np.concatenate([rows.bad[rows.accepted] for rows in drawn])
    month = np.concatenate([rows.month[rows.accepted] for rows in drawn])
    up, down = bad[month < 12].mean(), bad[month >= 12].mean()
    assert down > 1.1 * up


def test_one_firm_in_eleven_borrows_at_another_institution_too(drawn: list[room.Rows]) -> None:
    for column in ("firm", "owner"):
        ids = [rows.firm if column == "firm" else rows.columns["owner_id_hash"].astype(np.int64) for rows in drawn]
        assert all(one.min() >= 0 and one.max() < 2**48 for one in ids)
        for place, own in enumerate(ids):
            elsewhere = np.concatenate([other for number, other in enumerate(ids) if number != place])
            assert 0.08 <= np.isin(own, elsewhere).mean() <= 0.12
            assert column == "owner" or len(np.unique(own)) == len(own)


def test_a_shared_firm_is_one_firm_to_outsiders_and_each_sees_its_own_accounts(drawn: list[room.Rows]) -> None:
    first, second = drawn[0], drawn[3]
    both, here, there = np.intersect1d(first.firm, second.firm, return_indices=True)
    assert len(both) > 20
    assert np.array_equal(first.month[here], second.month[there])
    for name, alike in (("bureau_inquiries_6m", True), ("gross_margin", True), ("cash_buffer_days", False)):
        pair = np.stack([first.columns[name][here], second.columns[name][there]])
        pair = pair[:, ~np.isnan(pair).any(axis=0)]
        assert pair.shape[1] > 10 and bool((pair[0] == pair[1]).all()) == alike, name
    assert np.array_equal(first.columns["owner_id_hash"][here], second.columns["owner_id_hash"][there])


def test_soft_fields_are_grades_of_which_a_visit_in_three_is_missing(drawn: list[room.Rows]) -> None:
    for name in ("site_visit_grade", "stock_turnover_seen", "neighbours_word"):
        value = np.concatenate([rows.columns[name] for rows in drawn])
        assert abs(np.isnan(value).mean() - 0.3) < 0.01
        assert set(np.unique(value[~np.isnan(value)])) == {1.0, 2.0, 3.0, 4.0, 5.0}


@pytest.mark.slow
def test_the_network_knows_more_than_any_one_institution(tmp_path: Path) -> None:
    """The reason for a network must lie in the rows, not in the page: on all hold-outs it beats the best local card."""
    from risk.bank import own_models
    from risk.catalogue import recipe
    from risk.job import Book, JobSpec, contribute, rounds
    from risk.ranking import auc
    from risk.recipe import run_plain
    from risk.table import concatenate

    banks = scaled(0.5)
    room.write_room(tmp_path, 0, banks)
    dictionary = read_dictionary(tmp_path / "schema.toml")
    parameters = recipe("scorecard").parse_parameters({})
    spec = JobSpec("scorecard", 1, parameters, dictionary, len(banks), 1 << 20, 0, 300_000)
    tables = [scan_table(tmp_path / f"{bank.name}.csv", dictionary, bank.name).table for bank in banks]
    books = [Book(table, spec) for table in tables if table is not None]
    model = run_plain(rounds(spec), lambda ask: np.sum([contribute(ask, book) for book in books], axis=0)).model
    market = concatenate([book.table.select(book.rows("holdout")) for book in books])
    local = [auc(market.target, own_models(book).full.logit(market)) or 0.0 for book in books]
    assert (auc(market.target, model.logit(market)) or 0.0) > max(local)


def test_the_command_writes_a_room_and_refuses_a_full_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "room"
    assert main(["room", "--out", str(out), "--seed", "7", "--scale", "0.05"]) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["schema.toml", *(f"{bank.name}.csv" for bank in INSTITUTIONS)]
    )
    assert main(["room", "--out", str(out)]) == 2
    for wrong in (["--scale", "0"], ["--scale", "nan"], ["--scale", "half"], ["--seed", "-1"], ["--rows", "5"]):
        assert main(["room", "--out", str(tmp_path / "other"), *wrong]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 6 and "Traceback" not in error
    assert not (tmp_path / "other").exists()
