"""The records of a synthetic bank's sources, each made so that its summary is a drawn row of the room.

This module writes no file. Theory: the inverse of what `node.connectors.takes` computes, table by table. A firm whose
summary a source does not know has no record there; a firm without a single figure has records without that column. Each
table ends with records dated after the decision whose values are absurd: a summary that looks ahead is seen at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

__all__ = ["TABLES", "Firms"]

RATINGS = np.array(["D", "C", "M", "B", "A"])
ABSURD = 987_654.0
BUYERS = 40
MONTH = 30.4


@dataclass(frozen=True, eq=False, slots=True)
class Firms:
    """Drawn firms, one application each.

    decided: (rows,) datetime64[D]. columns: by field, (rows,) float64, NaN is missing. outcome:
    (rows,) float64, 1 = bad, NaN where the application was rejected.
    """

    decided: np.ndarray
    columns: Mapping[str, np.ndarray]
    outcome: np.ndarray
    rng: np.random.Generator

    @property
    def rows(self) -> int:
        """Return how many firms there are."""
        return int(self.decided.size)

    @property
    def ids(self) -> list[str]:
        """Return the firms' ids."""
        return [f"F{number:06d}" for number in range(self.rows)]


@dataclass(frozen=True, eq=False, slots=True)
class _Lines:
    """Records in the making: firm (n,) index of each record's firm, when (n,) its day; values by column."""

    firms: Firms
    firm: np.ndarray
    when: np.ndarray
    values: dict[str, np.ndarray]

    def frame(self, source: str, as_of: str, unconsented: float = 0.0) -> pl.DataFrame:
        """Return the table, oldest first, each firm's consent under one reference; some firms gave none."""
        ids = np.array(self.firms.ids)
        gave = self.firms.rng.random(self.firms.rows) >= unconsented
        consent = np.where(gave, np.char.add(f"{source}-", ids), "")
        columns = {"firm_id": ids[self.firm], as_of: self.when, "consent_ref": consent[self.firm]}
        table = pl.DataFrame({**columns, **self.values}).with_columns(pl.col(pl.Float64).fill_nan(None))
        return table.sort(as_of, "firm_id", maintain_order=True)


