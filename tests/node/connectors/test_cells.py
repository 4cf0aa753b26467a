"""A day counts from its end as a record and from its beginning as a decision; a moment counts as it is, in UTC."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest

from node.connectors.build import Plan, build_index
from node.connectors.cells import Wanted, count_faults, typed
from tests.node.connectors.small_bank import write_small_bank

EAST = timezone(timedelta(hours=8))


def read(values: pl.Series, role: str, pattern: str | None = None) -> list[object]:
    frame = pl.DataFrame({"x": values}).lazy()
    wanted = Wanted("x", "x", role, required=True, pattern=pattern)  # type: ignore[arg-type]
    return typed(frame, dict(frame.collect_schema()), [wanted]).collect()["x"].to_list()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "record", "decision"),
    [
        ("2024-03-10", "2024-03-10T23:59:59.999999", "2024-03-10T00:00:00"),
        ("2024-03-10T08:15:00", "2024-03-10T08:15:00", "2024-03-10T08:15:00"),
        ("2024-03-10 08:15:00.25", "2024-03-10T08:15:00.250000", "2024-03-10T08:15:00.250000"),
        ("2024-03-10T08:15:00Z", "2024-03-10T08:15:00", "2024-03-10T08:15:00"),
    ],
)
def test_texts_become_moments(text: str, record: str, decision: str) -> None:
    assert read(pl.Series([text]), "record") == [at(record)]
    assert read(pl.Series([text]), "decision") == [at(decision)]


@pytest.mark.parametrize("text", ["2024-02-30", "10.03.2024", "", "yesterday", "2024-03-10T25:00:00", "20240310"])
def test_what_is_no_date_is_a_fault(text: str) -> None:
    frame = pl.LazyFrame({"x": ["2024-01-01", text]})

    found = count_faults(frame, dict(frame.collect_schema()), [Wanted("x", "x", "record", required=True)])

    assert found.broken == {"x": (1, 2)}


def test_a_day_may_be_written_as_the_source_writes_it() -> None:
    assert read(pl.Series(["10.03.2024"]), "decision", "%d.%m.%Y") == [at("2024-03-10T00:00:00")]


def test_moments_with_a_zone_become_utc() -> None:
    column = pl.Series([datetime(2024, 3, 10, 1, 0, tzinfo=EAST)])

    assert read(column, "record") == [at("2024-03-09T17:00:00")]
    assert read(pl.Series([datetime(2024, 3, 10, 1, 0, tzinfo=UTC)]), "record") == [at("2024-03-10T01:00:00")]


def test_within_a_day_only_moments_can_be_told_apart(tmp_path: Path) -> None:
    connectors, schema = write_small_bank(tmp_path)
    (tmp_path / "applications.csv").write_text(
        "id,firm,decided,bad\na1,f1,2024-03-10T12:00:00,0\na2,f2,2024-03-10T12:00:00,0\na3,f3,2024-03-10T12:00:00,0\n"
    )
    (tmp_path / "vat.csv").write_text(
        "firm,day,consent,sales\nf1,2024-03-10T11:59:59,c,1\nf1,2024-03-10T12:00:00,c,10\nf2,2024-03-10,c,100\n"
        "f2,2024-03-09,c,1000\n"
    )

    build_index(Plan(connectors, schema), tmp_path / "built", lambda: datetime.now(UTC))

    assert pl.read_parquet(tmp_path / "built" / "table.parquet")["sales"].to_list() == [1.0, 1000.0, None]
