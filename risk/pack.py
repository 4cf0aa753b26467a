"""The evidence pack of a model for independent validation: what stands in its files and on its sheets.

It writes no file and no spreadsheet; a shell does, from `Sheet`s of plain values. Theory: a validator must be able to
recompute every score by hand, so bins, WOE, weights and points are all there, each beside the counts that it follows
from; and must be able to see what was tested, by whom it was signed and where it comes from. Everything follows from
the dossier, so the same dossier gives the same pack.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from risk.card import CardField, Scorecard
from risk.coding import Coding
from risk.dossier import Dossier
from risk.forest import Forest
from risk.lineage import plain_values
from risk.model_card import card_of
from risk.model_card_page import render_html, render_markdown
from risk.validation_sheets import validation_sheets

__all__ = ["Cell", "Sheet", "bin_texts", "pack_files", "pack_sheets"]

Cell = str | int | float | bool | None
_WOE_STEP = 1.0 / (1 << 10)
_WEIGHT_STEP = 1.0 / (1 << 20)
_LEAF_STEP = 1.0 / (1 << 30)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet: a name of at most 31 characters, and rows of plain values; the first row is the head."""

    name: str
    rows: tuple[tuple[Cell, ...], ...]


def pack_files(dossier: Dossier) -> dict[str, bytes]:
    """Return the pack's files by name, but for the spreadsheet, the ballots and the list of digests."""
    card = card_of(dossier)
    files = {
        "model.json": dossier.file,
        "card.md": render_markdown(card),
        "card.html": render_html(card),
        "lineage.json": _json(dossier.lineage),
        "figures.json": _json(dossier.metrics),
        "sign-off.json": _json(list(dossier.proposals)),
        "tables.json": _json({sheet.name: [list(row) for row in sheet.rows] for sheet in pack_sheets(dossier)}),
    }
    if dossier.dictionary is not None:
        files["dictionary.json"] = _json(asdict(dossier.dictionary))
    for job, report in dossier.validations:
        files[f"validation/{job}.json"] = _json(report)
    if dossier.own is not None:
        files["own.json"] = _json(dossier.own)
    return files


def pack_sheets(dossier: Dossier) -> tuple[Sheet, ...]:
    """Return the sheets of the spreadsheet, in order."""
    model = dossier.model
    found = [_summary(dossier)]
    if isinstance(model, Scorecard):
        found += [_bins(model), _coefficients(model), _points(model)]
    elif isinstance(model, Forest):
        found += [_columns(model), _trees(model)]
    else:
        found.append(_codings(dossier))
    found.append(Sheet("dropped", (("field", "why"), *((name, why) for name, why in getattr(model, "dropped", ())))))
    found += [_figures(dossier), _calibration(dossier)]
    for place, (job, report) in enumerate(dossier.validations, 1):
        found += [Sheet(name, rows) for name, rows in validation_sheets(place, job, dossier.entry(report), report)]
    found += [_lineage(dossier), _sign_off(dossier)]
    if dossier.own is not None:
        found.append(Sheet("own results", (("figure", "value"), *_flat(dossier.own))))
    return tuple(found)


def bin_texts(coding: Coding, levels: Sequence[str]) -> list[str]:
    """Return what each bin holds: ordinary bins, special values, missing."""
    if coding.kind == "category":
        named = [", ".join(levels[level] for level in group) for group in coding.groups]
    else:
        edges = ["-inf", *(repr(cut) for cut in coding.cuts), "inf"]
        named = [f"[{low}, {high})" for low, high in pairwise(edges)]
    return [*named, *(f"special {value!r}" for value in coding.special), "missing or not allowed"]


def _summary(dossier: Dossier) -> Sheet:
    lineage, model = dossier.lineage or {}, dossier.model
    rows: list[tuple[Cell, ...]] = [
        ("fact", "value"),
        ("model_sha256", dossier.sha256),
        ("recipe", model.recipe),
        ("roles", ", ".join(dossier.aliases) or "none"),
        ("job", lineage.get("job")),
        ("members", ", ".join(lineage.get("members", []))),
        ("privacy", lineage.get("privacy")),
        ("epsilon", lineage.get("epsilon")),
    ]
    if isinstance(model, Scorecard):
        rows += [("base_points", model.base_points), ("intercept", model.intercept * _WEIGHT_STEP)]
        rows += [(f"scaling.{name}", value) for name, value in asdict(model.scaling).items()]
        rows.append(("score", "base_points + the points of one bin of every field"))
        rows.append(("logit of bad", "intercept - sum over fields of weight * woe"))
    return Sheet("summary", (*rows, *_flat(model.training, "training.")))


def _bins(model: Scorecard) -> Sheet:
    rows: list[tuple[Cell, ...]] = [
        ("field", "dimension", "bin", "holds", "rows", "bads", "bad_rate", "woe", "points", "iv_of_field")
    ]
    for item in model.fields:
        for place, holds in enumerate(bin_texts(item.coding, item.levels)):
            count, bads = item.rows[place], item.bads[place]
            rate = None if bads is None or count < 1 else bads / count  # noise may leave less than nothing
            woe = item.woe[place] * _WOE_STEP
            rows.append((item.name, item.dimension, place, holds, count, bads, rate, woe, item.points[place], item.iv))
    return Sheet("bins", tuple(rows))


