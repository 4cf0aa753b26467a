"""Copy a bank's tables once into local Parquet, typed, with a line in the manifest for each.

It computes no field. Theory: a dataset is built from copies and never from a live table, so the same build can be
repeated and argued about, and the core system is read once. A copy holds the columns that the mappings name and nothing
else. What it was made of is told by a digest: of the file's bytes, or of the SELECT's text.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from node.connectors.cells import Faults, Types, Wanted, count_faults, typed
from node.connectors.settings import Connectors, Database, Origin
from node.csv_lines import read_shape
from privacy.errors import InputError
from risk.dictionary import Dictionary

__all__ = ["Copied", "Copy", "check_columns", "copy_all", "open_rows", "wanted_columns"]

_ROLES = {
    "number": "finite numbers or empty cells",
    "date": "dates",
    "record": "a date in every row",
    "decision": "a date in every row",
    "text": "a text in every row",
}

Rows = Iterator[tuple[pl.LazyFrame, Types]]


@dataclass(frozen=True, slots=True)
class Copied:
    """The line of one copy in the manifest; times are UTC in ISO 8601, rows are those of the bank's table."""

    origin: str
    sha256: str
    rows: int
    dropped: dict[str, int]
    started: str
    ended: str
    copy_sha256: str


@dataclass(frozen=True, eq=False, slots=True)
class Copy:
    """One copy: its typed rows, and its line in the manifest."""

    rows: pl.LazyFrame
    line: Copied


def wanted_columns(connectors: Connectors, dictionary: Dictionary) -> dict[str, list[Wanted]]:
    """Return what is read of each table, by the name of its copy.

    Names in a copy: `key`, `when`, `known`, `consent` and `c.COLUMN` of a source; `application`, `key`, `decided`,
    `target`, `accepted`, `borrower` and `m.COLUMN` of the applications.
    """
    asked = connectors.applications
    columns = [
        Wanted("application", asked.application, "text", required=True),
        Wanted("key", asked.applicant, "text", required=True),
        Wanted("decided", asked.decided, "decision", required=True, pattern=asked.date_format),
    ]
    for role in ("target", "accepted"):
        if (name := getattr(asked, role)) is not None:
            columns.append(Wanted(role, name, "number"))
    if asked.borrower is not None:
        columns.append(Wanted("borrower", asked.borrower, "text"))
    matches = {each.match for each in connectors.source.values() if each.match is not None}
    columns += [Wanted(f"m.{match}", match, "text") for match in sorted(matches)]
    wanted = {"applications": columns}
    for name, source in connectors.source.items():
        stands = source.consent_stands_in
        wanted[name] = [
            Wanted("key", source.key, "text", drop=True),
            Wanted("when", source.as_of, "record", required=True, pattern=source.date_format),
            *(
                [Wanted("known", source.known, "record", required=True, pattern=source.date_format)]
                if source.known
                else []
            ),
            *_consent(source.consent, source.consent_required and stands == "records"),
            *(Wanted(f"c.{column}", column, role) for column, role in connectors.columns(name, dictionary).items()),
        ]
        if source.coverage is not None:
            wanted[f"{name}-coverage"] = [
                Wanted("key", source.coverage.key, "text", drop=True),
                Wanted("when", source.coverage.as_of, "record", required=True, pattern=source.coverage.date_format),
                *_consent(source.coverage.consent, source.consent_required and stands == "coverage"),
            ]
    return wanted


def _consent(column: str | None, required: bool) -> list[Wanted]:
    return [] if column is None else [Wanted("consent", column, "text", drop=required)]


def copy_all(
    connectors: Connectors, dictionary: Dictionary, folder: Path, now: Callable[[], datetime]
) -> dict[str, Copy]:
    """Copy every table into `folder`, which must be empty; return the copies by name.

    Raises `InputError` for a table that cannot be read, lacks a column, or holds cells that cannot be read (counted,
    with the first row's number and never its value).
    """
    wanted = wanted_columns(connectors, dictionary)
    copies = {}
    for name, origin in connectors.origins():
        started = now()
        place = folder / name
        place.mkdir(mode=0o700, parents=True)
        faults = _write(name, open_rows(connectors.database, origin, name), wanted[name], place)
        line = Copied(
            origin="sql" if origin.sql is not None else "file",
            sha256=_origin_digest(origin),
            rows=faults.rows,
            dropped=faults.dropped,
            started=_iso(started),
            ended=_iso(now()),
            copy_sha256=_folder_digest(place),
        )
        copies[name] = Copy(pl.scan_parquet(place / "*.parquet"), line)
    return copies


