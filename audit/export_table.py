"""A log as a table of comma-separated values, for a spreadsheet.

One row a record, one column a field: the envelope's, then every key that a body of the chosen records has; lists and
objects stand as JSON. A table proves nothing, so each row names its leaf hash. A spreadsheet runs a cell that begins
with `= + - @`, a tab or a carriage return as a formula; such a cell gets an apostrophe in front.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TextIO

from privacy.log.record import Event, decode_event
from privacy.log.tree import leaf_hash

__all__ = ["guarded", "write_table"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ENVELOPE = ("seq", "t", "kind", "job", "round", "purpose", "actor.type", "actor.id", "actor.role", "actor.auth")
_CLOCK = ("mono_us", "boot", "clk.src", "clk.err_us", "log", "leaf_sha256")


def guarded(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; any other text is left as it is."""
    return "'" + cell if cell.startswith(_FORMULA) else cell


def write_table(stream: TextIO, keys: Iterable[str], events: Iterable[bytes]) -> int:
    """Write the header and one row for each event, and return the number of rows.

    Args:
        stream: text stream opened with `newline=""`.
        keys: keys of bodies that get a column (`body_keys`).
        events: exact bytes in order.
    """
    columns = (*_ENVELOPE, *_CLOCK, *(f"body.{key}" for key in sorted(keys)))
    writer = csv.writer(stream)
    writer.writerow([guarded(column) for column in columns])
    rows = 0
    for encoded in events:
        cells = dict(_cells(decode_event(encoded)))
        writer.writerow([guarded(cells.get(column, "")) for column in columns])
        rows += 1
    return rows


def _cells(event: Event) -> Iterator[tuple[str, str]]:
    envelope: Mapping[str, object] = json.loads(event.encoded)
    for name in (*_ENVELOPE, *_CLOCK):
        head, _, tail = name.partition(".")
        value = envelope.get(head)
        yield name, _text(value[tail] if tail and isinstance(value, dict) else value)
    yield "leaf_sha256", leaf_hash(event.encoded).hex()
    for key, value in event.body.items():
        yield f"body.{key}", _text(value)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
