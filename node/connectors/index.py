"""Compute every field of every application from the records that were known before its decision.

This module reads copies and writes nothing. Theory: the point-in-time join. A record counts for an application if it is
about the applicant, and both the day it speaks of and the day it was known lie before the decision; what came later
cannot change a value, whatever stands in it. One applicant is computed by the same expressions as a training table, so
both give the same. A value is missing for a reason, which is told: `no-record` (the source knows nothing of the
applicant, or there is no consent), `stale` (the newest record is older than the dictionary's `max_age_days`), `empty`
(the records give no value) or `outside` (the value breaks the dictionary's bounds or levels).
"""

from collections.abc import Mapping

import polars as pl

from node.connectors.settings import Connectors, Ratio, Source, Take, Taken
from node.connectors.takes import ZERO_WHEN_NONE, take_values
from risk.dictionary import Dictionary, Field

__all__ = ["REASONS", "compute_fields"]

REASONS = ("no-record", "stale", "empty", "outside")
# A ratio that is a round number shall be one, so that it falls on the right side of a bin's edge.
DIGITS = 10

Copies = Mapping[str, pl.LazyFrame]


def compute_fields(connectors: Connectors, dictionary: Dictionary, copies: Copies) -> pl.DataFrame:
    """Return one row per application, in the order of the copy `applications`.

    Columns: those of the copy; for every mapped field `f.NAME` (Float64, or String of a category) and `why.NAME` (one
    of `REASONS`, or null where there is a value); for every source `as_of.NAME` (moment of the newest record in use)
    and `consent.NAME`.
    """
    applications = copies["applications"].with_row_index("row")
    result = applications
    places: dict[tuple[str, Take], str] = {}
    for name, source in connectors.source.items():
        takes = list(dict.fromkeys(part for part in _parts(connectors) if part.source == name))
        for take in takes:
            places[name, take] = f"t.{len(places)}"
        names = [places[name, take] for take in takes]
        result = result.join(_source_values(applications, name, source, copies, (takes, names)), on="row", how="left")
    reasons, values = [], []
    for name, mapped in connectors.field.items():
        declared = dictionary.field(name)
        value, reason = _field(declared, mapped, [places[part.source, _plain(part)] for part in mapped.parts])
        values.append(value.alias(f"f.{name}"))
        reasons.append(reason.alias(f"why.{name}"))
    # Values under the reason's rule: first all values, then all reasons, then emptied where there is a reason.
    frame = result.with_columns(values).with_columns(reasons)
    emptied = [
        pl.when(pl.col(f"why.{name}").is_null()).then(pl.col(f"f.{name}")).alias(f"f.{name}")
        for name in connectors.field
    ]
    return frame.with_columns(emptied).drop(list(places.values())).sort("row").drop("row").collect()


def _parts(connectors: Connectors) -> list[Take]:
    return [_plain(part) for mapped in connectors.field.values() for part in mapped.parts]


def _plain(part: Take) -> Take:
    """Return the take alone, so that two fields that take the same share its column."""
    return Take(**{name: getattr(part, name) for name in Take.model_fields})


def _source_values(
    applications: pl.LazyFrame, name: str, source: Source, copies: Copies, asked: tuple[list[Take], list[str]]
) -> pl.LazyFrame:
    """Return `row`, `as_of.NAME`, `consent.NAME` and the takes' columns, for the rows that the source covers."""
    takes, names = asked
    whose = "key" if source.match is None else f"m.{source.match}"
    subjects = applications.select("row", "decided", pl.col(whose).alias("key"))
    records = _known(subjects, copies[name])
    coverage = records if source.coverage is None else _known(subjects, copies[f"{name}-coverage"])
    carrier = records if source.consent_stands_in == "records" else coverage
    covered = coverage.group_by("row").agg(pl.col("when").max().alias(f"as_of.{name}"))
    if source.consent_stands_in is None:
        covered = covered.with_columns(pl.lit(None, pl.String).alias(f"consent.{name}"))
    else:
        reference = pl.col("consent").sort_by("when", "consent", nulls_last=False).last().alias(f"consent.{name}")
        covered = covered.join(carrier.group_by("row").agg(reference), on="row", how="left")
    if not takes:
        return covered
    taken = take_values(records, takes).rename({str(place): column for place, column in enumerate(names)})
    zeros = [column for column, take in zip(names, takes, strict=True) if take.take in ZERO_WHEN_NONE]
    joined = covered.join(taken, on="row", how="left")
    nothing = [pl.when(pl.col("some").is_null()).then(0.0).otherwise(pl.col(column)).alias(column) for column in zeros]
    return joined.with_columns(nothing).drop("some")


