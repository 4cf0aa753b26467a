"""The closed set of what may be taken from a source's records, as Polars expressions.

It sees only records that were known before the decision (`node.connectors.index` leaves the others out) and is given no
text to run. With D the moment of decision and t the moment a record speaks of, a window of n months is D - n months <=
t < D, one of n days D - n days <= t < D; calendar months are counted back from the month of D, which does not count
itself, so that every month is a whole one:

    latest           the newest record's value, of equally new ones the largest
    sum, mean, min, max, count, distinct, exists      over the window; no record there: 0 of a sum or count, else empty
    active_months    calendar months 1..n back with a record
    cv_monthly       standard deviation over mean of the n calendar months' sums, months without a record being 0
    growth           sum of the last n months over that of the n before, less 1; empty unless records reach back 2n
    months_since     whole months from the newest record's date column to D
    top_share        share of the `top` largest groups in the window's sum
    ratio            one take over another; empty where that is 0
"""

from collections.abc import Sequence

import polars as pl

from node.connectors.settings import Take, Where

__all__ = ["ZERO_WHEN_NONE", "take_values"]

ZERO_WHEN_NONE = frozenset({"sum", "count", "distinct", "exists", "active_months"})
_NESTED = frozenset({"cv_monthly", "top_share"})


def take_values(records: pl.LazyFrame, takes: Sequence[Take]) -> pl.LazyFrame:
    """Return `row`, `some` (true) and one column `0`, `1`, ... per take, for the rows that have any record.

    records: `row`, `decided`, `when` and the columns `c.NAME` that the takes read, one line a record and application.
    """
    places = range(len(takes))
    simple = [_simple(takes[place]).alias(str(place)) for place in places if takes[place].take not in _NESTED]
    values = records.group_by("row").agg(pl.lit(True).alias("some"), *simple)
    for place in places:
        if takes[place].take in _NESTED:
            values = values.join(_nested(records, takes[place], str(place)), on="row", how="left")
    return values


def _simple(take: Take) -> pl.Expr:
    inside = _window(take) & _conditions(take.where)
    value = pl.col(f"c.{take.column}")
    match take.take:
        case "count":
            return inside.sum().cast(pl.Float64)
        case "exists":
            return inside.any().cast(pl.Float64)
        case "distinct":
            return value.filter(inside & value.is_not_null()).n_unique().cast(pl.Float64)
        case "active_months":
            return _months_back().filter(inside).n_unique().cast(pl.Float64)
        case "growth":
            return _growth(take, value)
        case "months_since":
            return _months_between(_newest(value, inside), pl.col("decided").first())
        case "latest":
            return _newest(value, inside)
        case "sum":
            return _sum(value, inside)
        case "mean":
            return _total(value.filter(inside)) / (inside & value.is_not_null()).sum()
        case "min":
            return value.filter(inside).min()
        case _:
            return value.filter(inside).max()


def _nested(records: pl.LazyFrame, take: Take, name: str) -> pl.LazyFrame:
    value = pl.col(f"c.{take.column}")
    inside = records.filter(_window(take) & _conditions(take.where) & value.is_not_null())
    if take.take == "top_share":
        group = f"c.{take.group}"
        sums = inside.filter(pl.col(group).is_not_null()).group_by("row", group)
        part = pl.col("part").sort()
        parts = sums.agg(_total(value).alias("part"))
        return parts.group_by("row").agg(_over(_total(part.tail(take.top or 1)), _total(part)).alias(name))
    months = take.months or 1
    monthly = inside.group_by("row", _months_back().alias("back")).agg(_total(value).alias("part"))
    part = pl.col("part")
    mean = _total(part) / months
    variance = (_total(part**2) / months - mean**2).clip(lower_bound=0.0)
    return monthly.group_by("row").agg(_over(variance.sqrt(), mean).alias(name))


def _growth(take: Take, value: pl.Expr) -> pl.Expr:
    when, decided, months = pl.col("when"), pl.col("decided"), take.months or 1
    middle, start = decided.dt.offset_by(f"-{months}mo"), decided.dt.offset_by(f"-{2 * months}mo")
    fits = _conditions(take.where)
    after = _sum(value, fits & (when >= middle))
    before = _sum(value, fits & (when >= start) & (when < middle))
    reaches = when.min() < decided.first().dt.offset_by(f"-{2 * months - 1}mo")
    return pl.when(reaches).then(_over(after, before) - 1.0)


def _sum(value: pl.Expr, inside: pl.Expr) -> pl.Expr:
    """Return the sum of what lies inside: 0 without a record, none where there are records but no cell is filled."""
    return pl.when(inside.any()).then(_total(value.filter(inside))).otherwise(0.0)


def _total(values: pl.Expr) -> pl.Expr:
    """Return the sum from the smallest value to the largest, null of none.

    Floats added in another order give another sum, and neither threads nor SIMD lanes keep an order by themselves.
    """
    return values.drop_nulls().sort().cum_sum().last()


def _window(take: Take) -> pl.Expr:
    when, decided = pl.col("when"), pl.col("decided")
    if take.take in ("active_months", "cv_monthly"):
        return _months_back().is_between(1, take.months or 1)
    if take.months is not None:
        return when >= decided.dt.offset_by(f"-{take.months}mo")
    return pl.lit(True) if take.days is None else when >= decided - pl.duration(days=take.days)


def _conditions(wheres: Sequence[Where]) -> pl.Expr:
    fits = pl.lit(True)
    for where in wheres:
        column = pl.col(f"c.{where.column}")
        if where.equals is not None:
            holds = column == (where.equals if isinstance(where.equals, str) else float(where.equals))
        else:
            holds = column > where.above if where.above is not None else column < where.below
        fits = fits & holds.fill_null(False)
    return fits


def _newest(value: pl.Expr, inside: pl.Expr) -> pl.Expr:
    there = inside & value.is_not_null()
    return value.filter(there).sort_by(pl.col("when").filter(there), value.filter(there)).last()


def _months_back() -> pl.Expr:
    return _month(pl.col("decided")) - _month(pl.col("when"))


def _month(moment: pl.Expr) -> pl.Expr:
    return moment.dt.year() * 12 + moment.dt.month().cast(pl.Int32)


def _months_between(first: pl.Expr, last: pl.Expr) -> pl.Expr:
    months = _month(last) - _month(first) - (last.dt.day() < first.dt.day()).cast(pl.Int32)
    return pl.when(first <= last).then(months.cast(pl.Float64))


def _over(of: pl.Expr, over: pl.Expr) -> pl.Expr:
    return pl.when(over != 0.0).then(of / over)
