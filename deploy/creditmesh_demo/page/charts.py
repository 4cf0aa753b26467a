"""Draw the report's charts as SVG that can stand inside an HTML page.

Matplotlib is imported when this module is, and only the report imports it. Text stays text (`svg.fonttype = none`) and
takes the page's fonts, so Chinese needs no font here. Colours tell apart under the common colour-vision deficiencies,
and shapes say the same again.
"""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np

from creditmesh_demo.page.texts import DIMENSION_NAMES, REASON_COLOURS, Language, say, signed
from creditmesh_demo.page.view import Applicant, BankRow, Curves
from creditmesh_demo.privacy_price import Price

__all__ = ["calibration", "gain", "ks", "market", "newcomer", "price", "roc", "traffic", "waterfall"]

COLOURS = {
    "own": "#8a8f98",
    "network": "#1f5fbf",
    "mixed": "#c2410c",
    "operating": "#0f766e",
    "credit": "#1f5fbf",
    "behaviour": "#b45309",
    "scenario": "#7c3aed",
    "ink": "#1b2430",
    "faint": "#d9dde3",
}
RECIPE_STYLES: tuple[tuple[str, Any], ...] = (("#1f5fbf", "-"), ("#c2410c", (0, (5, 2))), ("#0f766e", (0, (1.5, 1.5))))
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "creditmesh",
    "font.size": 10.5,
    "axes.edgecolor": COLOURS["faint"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#eceff3",
    "xtick.color": "#4a5563",
    "ytick.color": COLOURS["ink"],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 10,
}
WIDTH_IN = 5.4

plt.rcParams.update(STYLE)


def gain(rows: Sequence[BankRow], language: Language) -> str:
    """Draw each bank's own, network and mixed AUC on its own customers, one line a bank."""
    figure, axes = _figure(0.34 * len(rows) + 1.1)
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows, strict=True):
        known = [row.figures[key] for key in ("auc_own", "auc_network", "auc_mixed") if row.figures[key] is not None]
        if known:
            axes.plot([min(known), max(known)], [place, place], color=COLOURS["faint"], linewidth=3, zorder=1)
    for name, marker in (("own", "o"), ("network", "s"), ("mixed", "D")):
        values = [row.figures[f"auc_{name}"] for row in rows]
        points = [(value, place) for value, place in zip(values, places, strict=True) if value is not None]
        axes.scatter(*zip(*points, strict=True), **_marker(name, marker), label=say(name, language)) if points else None
    _name_banks(axes, [row.bank for row in rows], places)
    axes.set_xlabel(say("auc_axis", language))
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(6))
    _legend_above(figure, 3)
    return _svg(figure)


def market(rows: Sequence[BankRow], network: float | None, language: Language) -> str:
    """Draw every bank's own model on the whole market beside the network's model."""
    figure, axes = _figure(0.34 * len(rows) + 1.1)
    places = np.arange(len(rows))[::-1]
    own = [row.figures["auc_own_market"] for row in rows]
    points = [(value, place) for value, place in zip(own, places, strict=True) if value is not None]
    if network is not None:
        axes.axvline(network, color=COLOURS["network"], linewidth=2, label=say("network_model", language))
        for value, place in points:
            axes.plot([value, network], [place, place], color="#bcd0ee", linewidth=5, solid_capstyle="butt", zorder=1)
    if points:
        axes.scatter(*zip(*points, strict=True), **_marker("own", "o"), label=say("own_model", language))
    _name_banks(axes, [row.bank for row in rows], places)
    axes.set_xlabel(say("auc_axis", language))
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(6))
    _legend_above(figure, 2)
    return _svg(figure)


def newcomer(steps: Sequence[Mapping[str, Any]], language: Language) -> str:
    """Draw a newcomer's own, network and mixed AUC against the number of rows it has, on a logarithmic axis."""
    figure, axes = _figure(2.6)
    for name, marker in (("own", "o"), ("network", "s"), ("mixed", "D")):
        points = [(step["rows"], step[f"auc_{name}"]) for step in steps if step[f"auc_{name}"] is not None]
        if points:
            axes.plot(*zip(*points, strict=True), color=COLOURS[name], linewidth=1.2, zorder=1)
            axes.scatter(*zip(*points, strict=True), **_marker(name, marker), label=say(name, language))
    axes.set_xscale("log")
    places = [step["rows"] for step in steps]
    axes.set_xticks(places, [f"{place:,}" for place in places])
    axes.minorticks_off()
    axes.set_xlabel(say("newcomer_rows", language))
    axes.set_ylabel(say("auc_axis", language))
    _legend_above(figure, 3)
    return _svg(figure)


