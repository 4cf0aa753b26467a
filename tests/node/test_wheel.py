"""From the decision API to a proposal: what the scorer decided, how it ended, and what the bank is told to do."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from node.config import MonitoringSettings
from node.decided import read_decided
from node.monitor import monitor
from node.outcomes import outcomes_of_file, take_outcomes
from node.proposal import propose
from node.source import read_table
from tests.node.scorer.bank_desk import body, dictionary, make_bank
from tests.node.scorer.client import api_of

pytestmark = pytest.mark.slow
COUNT = 120


@pytest.mark.parametrize("champion", ["scorecard", "head"])
def test_decisions_of_the_api_come_back_as_rows_to_train_on(tmp_path: Path, champion: str) -> None:
    settings = make_bank(tmp_path, champion=champion)
    names = asyncio.run(decided_by_the_api(settings, range(COUNT)))
    (tmp_path / "rows.csv").write_text("month,firm_id_hash,accepted,bad\n2025-01,7,1,0\n2025-02,8,0,\n")
    later = datetime.now(UTC) + timedelta(days=400)
    lines = [f"{name},{'bad' if place % 5 == 0 else 'repaid'},{later.date()}\n" for place, name in enumerate(names)]
    (tmp_path / "outcomes.csv").write_text("application_id,result,on\n" + "".join(lines))

    taken = take_outcomes(settings.state.dir, outcomes_of_file(tmp_path / "outcomes.csv"), None, later)
    settings = settings.model_copy(update={"monitoring": MonitoringSettings(new_outcomes=100)})
    found = monitor(settings, later)
    folder = propose(settings, found, later)

    assert taken.taken == COUNT and len(read_decided(settings.state.dir)) == COUNT
    report = found.report
    assert (report["decisions"], report["matured"], report["other_models"]) == (COUNT, COUNT, {})
    assert report["performance"]["bads"] == COUNT // 5
    assert sum(each["rows"] for each in report["grades"]) == COUNT
    assert (report["drift"] is None) == (found.model.reference is None)
    assert folder is not None
    table = read_table(folder / "table.parquet", dictionary(), "rural_bank")
    assert (table.rows, table.bads) == (COUNT + 1, COUNT // 5)
    # What the policy did not let the model use, such as a source without a day, is missing here too.
    answered = pl.read_parquet(folder / "table.parquet").tail(COUNT)
    for decided, row in zip(read_decided(settings.state.dir), answered.iter_rows(named=True), strict=True):
        for name in decided.unusable:
            assert row[name] is None


async def decided_by_the_api(settings: object, numbers: Sequence[int]) -> list[str]:
    async with api_of(settings) as api:  # type: ignore[arg-type]
        return [(await api.decide(body(number)))["application_id"] for number in numbers]