def _monthly(known: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (firm, number) of `count` records per known firm, newest first by number from 0, plus number -1."""
    chosen = np.flatnonzero(known)
    firm = np.repeat(chosen, count + 1)
    number = np.tile(np.arange(-1, count), chosen.size)
    return firm, number


def _days(firms: Firms, firm: np.ndarray, number: np.ndarray, step: float, first: int = 5) -> np.ndarray:
    """Return the day `first + step * number` before each decision; number -1 stands for the day after it."""
    back = np.where(number < 0, -1, np.floor(first + step * number)).astype(np.int64)
    return firms.decided[firm] - back


def _absurd(number: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(number < 0, ABSURD, values)


def _known(firms: Firms, *names: str) -> np.ndarray:
    return ~np.logical_and.reduce([np.isnan(firms.columns[name]) for name in names])


def _grown(firms: Firms, total: np.ndarray, growth: np.ndarray, firm: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return a twelfth of `total` for the newest 12 records, and of what it grew from for the 12 before."""
    before = total / np.maximum(1.0 + growth, 0.05)
    return np.where(number < 12, total[firm], before[firm]) / 12.0


def _vat_declarations(firms: Firms) -> pl.DataFrame:
    revenue, growth = firms.columns["vat_revenue_12m"], firms.columns["revenue_growth_yoy"]
    margin = firms.columns["gross_margin"]
    firm, number = _monthly(~np.isnan(revenue), 24)
    # Without a growth there is one year of history only.
    keep = (number < 12) | ~np.isnan(growth)[firm]
    firm, number = firm[keep], number[keep]
    sales = _grown(firms, revenue, np.nan_to_num(growth), firm, number)
    values = {"sales": _absurd(number, sales), "gross_profit": _absurd(number, sales * margin[firm])}
    return _Lines(firms, firm, _days(firms, firm, number, MONTH), values).frame("vat", "declared_on")


def _tax_invoices(firms: Firms) -> pl.DataFrame:
    active = np.clip(np.nan_to_num(firms.columns["invoice_active_months"], nan=12.0), 1, 12)
    spread, void = firms.columns["revenue_volatility"], firms.columns["invoice_void_rate"]
    firm, number = _monthly(_known(firms, "revenue_volatility", "invoice_active_months"), 13)
    amount = np.where(number >= active[firm] + 1, 0.0, _with_peak(active, np.nan_to_num(spread))[firm, 1])
    amount = np.where(number == 1, _with_peak(active, np.nan_to_num(spread))[firm, 0], amount)
    amount = np.where(number == 0, 50.0, amount)  # the month of the decision, which is no whole one
    back = np.maximum(number, 0)
    when = (firms.decided[firm].astype("datetime64[M]") - back).astype("datetime64[D]") + 27
    when = np.where(number == 0, firms.decided[firm] - 1, when)
    when = np.where(number < 0, firms.decided[firm] + 1, when)
    values = {
        "amount": _absurd(number, amount),
        "issued": np.where(number < 0, 1.0, 400.0),
        "voided": _absurd(number, 400.0 * void[firm]),
    }
    return _Lines(firms, firm, when, values).frame("tax", "issued_on")


def _with_peak(active: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return (rows, 2): a peak month's amount and that of the other active months, over twelve months of mean 1000.

    Their coefficient of variation is `spread`, or the least that the idle months allow.
    """
    rest = np.maximum(active - 1.0, 1e-9)
    square = 12.0 * (1.0 + np.minimum(np.maximum(spread**2, (12.0 - active) / active), 11.0))
    a, b, c = 1.0 + 1.0 / rest, -24.0 / rest, 144.0 / rest - square
    peak = np.where(active > 1, (-b + np.sqrt(np.maximum(b * b - 4 * a * c, 0.0))) / (2 * a), 12.0)
    return 1000.0 * np.stack([peak, (12.0 - peak) / rest], axis=1)


def _utility_bills(firms: Firms) -> pl.DataFrame:
    trend, late = firms.columns["electricity_kwh_trend"], firms.columns["utility_late_payments_12m"]
    firm, number = _monthly(_known(firms, "electricity_kwh_trend", "utility_late_payments_12m"), 24)
    kwh = _grown(firms, np.full(firms.rows, 36_000.0), np.nan_to_num(trend), firm, number)
    kwh = np.where(np.isnan(trend)[firm], np.nan, kwh)
    values = {
        "kwh": _absurd(number, kwh),
        "days_late": np.where(number < 0, 90.0, np.where(number < np.nan_to_num(late)[firm], 9.0, 0.0)),
    }
    return _Lines(firms, firm, _days(firms, firm, number, MONTH), values).frame("utility", "settled_on", 0.02)


def _social_security(firms: Firms) -> pl.DataFrame:
    heads = firms.columns["employees_insured"]
    firm, number = _monthly(~np.isnan(heads), 3)
    values = {"insured": _absurd(number, heads[firm] + np.maximum(number, 0))}
    return _Lines(firms, firm, _days(firms, firm, number, 30), values).frame("social", "paid_on")


def _business_registry(firms: Firms) -> pl.DataFrame:
    age, industry = firms.columns["months_since_registration"], firms.columns["industry"]
    firm, number = _monthly(~np.isnan(age), 1)
    registered = _months_ago(firms.decided[firm], age[firm])
    codes = np.array([f"I{int(code):02d}" if code == code else "" for code in industry.tolist()])
    values = {
        "registered_on": np.where(number < 0, firms.decided[firm], registered),
        "industry_code": np.where(number < 0, "I00", codes[firm]),
    }
    return _Lines(firms, firm, _days(firms, firm, number, 30, first=40), values).frame("registry", "extracted_on")


def _months_ago(decided: np.ndarray, months: np.ndarray) -> np.ndarray:
    """Return the first of the month `months` before; counting whole months gives `months` again."""
    return (decided.astype("datetime64[M]") - months.astype(np.int64)).astype("datetime64[D]")


def _tax_ratings(firms: Firms) -> pl.DataFrame:
    rating = firms.columns["tax_credit_rating"]
    firm, number = _monthly(~np.isnan(rating), 2)
    place = np.clip(rating[firm] - 1 - np.maximum(number, 0), 0, 4).astype(np.int64)
    values = {"rating": np.where(number < 0, "D", RATINGS[place])}
    return _Lines(firms, firm, _days(firms, firm, number, 365, first=100), values).frame("rating", "rated_on")


def _queries(field: str, source: str) -> Callable[[Firms], pl.DataFrame]:
    """Return a table of who was asked about: most firms have no record there, and that is an answer."""

    def make(firms: Firms) -> pl.DataFrame:
        firm = np.flatnonzero(~np.isnan(firms.columns[field]))
        return _Lines(firms, firm, firms.decided[firm] - 2, {}).frame(source, "asked_on")

    return make


def _events(field: str, source: str, span: int, known: str | None = None) -> Callable[[Firms], pl.DataFrame]:
    """Return a table of as many events per firm as the field counts, within `span` days, and one after the decision."""

    def make(firms: Firms) -> pl.DataFrame:
        counts = np.nan_to_num(firms.columns[field]).astype(np.int64) + 1
        firm = np.repeat(np.arange(firms.rows), counts)
        number = np.arange(firm.size) - np.repeat(np.cumsum(counts) - counts, counts) - 1
        step = np.maximum(span // np.maximum(counts[firm], 1), 1)
        when = firms.decided[firm] - np.where(number < 0, 1, 3 + number * step)
        # The last event lies before the decision and was published after it.
        published = {} if known is None else {known: when + np.where(number < 0, 9, 1)}
        late = when if known is not None else np.where(number < 0, firms.decided[firm] + 1, when)
        return _Lines(firms, firm, late, published).frame(source, "event_on")

    return make


def _bureau_reports(firms: Firms) -> pl.DataFrame:
    used, lenders = firms.columns["bureau_utilisation"], firms.columns["active_lenders"]
    debt = firms.columns["debt_to_revenue"] * firms.columns["vat_revenue_12m"]
    firm, number = _monthly(_known(firms, "bureau_utilisation", "active_lenders"), 2)
    values = {
        "used": _absurd(number, 1000.0 * used[firm]),
        "credit_limit": np.full(firm.size, 1000.0),
        "debt": _absurd(number, debt[firm]),
        "lenders": _absurd(number, lenders[firm]),
    }
    return _Lines(firms, firm, _days(firms, firm, number, 90), values).frame("bureau", "reported_on")


def _bureau_status(firms: Firms) -> pl.DataFrame:
    worst = firms.columns["bureau_max_dpd_24m"]
    firm, number = _monthly(~np.isnan(worst), 6)
    values = {"days_past_due": _absurd(number, np.where(number == 3, worst[firm], 0.0))}
    return _Lines(firms, firm, _days(firms, firm, number, 100), values).frame("bureau", "month_end")


def _settlement_flow(firms: Firms) -> pl.DataFrame:
    take = firms.columns
    firm, number = _monthly(_known(firms, "settle_inflow_outflow", "cash_buffer_days"), 12)
    low = np.minimum(np.nan_to_num(take["balance_low_days_90d"]), 90.0)
    values = {
        "inflow": _absurd(number, 3000.0 * take["settle_inflow_outflow"][firm]),
        "outflow": np.where(number < 0, 1.0, 3000.0),
        "related_outflow": _absurd(number, 3000.0 * take["related_party_transfer_share"][firm]),
        "balance": _absurd(number, 100.0 * take["cash_buffer_days"][firm]),
        "low_days": np.where(np.isnan(take["balance_low_days_90d"])[firm], np.nan, _absurd(number, low[firm] / 3.0)),
        "payments": np.where(number < 0, 1.0, 500.0),
        "returned": _absurd(number, 500.0 * take["returned_payment_rate"][firm]),
    }
    return _Lines(firms, firm, _days(firms, firm, number, 30, first=1), values).frame("settlement", "statement_on")


def _accounts(firms: Firms) -> pl.DataFrame:
    tenure = firms.columns["account_tenure_months"]
    firm, number = _monthly(~np.isnan(tenure), 1)
    opened = _months_ago(firms.decided[firm], tenure[firm])
    values = {"opened_on": np.where(number < 0, firms.decided[firm], opened)}
    return _Lines(firms, firm, _days(firms, firm, number, 30), values).frame("account", "seen_on")


def _pos_flow(firms: Firms) -> pl.DataFrame:
    night = firms.columns["pos_night_share"]
    firm, number = _monthly(~np.isnan(night), 3)
    values = {"takings": np.full(firm.size, 1000.0), "night_takings": _absurd(number, 1000.0 * night[firm])}
    return _Lines(firms, firm, _days(firms, firm, number, 29, first=2), values).frame("pos", "settled_on")


def _owner_accounts(firms: Firms) -> pl.DataFrame:
    used = firms.columns["owner_card_utilisation"]
    firm, number = _monthly(~np.isnan(used), 2)
    values = {"card_limit": np.full(firm.size, 1000.0), "card_used": _absurd(number, 1000.0 * used[firm])}
    return _Lines(firms, firm, _days(firms, firm, number, 30), values).frame("owner", "statement_on")


def _supply_chain(firms: Firms) -> pl.DataFrame:
    """Return a record per buyer: three with an equal part of the share, and as many others as it leaves room for."""
    share, delay = firms.columns["top3_buyer_share"], firms.columns["buyer_payment_delay_days"]
    years = firms.columns["anchor_buyer_years"]
    chosen = np.flatnonzero(~np.isnan(share))
    top = np.maximum(share[chosen], 3.0 / BUYERS)
    buyers = np.minimum(np.ceil(3.0 / top).astype(np.int64) + 1, BUYERS)
    firm = np.repeat(chosen, buyers + 1)
    number = np.arange(firm.size) - np.repeat(np.cumsum(buyers + 1) - (buyers + 1), buyers + 1) - 1
    part, others = np.repeat(top, buyers + 1), np.repeat(buyers, buyers + 1) - 3
    amount = np.where(number < 3, part / 3.0, (1.0 - part) / others)
    since = _months_ago(firms.decided[firm], np.round(np.nan_to_num(years)[firm] * 12.0))
    values = {
        "buyer": np.char.add("B", np.maximum(number, 0).astype(str)),
        "amount": _absurd(number, 100_000.0 * amount),
        "delay_days": _absurd(number, delay[firm]),
        "anchor": np.where((number == 0) & ~np.isnan(years)[firm], 1.0, 0.0),
        "since": since,
    }
    return _Lines(firms, firm, _days(firms, firm, number, 5), values).frame("chain", "delivered_on")


def _platform_orders(firms: Firms) -> pl.DataFrame:
    growth = firms.columns["platform_order_growth"]
    firm, number = _monthly(~np.isnan(growth), 24)
    total = np.full(firms.rows, 12_000.0)
    values = {"orders": _absurd(number, _grown(firms, total, np.nan_to_num(growth), firm, number))}
    return _Lines(firms, firm, _days(firms, firm, number, MONTH), values).frame("platform", "counted_on")


TABLES: Mapping[str, Callable[[Firms], pl.DataFrame]] = {
    "vat_declarations": _vat_declarations,
    "tax_invoices": _tax_invoices,
    "utility_bills": _utility_bills,
    "social_security": _social_security,
    "business_registry": _business_registry,
    "tax_ratings": _tax_ratings,
    "tax_arrears": _events("tax_arrears_count_24m", "arrears", 700),
    "tax_arrears_queries": _queries("tax_arrears_count_24m", "arrears"),
    "bureau_reports": _bureau_reports,
    "bureau_status": _bureau_status,
    "bureau_inquiries": _events("bureau_inquiries_6m", "bureau", 170),
    "court_cases": _events("enforcement_cases_36m", "court", 1000, known="published_on"),
    "court_queries": _queries("enforcement_cases_36m", "court"),
    "settlement_flow": _settlement_flow,
    "accounts": _accounts,
    "pos_flow": _pos_flow,
    "owner_accounts": _owner_accounts,
    "supply_chain": _supply_chain,
    "platform_orders": _platform_orders,
}