def price(prices: Sequence[Price], language: Language) -> str:
    """Draw the network's AUC against epsilon, with and without secure aggregation, and the line without noise."""
    figure, axes = _figure(3.4)
    for item, (colour, _) in zip([item for item in prices if item.points], RECIPE_STYLES, strict=False):
        epsilons = [float(point.epsilon) for point in item.points]
        areas = [point.auc for point in item.points]
        spread = [[point.auc - point.lowest for point in item.points], [p.highest - p.auc for p in item.points]]
        name = say(item.recipe, language)
        axes.errorbar(epsilons, areas, spread, color=colour, marker="o", capsize=3, linewidth=2, label=name)
        label = f"{name}, {say('alone', language)}"
        look = {"color": colour, "marker": "x", "linestyle": (0, (1.5, 1.5))}
        axes.plot(epsilons, [point.alone for point in item.points], label=label, **look)
        if item.exact is not None:
            label = f"{name}, {say('no_noise', language)}"
            axes.axhline(item.exact, color=colour, linewidth=1.2, linestyle=(0, (5, 2)), label=label)
    ticks = sorted({float(point.epsilon) for item in prices for point in item.points})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.set(xlabel=say("epsilon_axis", language), ylabel=say("auc_axis", language))
    axes.legend(loc="lower right")
    return _svg(figure)


def waterfall(start: int, applicant: Applicant, language: Language) -> str:
    """Draw the score as the starting points plus one step per dimension."""
    parts, score = applicant.parts, applicant.score
    figure, axes = _figure(3.0)
    axes.grid(axis="x", visible=False)
    levels = np.concatenate([[start], start + np.cumsum([points for _, points in parts])])
    low = min(int(levels.min()), score) - 14
    axes.bar(0, start - low, bottom=low, color="#cfd5dd", width=0.62)
    for place, (dimension, points) in enumerate(parts, start=1):
        before, after = int(levels[place - 1]), int(levels[place])
        axes.plot([place - 0.69, place + 0.31], [before, before], color="#9aa3af", linewidth=0.8)
        axes.bar(place, after - before, bottom=before, color=COLOURS[dimension], width=0.62)
        axes.annotate(
            signed(points),
            (place, max(before, after)),
            (0, 4),
            textcoords="offset points",
            ha="center",
        )
    last = len(parts) + 1
    axes.plot([last - 0.69, last + 0.31], [score, score], color="#9aa3af", linewidth=0.8)
    axes.bar(last, score - low, bottom=low, color=COLOURS["ink"], width=0.62)
    for place, value in ((0, start), (last, score)):
        axes.annotate(str(value), (place, value), (0, 4), textcoords="offset points", ha="center", fontweight="bold")
    names = [say("start", language), *(DIMENSION_NAMES[name][language] for name, _ in parts), say("score", language)]
    axes.set_xticks(range(last + 1), names, color=COLOURS["ink"])
    axes.set_ylim(low, max(int(levels.max()), score) + 12)
    return _svg(figure)


def roc(curves: Sequence[tuple[str, Curves]], language: Language) -> str:
    """Draw the share of bads caught against the share of goods turned away, as the cut-off moves."""
    figure, axes = _figure(3.7)
    axes.plot([0, 1], [0, 1], color="#9aa3af", linewidth=1, linestyle=(0, (2, 2)))
    for (recipe, curve), (colour, dashes) in zip(curves, RECIPE_STYLES, strict=False):
        look = {"color": colour, "linestyle": dashes, "linewidth": 2}
        axes.plot(curve.goods_share, curve.bads_share, label=say(recipe, language), **look)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel=say("goods_refused", language), ylabel=say("bads_caught", language))
    axes.legend(loc="lower right")
    return _svg(figure)


