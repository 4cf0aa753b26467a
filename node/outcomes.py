"""Take in how loans ended: repaid or bad, by application.

It trains nothing. Theory: what closes the wheel decides the next model, so it is held to be exact: a table with any
contradiction is refused whole and nothing of it is kept; what is already known is taken again without effect, so the
same table may come every night; applications that this node never decided are counted and left out.

A table has the columns application_id, result (`repaid` or `bad`) and on (the day it was known, `YYYY-MM-DD`), or is
mapped by `[outcomes]` of `connectors.toml`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import polars as pl

from node.connectors.cells import Wanted, count_faults, typed
from node.connectors.copies import check_columns, open_rows
from node.connectors.settings import Connectors, Outcomes
from node.decided import Decided, read_decided
from node.outcome_store import Outcome, OutcomeStore, Result
from privacy.errors import InputError

__all__ = ["PLAIN", "Taken", "outcomes_of_file", "take_outcomes"]

PLAIN = {"application": "application_id", "result": "result", "on": "on"}
"""The columns of a table that no connectors map."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a table's rows: taken, already known, corrected, and of applications never decided here."""

    rows: int
    taken: int
    known: int
    corrected: int
    unknown: int

    def document(self) -> dict[str, int]:
        """Return the counts as JSON values."""
        return {name: getattr(self, name) for name in ("rows", "taken", "known", "corrected", "unknown")}

    def line(self) -> str:
        """Return the counts as one line."""
        text = f"{self.taken} outcomes taken, {self.known} known already, {self.corrected} corrected"
        return text + (f", {self.unknown} left out: applications this node never decided" if self.unknown else "")


def outcomes_of_file(path: Path) -> Outcomes:
    """Return what is read of a plain table."""
    return Outcomes.model_validate({"file": str(path), **PLAIN})


def take_outcomes(
    state: Path, outcomes: Outcomes, connectors: Connectors | None, now: datetime, *, correct: bool = False
) -> Taken:
    """Take the outcomes of a table; correct: let them replace what is known otherwise.

    Raises `InputError` with counts, and keeps nothing, where a row cannot be read or contradicts another, the
    decision's date or, unless `correct`, what is known.
    """
    rows = list(_read(outcomes, connectors))
    decided = {row.application_id: row for row in read_decided(state)}
    found, twice = _together(rows)
    with closing(OutcomeStore(state)) as store:
        known = store.newest()
        early = sum(_before(each, decided[name]) for name, each in found.items() if name in decided)
        late = sum(each.ended_on > now.astimezone(UTC).date().isoformat() for each in found.values())
        other = {name for name, each in found.items() if name in known and known[name].result != each.result}
        _refuse(
            {
                "applications with two different results": twice,
                "outcomes of before the decision": early,
                "outcomes dated ahead of today": late,
                "results that contradict what is known (--correct replaces it)": 0 if correct else len(other),
            }
        )
        wanted = [each for name, each in found.items() if name in decided and (name not in known or name in other)]
        if wanted:
            store.add(wanted, int(now.timestamp() * 1e6), _digest(outcomes))
    ours = sum(name in decided for name in found)
    corrected = sum(each.application_id in other for each in wanted)
    return Taken(len(rows), len(wanted) - corrected, ours - len(wanted), corrected, len(found) - ours)


def _read(outcomes: Outcomes, connectors: Connectors | None) -> Iterator[Outcome]:
    wanted = [
        Wanted("application", outcomes.application, "text", required=True),
        Wanted("result", outcomes.result, "text", required=True),
        Wanted("on", outcomes.on, "decision", required=True, pattern=outcomes.date_format),
    ]
    databases = {} if connectors is None else connectors.database
    for frame, types in open_rows(databases, outcomes, "outcomes"):
        check_columns("outcomes", types, wanted)
        faults = count_faults(frame, types, wanted)
        results = pl.col("result").replace_strict(outcomes.values, default=None, return_dtype=pl.String)
        read = typed(frame, types, wanted).with_columns(results).collect()
        unreadable = {column: count for column, (count, _) in faults.broken.items()}
        strange = read["result"].null_count() - unreadable.get(outcomes.result, 0)
        _refuse(
            {
                **{f"cells of column {column} empty or unreadable": count for column, count in unreadable.items()},
                f"results other than {', '.join(outcomes.values)}": strange,
            }
        )
        for application, result, on in read.iter_rows():
            yield Outcome(application, cast(Result, result), on.date().isoformat())


def _together(rows: list[Outcome]) -> tuple[dict[str, Outcome], int]:
    """Return one outcome per application, the earliest of equal ones, and how many applications have two results."""
    found: dict[str, Outcome] = {}
    twice: set[str] = set()
    for each in rows:
        first = found.setdefault(each.application_id, each)
        if first.result != each.result:
            twice.add(each.application_id)
        elif each.ended_on < first.ended_on:
            found[each.application_id] = each
    return found, len(twice)


def _before(outcome: Outcome, row: Decided) -> bool:
    return outcome.ended_on < row.day.isoformat()


def _refuse(counts: Mapping[str, int]) -> None:
    faults = [f"{count} {what}" for what, count in counts.items() if count]
    if faults:
        raise InputError("outcomes", f"outcomes: {'; '.join(faults)}; nothing was taken, correct the table")


def _digest(outcomes: Outcomes) -> str:
    if outcomes.file is None:
        return hashlib.sha256(str(outcomes.sql).encode()).hexdigest()
    with outcomes.file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
