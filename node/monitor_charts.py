"""Charts of the monitoring report as inline SVG: lines over months or groups, and bars with limits.

A chart knows labels, figures and colours and nothing of models. It needs no script and nothing from outside. Theory:
under every chart stands a table with the same figures, so a chart may round and leave labels out.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Line", "bars", "lines"]

WIDTH, HEIGHT = 720, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 26, 40
_COLOURS = ("#1f5fbf", "#b45309", "#0f766e", "#7c3aed")
_INK, _GRID, _LIMIT = "#566071", "#d5dae1", "#b42318"
_MOST_LABELS = 12


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: its name, and a figure per label, None where there is none."""

    name: str
    figures: Sequence[float | None]


def lines(title: str, labels: Sequence[str], series: Sequence[Line], limits: Sequence[float] = ()) -> str:
    """Return one `<svg>` with the lines over the labels, from zero, and dashed lines at the limits."""
    found = [figure for line in series for figure in line.figures if figure is not None]
    top = _round_up(max([*found, *limits], default=1.0))
    parts = _frame(title, labels, top, limits)
    for number, line in enumerate(series):
        colour = _COLOURS[number % len(_COLOURS)]
        points = [
            (_across(place, len(labels)), _down(figure, top))
            for place, figure in enumerate(line.figures)
            if figure is not None
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        parts.append(_text(_LEFT + 160 * number, 14, line.name, colour))
    return _whole(title, parts)


def bars(title: str, labels: Sequence[str], figures: Sequence[float], limits: Sequence[float] = ()) -> str:
    """Return one `<svg>` with a bar per label, from zero, and dashed lines at the limits."""
    top = _round_up(max([*figures, *limits], default=1.0))
    parts = _frame(title, labels, top, limits)
    width = max(2.0, 0.7 * (WIDTH - _LEFT - _RIGHT) / max(1, len(labels)))
    for place, figure in enumerate(figures):
        x, y = _across(place, len(labels)) - width / 2, _down(figure, top)
        height = HEIGHT - _BOTTOM - y
        parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{_COLOURS[0]}"/>')
    return _whole(title, parts)


def _frame(title: str, labels: Sequence[str], top: float, limits: Sequence[float]) -> list[str]:
    parts = []
    for step in range(5):
        value = top * step / 4
        y = _down(value, top)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}" stroke="{_GRID}"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{value:.3g}", _INK, "end"))
    for limit in limits:
        y = _down(limit, top)
        parts.append(
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}" stroke="{_LIMIT}" '
            'stroke-dasharray="5 4"/>'
        )
    every = -(-len(labels) // _MOST_LABELS)
    for place, label in enumerate(labels):
        if place % every == 0:
            parts.append(_text(_across(place, len(labels)), HEIGHT - _BOTTOM + 18, label[:14], _INK, "middle"))
    return parts


def _across(place: int, count: int) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (place + 0.5) / max(1, count)


def _down(value: float, top: float) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * max(0.0, value) / top


def _round_up(value: float) -> float:
    step = 1.0
    while step > max(value, 1e-6):
        step /= 10.0
    while step * 10.0 < value:
        step *= 10.0
    return next((step * each for each in (1.0, 2.0, 2.5, 5.0, 10.0) if step * each >= value), step * 10.0)


def _text(x: float, y: float, text: str, colour: str, anchor: str = "start") -> str:
    shown = html.escape(text)
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="12" text-anchor="{anchor}">{shown}</text>'


def _whole(title: str, parts: Sequence[str]) -> str:
    shown = html.escape(title)
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{shown}" xmlns="http://www.w3.org/2000/svg">'
    return f"{head}<title>{shown}</title>{''.join(parts)}</svg>"