def _known(subjects: pl.LazyFrame, records: pl.LazyFrame) -> pl.LazyFrame:
    """Return the records about each application's subject that were known before its decision."""
    joined = subjects.join(records, on="key", how="inner")
    names = joined.collect_schema().names()
    latest = pl.max_horizontal("when", "known") if "known" in names else pl.col("when")
    return joined.filter(latest < pl.col("decided"))


def _field(declared: Field, mapped: Taken | Ratio, columns: list[str]) -> tuple[pl.Expr, pl.Expr]:
    """Return a field's value and the reason why it is missing (null: it is not)."""
    value, unknown = _value(declared, mapped, columns)
    uncovered, stale = pl.lit(False), pl.lit(False)
    for source in dict.fromkeys(part.source for part in mapped.parts):
        newest = pl.col(f"as_of.{source}")
        uncovered = uncovered | newest.is_null()
        if declared.max_age_days is not None:
            stale = stale | (newest < pl.col("decided") - pl.duration(days=declared.max_age_days))
    result = pl.col(f"f.{declared.name}")
    outside = _outside(declared, mapped, result) | unknown
    # What cannot be read as a value, and what is none, are told apart: the first is a mistake of the mapping.
    reason = (
        pl.when(uncovered)
        .then(pl.lit("no-record"))
        .when(stale.fill_null(False))
        .then(pl.lit("stale"))
        .when(outside.fill_null(False))
        .then(pl.lit("outside"))
        .when(result.is_null())
        .then(pl.lit("empty"))
    )
    return value, reason


def _value(declared: Field, mapped: Taken | Ratio, columns: list[str]) -> tuple[pl.Expr, pl.Expr]:
    """Return the raw value, and where the records hold a text that `values` or the levels do not know."""
    raw = pl.col(columns[0])
    if isinstance(mapped, Ratio):
        under = pl.col(columns[1])
        return _scaled(pl.when(under != 0.0).then(raw / under), declared, mapped), pl.lit(False)
    if declared.kind == "category" or mapped.values is not None:
        meanings = mapped.values or {level: level for level in declared.levels}
        kind = pl.String() if declared.kind == "category" else pl.Float64()
        read = [meaning if declared.kind == "category" else float(meaning) for meaning in meanings.values()]
        value = raw.replace_strict(list(meanings), read, default=None, return_dtype=kind)
        unknown = raw.is_not_null() & value.is_null()
        if declared.kind == "category":
            return value, unknown
        return _scaled(value, declared, mapped), unknown
    return _scaled(raw, declared, mapped), pl.lit(False)


def _scaled(number: pl.Expr, declared: Field, mapped: Taken | Ratio) -> pl.Expr:
    scaled = (number if mapped.scale is None else number * float(mapped.scale)).round_sig_figs(DIGITS)
    finite = pl.when(scaled.is_finite()).then(scaled)
    if mapped.outside == "clip" and declared.bounds is not None:
        return finite.clip(*declared.bounds)
    return finite


def _outside(declared: Field, mapped: Taken | Ratio, value: pl.Expr) -> pl.Expr:
    if declared.kind == "flag":
        return ~value.is_in([0.0, 1.0])
    if declared.bounds is None:
        return pl.lit(False)
    outside = ~value.is_between(*declared.bounds)
    return outside & ~value.is_in(list(declared.special)) if declared.special else outside
