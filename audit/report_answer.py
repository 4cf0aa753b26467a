"""What an answer of the auditor's report is made of: sentences in two languages, tables with proofs, pictures.

Nothing is read, decided or drawn here. Theory: all that a log says travels as a `Value`, a `Digest` or a part of a
sentence that `shown` made harmless, and only the page turns it into markup, so there is one place where a hostile
name could slip through, and that place escapes everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from audit.report_drawing import Drawing
from audit.report_say import Say

__all__ = [
    "Answer",
    "Cell",
    "Digest",
    "Flag",
    "Kept",
    "Moment",
    "Picture",
    "Proof",
    "Row",
    "Stack",
    "Status",
    "Table",
    "Value",
]

Status = Literal["clear", "attention", "partial", "listed", "none"]
"""clear: asked of the records and nothing to object; attention: something that a person must look at; partial:
answered from one side or in part only; listed: facts without a judgement; none: no record of this kind."""


@dataclass(frozen=True, slots=True)
class Value:
    """A text as a log says it; the page shows what is hidden in it and keeps its direction apart."""

    text: str


@dataclass(frozen=True, slots=True)
class Digest:
    """Lower-case hexadecimal digits; the page shows the first 16."""

    hex: str


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant in UTC microseconds since 1970."""

    utc_us: int


@dataclass(frozen=True, slots=True)
class Proof:
    """Records that a row rests on: number of the log on this page, first and last sequence number."""

    log: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Flag:
    """A judgement in a cell: how it is coloured, and its word."""

    status: Status
    word: Say


@dataclass(frozen=True, slots=True)
class Stack:
    """Several short things in one cell, one under the other."""

    parts: tuple["Say | Value | Digest | Flag", ...]


Cell = Say | Value | Digest | Moment | Proof | Flag | Stack | int | None
Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a caption.

    Attributes:
        caption: what the rows are.
        columns: heads, one per cell of a row.
        rows: the rows shown.
        total: how many there are; more than are shown where the page is capped.
        kind: kind of event whose full list the reader is pointed to, empty where all rows are shown by design.
    """

    caption: Say
    columns: Sequence[Say]
    rows: Sequence[Row]
    total: int
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing and what it shows."""

    caption: Say
    drawing: Drawing


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one of the 22 questions; the first of its sentences also stands in the overview."""

    number: int
    status: Status
    sentences: tuple[Say, ...]
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(slots=True)
class Kept:
    """The first rows of each log, and the count of all: a page stays small whatever a log's length."""

    per_log: int
    rows: list[Row] = field(default_factory=list)
    total: int = 0
    _counts: dict[int, int] = field(default_factory=dict)

    def add(self, log: int, row: Row) -> None:
        """Count a row of a log, and keep it while there is room."""
        self.total += 1
        count = self._counts.get(log, 0)
        self._counts[log] = count + 1
        if count < self.per_log:
            self.rows.append(row)