def _coefficients(model: Scorecard) -> Sheet:
    rows: list[tuple[Cell, ...]] = [("field", "dimension", "weight", "weight_steps", "iv", "bins")]
    rows.append(("intercept", None, model.intercept * _WEIGHT_STEP, model.intercept, None, None))
    rows += [
        (item.name, item.dimension, item.weight * _WEIGHT_STEP, item.weight, item.iv, item.coding.bins)
        for item in model.fields
    ]
    return Sheet("coefficients", tuple(rows))


def _points(model: Scorecard) -> Sheet:
    def spread(item: CardField) -> int:
        return max(item.points) - min(item.points)

    rows: list[tuple[Cell, ...]] = [("field", "bin", "holds", "points", "spread_of_field")]
    for item in sorted(model.fields, key=lambda each: (-spread(each), each.name)):
        rows += [
            (item.name, place, holds, item.points[place], spread(item))
            for place, holds in enumerate(bin_texts(item.coding, item.levels))
        ]
    return Sheet("points", tuple(rows))


def _codings(dossier: Dossier) -> Sheet:
    """Return the bins of a model that is neither a card nor trees; levels are the dictionary's, if it is at hand."""
    levels = {each.name: each.levels for each in dossier.dictionary.fields} if dossier.dictionary else {}
    rows: list[tuple[Cell, ...]] = [("field", "bin", "holds")]
    for coding in dossier.model.codings:
        known = levels.get(coding.name) or tuple(f"level {place}" for place in range(sum(map(len, coding.groups))))
        rows += [(coding.name, place, holds) for place, holds in enumerate(bin_texts(coding, known))]
    return Sheet("inputs", tuple(rows))


def _columns(model: Forest) -> Sheet:
    rows: list[tuple[Cell, ...]] = [("column", "field", "dimension", "rising", "place", "bins", "holds")]
    for number, column in enumerate(model.columns):
        names = bin_texts(column.coding, column.levels)
        for place, bins in enumerate(column.order):
            holds = "; ".join(names[each] for each in bins)
            rows.append((number, column.coding.name, column.dimension, column.rising, place, str(list(bins)), holds))
    return Sheet("columns", tuple(rows))


def _trees(model: Forest) -> Sheet:
    rows: list[tuple[Cell, ...]] = [
        ("tree", "node", "column", "last_place_left", "missing_left", "left", "right", "leaf", "leaf_steps")
    ]
    for number, tree in enumerate(model.trees):
        for node, values in enumerate(tree.tolist()):
            column, cut, missing, left, right, leaf = values
            split = (column, cut, missing, left, right) if left else (None,) * 5
            value = (None, None) if left else (leaf * _LEAF_STEP, leaf)
            rows.append((number, node, *split, *value))
    return Sheet("trees", tuple(rows))


def _figures(dossier: Dossier) -> Sheet:
    metrics = dossier.metrics or {}
    plain = {name: value for name, value in metrics.items() if name not in ("calibration", "roc")}
    return Sheet("figures", (("figure", "value"), *_flat(plain)))


def _calibration(dossier: Dossier) -> Sheet:
    groups: Iterable[Sequence[Any]] = (dossier.metrics or {}).get("calibration", ())
    rows = [(rows, bads, bads / rows if rows else None, mean) for rows, bads, mean in groups]
    return Sheet("calibration", (("rows", "bads", "bad_rate", "mean_pd"), *rows))


def _lineage(dossier: Dossier) -> Sheet:
    lineage = {name: value for name, value in (dossier.lineage or {}).items() if name != "metrics"}
    return Sheet("lineage", (("fact", "value"), *_flat(lineage)))


def _sign_off(dossier: Dossier) -> Sheet:
    rows: list[tuple[Cell, ...]] = [
        ("proposal", "role", "state", "rollback", "quorum", "members", "bank", "vote", "reason", "who", "signed")
    ]
    for proposal in dossier.proposals:
        first = tuple(proposal[name] for name in ("number", "role", "state", "rollback", "quorum", "members"))
        for vote in ("approved", "rejected"):
            rows += [
                (*first, voice["member"], vote, voice.get("reason"), voice["who"], voice["signed"])
                for voice in proposal[vote]
            ]
    return Sheet("sign-off", tuple(rows))


def _flat(document: Mapping[str, Any], before: str = "") -> list[tuple[Cell, ...]]:
    """Return a document as rows of a name and a value; nested names are joined by dots."""
    rows: list[tuple[Cell, ...]] = []
    for name, value in document.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{before}{name}.")
        elif isinstance(value, list | tuple):
            plain = all(isinstance(each, str | int | float) for each in value)
            rows.append((f"{before}{name}", ", ".join(map(str, value)) if plain else json.dumps(value)))
        else:
            rows.append((f"{before}{name}", value))
    return rows


def _json(document: Any) -> bytes:
    text = json.dumps(plain_values(document), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8") + b"\n"