def open_rows(
    databases: Mapping[str, Database], origin: Origin, name: str, only: tuple[str, str] | None = None
) -> Rows:
    """Yield a table's rows in one or more frames, with the types of their columns.

    only: a column and the value of it that is wanted; a database is asked for those rows alone.
    """
    if origin.file is not None:
        frame, types = _open_file(origin.file)
        yield (frame if only is None else frame.filter(pl.col(only[0]).cast(pl.String) == only[1])), types
        return
    # Only a bank that maps SQL needs SQLAlchemy.
    try:
        from node.connectors.database import read_rows
    except ModuleNotFoundError:
        message = f"{name}: a SELECT needs SQLAlchemy; install creditmesh[serve], or give a file"
        raise InputError("connectors-extra", message) from None

    assert origin.database is not None and origin.sql is not None  # `Origin` refuses anything else
    for names, batch in read_rows(origin.database, databases[origin.database], origin.sql, only):
        if len(set(names)) != len(names):
            raise InputError("column-repeated", f"{name}: two columns of its SELECT have one name; rename one")
        frame = pl.DataFrame(batch, schema=dict.fromkeys(names, pl.String), orient="row").lazy()
        yield frame, dict.fromkeys(names, pl.String())


def check_columns(name: str, types: Types, wanted: Sequence[Wanted]) -> None:
    """Raise `InputError` for a column that the table does not have."""
    absent = [each.column for each in wanted if each.column not in types]
    if absent:
        raise InputError("column-absent", f"{name}: column {absent[0]!r} is absent; add it, or correct connectors.toml")


def _write(name: str, rows: Rows, wanted: Sequence[Wanted], place: Path) -> Faults:
    total = Faults(0, {}, {})
    for number, (frame, types) in enumerate(rows):
        check_columns(name, types, wanted)
        try:
            total = _add(total, count_faults(frame, types, wanted))
            typed(frame, types, wanted).sink_parquet(place / f"{number:05d}.parquet")
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            message = f"{name}: the table is damaged and cannot be read to its end ({type(error).__name__})"
            raise InputError("table-format", message) from None
    for column, (count, first) in total.broken.items():
        role = next(each.role for each in wanted if each.column == column)
        cells = f"{count} {'cell' if count == 1 else 'cells'}"
        message = f"{name}: column {column}: {cells} cannot be read, first in row {first}; expected {_ROLES[role]}"
        raise InputError("table-cells", message)
    return total


def _add(total: Faults, more: Faults) -> Faults:
    broken = dict(total.broken)
    for column, (count, first) in more.broken.items():
        before = broken.get(column)
        broken[column] = (count, first + total.rows) if before is None else (before[0] + count, before[1])
    dropped = {name: total.dropped.get(name, 0) + count for name, count in more.dropped.items()}
    return Faults(total.rows + more.rows, dropped, broken)


def _open_file(path: Path) -> tuple[pl.LazyFrame, dict[str, pl.DataType]]:
    try:
        if path.suffix == ".csv":
            shape = read_shape(path)
            frame = pl.scan_csv(path, infer_schema=False, n_rows=shape.rows)
            if len(set(shape.header)) != len(shape.header):
                raise InputError("column-repeated", f"{path}: two columns have one name; rename one")
            return frame, dict.fromkeys(shape.header, pl.String())
        if path.suffix == ".parquet":
            with path.open("rb"):
                frame = pl.scan_parquet(path)
                return frame, dict(frame.collect_schema())
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("file-unreadable", f"{path}: cannot be read ({reason})") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        raise InputError("table-format", f"{path}: the Parquet file is damaged; write it again") from None
    raise InputError("table-suffix", f"{path}: expected a file that ends in .csv or .parquet")


def _origin_digest(origin: Origin) -> str:
    if origin.sql is not None:
        return hashlib.sha256(origin.sql.encode()).hexdigest()
    assert origin.file is not None  # `Origin` refuses neither
    with origin.file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _folder_digest(place: Path) -> str:
    """Return one digest over the copy's parts in order; makes them durable."""
    state = hashlib.sha256()
    for part in sorted(place.glob("*.parquet")):
        part.chmod(0o600)
        with part.open("rb") as stream:
            state.update(hashlib.file_digest(stream, "sha256").digest())
            os.fsync(stream.fileno())
    return state.hexdigest()


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
