"""Pictures of the auditor's report as inline SVG: stacked columns and bars, steps under a cap, spans in time, lineage.

A drawing knows lengths, colours and words, not logs. It needs no script, no style attribute and nothing from outside.
Theory: under every picture stands a table with the same figures, so a picture may round, shorten a name and leave
out what does not fit; where it does, it says so.
"""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from audit.report_say import LANGUAGES, Language, Say, printed, same
from privacy.log.instant import format_utc

__all__ = ["Bars", "Box", "Columns", "Drawing", "Lineage", "Mark", "Span", "Steps", "Timeline"]

WIDTH = 720
COLOURS = ("#1f5fbf", "#b45309", "#0f766e", "#7c3aed", "#be185d", "#566071", "#4d7c0f", "#0e7490")
INK, SOFT, LINE, ALARM = "#1b2430", "#566071", "#d5dae1", "#b42318"
LABEL_LENGTH = 22
LEGEND_LENGTH = 44

_Point = tuple[float, float]


class Drawing(Protocol):
    """Something that can be drawn."""

    def svg(self, languages: Sequence[Language]) -> str:
        """Return one `<svg>` element with its words in the given languages."""
        ...


@dataclass(frozen=True, slots=True)
class Columns:
    """Stacked columns: one label per column, and per series a name and one figure per column.

    `floor` draws a line under which no column may stay; `unit` names the figures and `bottom` the columns.
    """

    labels: tuple[str, ...]
    series: tuple[tuple[Say, tuple[float, ...]], ...]
    unit: Say
    bottom: Say
    whole: bool = False

    def svg(self, languages: Sequence[Language]) -> str:
        """Draw the columns over a shared axis from zero."""
        pen = _Pen(languages, 268)
        left, top, bottom = 64, 30, 214
        most = max((sum(each) for each in zip(*(figures for _, figures in self.series), strict=True)), default=0)
        scale = _ticks(most, self.whole)
        for value in scale:
            y = bottom - (bottom - top) * value / scale[-1]
            pen.line((left, y), (WIDTH - 8, y), LINE)
            pen.text(left - 8, y + 4, same(_short_number(value)), "end", SOFT)
        pen.text(0, 16, self.unit, "start", SOFT)
        pen.text(WIDTH - 8, 250, self.bottom, "end", SOFT)
        step = (WIDTH - 8 - left) / max(1, len(self.labels))
        every = -(-len(self.labels) * 76 // (WIDTH - 8 - left)) or 1
        for place, label in enumerate(self.labels):
            x, y = left + step * place, float(bottom)
            wide = min(step * 0.7, 64)
            for number, (_, figures) in enumerate(self.series):
                height = (bottom - top) * figures[place] / scale[-1]
                y -= height
                if height > 0:
                    pen.box(x + (step - wide) / 2, y, wide, max(height, 1), COLOURS[number % len(COLOURS)])
            if place % every == 0:
                pen.text(x + step / 2, bottom + 18, same(label), "middle", INK)
        pen.line((left, bottom), (WIDTH - 8, bottom), INK)
        pen.legend([name for name, _ in self.series], left, 262)
        return pen.finish()


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal stacked bars: per row a name and one figure per series."""

    names: tuple[str, ...]
    series: tuple[Say, ...]
    figures: tuple[tuple[float, ...], ...]
    unit: Say

    def svg(self, languages: Sequence[Language]) -> str:
        """Draw one bar per row, the row's sum at its end."""
        pen = _Pen(languages, 58 + 26 * len(self.names))
        left, right = 190, WIDTH - 90
        most = max((sum(row) for row in self.figures), default=0) or 1
        pen.text(0, 14, self.unit, "start", SOFT)
        for place, (name, row) in enumerate(zip(self.names, self.figures, strict=True)):
            x, y = float(left), 24 + 26 * place
            pen.text(left - 10, y + 14, same(_clip(name)), "end", INK)
            for number, figure in enumerate(row):
                wide = (right - left) * figure / most
                if figure > 0:
                    pen.box(x, y, max(wide, 1), 18, COLOURS[number % len(COLOURS)])
                x += wide
            pen.text(x + 8, y + 14, same(_short_number(sum(row))), "start", INK)
        pen.line((left, 20), (left, 24 + 26 * len(self.names)), INK)
        pen.legend(list(self.series), left, 46 + 26 * len(self.names))
        return pen.finish()


@dataclass(frozen=True, slots=True)
class Steps:
    """A figure that rises in steps, under its cap: (UTC microseconds, figure) in order."""

    points: tuple[tuple[int, float], ...]
    cap: float | None
    unit: Say
    cap_name: Say

    def svg(self, languages: Sequence[Language]) -> str:
        """Draw the steps; what lies over the cap is in the colour of alarm."""
        pen = _Pen(languages, 240)
        left, right, top, bottom = 64, WIDTH - 16, 30, 200
        start, end = self.points[0][0], max(self.points[-1][0], self.points[0][0] + 1)
        scale = _ticks(max([figure for _, figure in self.points] + [self.cap or 0]), whole=False)

        def place(moment: int, figure: float) -> _Point:
            across, up = (moment - start) / (end - start), figure / scale[-1]
            return left + (right - left) * across, bottom - (bottom - top) * up

        for value in scale:
            y = place(start, value)[1]
            pen.line((left, y), (right, y), LINE)
            pen.text(left - 8, y + 4, same(_short_number(value)), "end", SOFT)
        pen.text(0, 16, self.unit, "start", SOFT)
        before = (start, 0.0)
        for moment, figure in (*self.points, (end, self.points[-1][1])):
            colour = ALARM if self.cap is not None and before[1] > self.cap else COLOURS[0]
            (x, y), (next_x, next_y) = place(*before), place(moment, figure)
            pen.line((x, y), (next_x, y), colour, 2)
            pen.line((next_x, y), (next_x, next_y), colour, 2)
            before = (moment, figure)
        if self.cap is not None:
            y = place(start, self.cap)[1]
            pen.line((left, y), (right, y), ALARM, 1.5, "6 4")
            pen.text(right, y - 5, self.cap_name, "end", ALARM)
        pen.line((left, bottom), (right, bottom), INK)
        pen.text(left, bottom + 18, same(_day(start)), "start", INK)
        pen.text(right, bottom + 18, same(_day(end)), "end", INK)
        return pen.finish()


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in UTC microseconds, of one of the timeline's kinds."""

    start_us: int
    end_us: int
    kind: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment in UTC microseconds, of one of the timeline's kinds."""

    utc_us: int
    kind: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rows of spans and marks on one axis of time; `spans` and `marks` name their kinds, the last kinds are alarms."""

    rows: tuple[tuple[str, tuple[Span, ...], tuple[Mark, ...]], ...]
    spans: tuple[Say, ...]
    marks: tuple[Say, ...] = ()

    def svg(self, languages: Sequence[Language]) -> str:
        """Draw one line per row, spans as bars and marks as diamonds."""
        pen = _Pen(languages, 74 + 28 * len(self.rows))
        left, right = 190, WIDTH - 16
        moments = [moment for _, spans, marks in self.rows for moment in _moments(spans, marks)]
        start, end = min(moments, default=0), max(moments, default=1)
        end = max(end, start + 1)

        def at(moment: int) -> float:
            return left + (right - left) * (moment - start) / (end - start)

        for place, (name, spans, marks) in enumerate(self.rows):
            y = 10 + 28 * place
            pen.text(left - 10, y + 14, same(_clip(name)), "end", INK)
            pen.line((left, y + 10), (right, y + 10), LINE)
            for span in spans:
                wide = max(2, at(span.end_us) - at(span.start_us))
                pen.box(at(span.start_us), y + 2, wide, 16, self._tint(span.kind))
            for mark in marks:
                pen.diamond(at(mark.utc_us), y + 10, self._tint(len(self.spans) + mark.kind))
        y = 14 + 28 * len(self.rows)
        pen.line((left, y), (right, y), INK)
        length = 16 if end - start > 7_200_000_000 else 19
        for moment, x, anchor in ((start, left, "start"), (end, right, "end")):
            words = format_utc(moment)[:length].replace("T", " ") + "Z"
            pen.text(x, y + 18, same(words), anchor, INK)
        names = [*self.spans, *self.marks]
        pen.legend(names, left, y + 44, [self._tint(kind) for kind in range(len(names))])
        return pen.finish()

    def _tint(self, kind: int) -> str:
        return (COLOURS[0], ALARM, COLOURS[2], COLOURS[1], COLOURS[3])[kind % 5]


def _moments(spans: Sequence[Span], marks: Sequence[Mark]) -> Iterator[int]:
    for span in spans:
        yield span.start_us
        yield span.end_us
    for mark in marks:
        yield mark.utc_us


@dataclass(frozen=True, slots=True)
class Box:
    """One thing in a lineage: its column, its name, and the numbers of the boxes that it comes from."""

    column: int
    name: str
    sources: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Lineage:
    """What came from what: boxes in titled columns, from left to right."""

    titles: tuple[Say, ...]
    boxes: tuple[Box, ...]

    def svg(self, languages: Sequence[Language]) -> str:
        """Draw the columns of boxes and a line from every source."""
        counts = [sum(box.column == column for box in self.boxes) for column in range(len(self.titles))]
        pen = _Pen(languages, 40 + 44 * max(counts, default=0))
        step = WIDTH / len(self.titles)
        wide = step - 56
        places: list[tuple[float, float]] = []
        seen = [0] * len(self.titles)
        for box in self.boxes:
            places.append((step * box.column, 34 + 44 * seen[box.column]))
            seen[box.column] += 1
        for column, title in enumerate(self.titles):
            pen.text(step * column, 16, title, "start", SOFT)
        for box, (x, y) in zip(self.boxes, places, strict=True):
            for source in box.sources:
                from_x, from_y = places[source]
                pen.line((from_x + wide, from_y + 16), (x, y + 16), SOFT, 1.2)
        for box, (x, y) in zip(self.boxes, places, strict=True):
            pen.box(x, y, wide, 32, "#ffffff", COLOURS[box.column % len(COLOURS)])
            pen.text(x + 10, y + 20, same(_clip(box.name)), "start", INK)
        return pen.finish()


@dataclass(slots=True)
class _Pen:
    """Collect SVG elements; every word passes through `text`, which escapes it."""

    languages: Sequence[Language]
    height: float
    parts: list[str] = field(default_factory=list)

    def line(self, start: _Point, end: _Point, colour: str, wide: float = 1, dash: str = "") -> None:
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        ends = f'x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
        self.parts.append(f'<line {ends} stroke="{colour}" stroke-width="{wide}"{dashed}/>')

    def box(self, x: float, y: float, wide: float, high: float, *tints: str) -> None:
        colour, edge = tints[0], "".join(f' stroke="{border}" stroke-width="1.5" rx="4"' for border in tints[1:])
        place = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}"'
        self.parts.append(f'<rect {place} fill="{colour}"{edge}/>')

    def diamond(self, x: float, y: float, colour: str) -> None:
        points = f"{x:.1f},{y - 7:.1f} {x + 6:.1f},{y:.1f} {x:.1f},{y + 7:.1f} {x - 6:.1f},{y:.1f}"
        self.parts.append(f'<polygon points="{points}" fill="{colour}" stroke="#ffffff"/>')

    def text(self, x: float, y: float, words: Say, anchor: str, colour: str) -> None:
        if words.en == words.zh:
            self.parts.append(_text(x, y, words.en, anchor, colour))
            return
        for language in self.languages:
            tag = f' lang="{language}"' if len(self.languages) > 1 else ""
            self.parts.append(_text(x, y, words.of(language), anchor, colour, tag))

    def legend(self, names: Sequence[Say], x: float, y: float, tints: Sequence[str] = COLOURS) -> None:
        if len(names) < 2:
            return
        left = x
        for number, full in enumerate(names):
            name = Say(_clip(full.en, LEGEND_LENGTH), _clip(full.zh, LEGEND_LENGTH))
            wide = 34 + max(_width(name.of(language)) for language in LANGUAGES)
            if x + wide > WIDTH:
                x, y = left, y + 20
                self.height += 20
            self.box(x, y - 10, 12, 12, tints[number % len(tints)])
            self.text(x + 18, y, name, "start", INK)
            x += wide

    def finish(self) -> str:
        size = f'viewBox="0 0 {WIDTH} {self.height + 8:.0f}"'
        return f'<svg {size} role="img" font-size="12.5">{"".join(self.parts)}</svg>'


def _text(x: float, y: float, words: str, anchor: str, colour: str, tag: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {place}{tag}>{html.escape(printed(words))}</text>"


def _ticks(most: float, whole: bool) -> list[float]:
    """Return four to six round figures from 0 to at least `most`."""
    step = 10.0 ** (len(f"{most:.0f}") - 2) if most >= 1 else 0.01
    if whole:
        step = max(1.0, step)
    for factor in (1, 2, 5, 10, 20, 50, 100):
        if step * factor * 5 >= most:
            step *= factor
            break
    count = max(1, -int(-most // step))
    return [step * number for number in range(count + 1)]


def _short_number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def _clip(name: str, length: int = LABEL_LENGTH) -> str:
    clean = printed(name)
    return clean if len(clean) <= length else clean[: length - 1] + "…"


def _width(words: str) -> int:
    return sum(13 if ord(character) > 0x2E80 else 7 for character in words)


def _day(utc_us: int) -> str:
    return format_utc(utc_us)[:10]