def ks(curve: Curves, language: Language) -> str:
    """Draw both cumulative shares against the share of applicants, worst first, and mark their largest distance."""
    figure, axes = _figure(3.7)
    caught, refused = curve.bads_share, curve.goods_share
    share = (caught * curve.bads + refused * (curve.rows - curve.bads)) / curve.rows
    axes.plot(share, caught, color=COLOURS["mixed"], linewidth=2, label=say("bads_cumulative", language))
    axes.plot(share, refused, color=COLOURS["network"], linewidth=2, label=say("goods_cumulative", language))
    widest = int(np.argmax(np.abs(caught - refused)))
    axes.plot([share[widest]] * 2, [refused[widest], caught[widest]], color=COLOURS["ink"], linewidth=1.2)
    distance = float(abs(caught[widest] - refused[widest]))
    middle = float(caught[widest] + refused[widest]) / 2
    axes.annotate(f"KS {distance:.3f}", (float(share[widest]), middle), (6, 0), textcoords="offset points")
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel=say("applicants_worst_first", language))
    axes.legend(loc="lower right")
    return _svg(figure)


def calibration(curves: Sequence[tuple[str, Curves]], language: Language) -> str:
    """Draw the observed bad rate against the predicted PD, with 95 % Wilson intervals."""
    figure, axes = _figure(3.7)
    tops = [float(np.max(np.maximum(curve.group_pd, curve.group_observed))) for _, curve in curves]
    top = max(tops, default=1.0) * 1.12
    axes.plot([0, top], [0, top], color="#9aa3af", linewidth=1, linestyle=(0, (2, 2)))
    for (recipe, curve), (colour, dashes) in zip(curves, RECIPE_STYLES, strict=False):
        low, high = _wilson(curve.group_bads, curve.group_rows)
        axes.vlines(curve.group_pd, low, high, color=colour, linewidth=1, alpha=0.55)
        look = {"color": colour, "linestyle": dashes, "marker": "o", "markersize": 5, "linewidth": 1.2}
        axes.plot(curve.group_pd, curve.group_observed, label=say(recipe, language), **look)
    axes.set(xlim=(0, top), ylim=(0, top), xlabel=say("predicted", language), ylabel=say("observed", language))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0, decimals=0))
    axes.legend(loc="upper left")
    return _svg(figure)


def traffic(banks: Sequence[str], sent: Mapping[str, Mapping[str, int]], language: Language) -> str:
    """Draw each bank's sent bytes stacked by reason; sent maps a reason to bytes by bank, the page names colours."""
    figure, axes = _figure(0.34 * len(banks) + 0.8)
    places = np.arange(len(banks))[::-1]
    left = np.zeros(len(banks))
    for reason, by_bank in sent.items():
        kilobytes = np.array([by_bank.get(bank, 0) for bank in banks]) / 1000
        axes.barh(places, kilobytes, left=left, height=0.6, color=REASON_COLOURS[reason])
        left += kilobytes
    _name_banks(axes, banks, places)
    axes.set_xlabel(say("kilobytes_sent", language))
    return _svg(figure)


def _figure(height_in: float) -> tuple[Any, Any]:
    return plt.subplots(figsize=(WIDTH_IN, height_in), layout="constrained")


def _legend_above(figure: Any, columns: int) -> None:
    figure.legend(loc="outside upper left", ncols=columns, handletextpad=0.4, columnspacing=1.2)


def _marker(name: str, shape: Literal["o", "s", "D"] | str) -> dict[str, Any]:
    return {
        "marker": shape,
        "s": 46 if shape != "D" else 40,
        "color": "white" if name == "own" else COLOURS[name],
        "edgecolors": COLOURS[name],
        "linewidths": 1.8,
        "zorder": 3,
    }


def _name_banks(axes: Any, banks: Sequence[str], places: np.ndarray) -> None:
    axes.set_yticks(places, banks)
    axes.set_ylim(-0.6, len(banks) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)


def _wilson(bads: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Wilson (1927), score interval at 95 %.
    z = 1.96
    rate, count = bads / rows, rows.astype(np.float64)
    centre = (rate + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    return centre - half, centre + half


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # The page's reader has Chinese fonts; this machine need not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    plt.close(figure)
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r' (width|height)="[\d.]+pt"', "", drawing, count=2)
    drawing = re.sub(r"font-family: [^;\"]*;? ?", "", drawing)
    return drawing.replace("<svg ", '<svg role="img" aria-hidden="true" ', 1)
