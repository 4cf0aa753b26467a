"""Write a model file in a form that other engines load, with golden vectors to compare them by.

It trains nothing and changes no model. Theory: the JSON model file is the source of truth; an export is checked by
scoring the golden rows with both, so the rows and this model's own scores can be written beside it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from privacy.errors import InputError
from risk.card import Scorecard
from risk.forest import Forest
from risk.golden import golden_table
from risk.head import Head
from risk.model import Model
from risk.modelfile import decode_head, decode_model, model_digest

__all__ = ["Exported", "Sources", "export_model", "golden_lines"]

GOLDEN_ROWS = 1000
_LIMIT_BYTES = 64 * 1024 * 1024

Sources = Mapping[str, Path | None]
"""Paths by name: `model`, and for a bank's head `head` and `own`."""


@dataclass(frozen=True, eq=False, slots=True)
class Exported:
    """Hold an export and what was read for it: one model, or a head and the two models that it mixes."""

    content: bytes
    models: tuple[Model, ...]
    head: Head | None = None


def export_model(sources: Sources, form: str) -> Exported:
    """Return the model, or the head over both models, as `onnx`, `pmml` or `sql`.

    Raises:
        InputError: a file that cannot be read or is no model, or a model that the format cannot hold.
    """
    model = _model(sources["model"])
    if sources.get("head") is not None:
        return _head(sources, model, form)
    writers: dict[str, Callable[[], bytes]] = {"onnx": lambda: _onnx().onnx_model(model)}
    if isinstance(model, Scorecard):
        from risk.export_pmml import pmml_document
        from risk.export_sql import sql_query

        writers |= {"pmml": lambda: pmml_document(model), "sql": lambda: sql_query(model, "applicants").encode()}
    if form not in writers or not isinstance(model, Scorecard | Forest):
        raise InputError("export-format", f"a model of recipe {model.recipe} cannot be written as {form}")
    return Exported(writers[form](), (model,))


def golden_lines(exported: Exported) -> bytes:
    """Return rows that touch every bin of the models' fields, one JSON object a line, with each model's own scores.

    A number is null where it is missing; a category is its level's text, null where missing. A model's outputs stand
    under the beginning of its digest, those of a head under `head`, its PD calibrated.
    """
    codings, levels = [], {}
    for model in exported.models:
        for item in model.fields if isinstance(model, Scorecard) else model.columns:  # type: ignore[attr-defined]
            codings.append(item.coding)
            levels[item.coding.name] = item.levels
    table = golden_table(codings, GOLDEN_ROWS)
    scores = {
        model_digest(model)[:16]: (model.logit(table), model.pd(table), model.score(table))  # type: ignore[attr-defined]
        for model in exported.models
    }
    mixed = None
    if exported.head is not None:
        pair = [model.logit(table) for model in exported.models]
        mixed = exported.head.logit(*pair), exported.head.pd(*pair)
    lines = []
    for row in range(table.rows):
        inputs = {name: _plain(column[row], levels[name]) for name, column in table.columns.items()}
        outputs = {
            name: {"logit": float(logit[row]), "pd": float(chance[row]), "score": int(score[row])}
            for name, (logit, chance, score) in scores.items()
        }
        if mixed is not None:
            outputs["head"] = {"logit": float(mixed[0][row]), "pd": float(mixed[1][row])}
        lines.append(json.dumps({"inputs": inputs, "outputs": outputs}, sort_keys=True, ensure_ascii=True))
    return ("\n".join(lines) + "\n").encode("ascii")


def _plain(value: Any, levels: Sequence[str]) -> float | str | None:
    if isinstance(value, np.integer):
        return levels[int(value)] if value >= 0 else None
    return None if np.isnan(value) else float(value)


def _head(sources: Sources, network: Model, form: str) -> Exported:
    own = _model(sources.get("own"))
    found = decode_head(_read(sources["head"]))
    if (found.network, found.partner) != (model_digest(network), model_digest(own)):
        raise InputError("export-head", f"{sources['head']}: was made for other models than the two given")
    if form != "onnx":
        raise InputError("export-format", f"a head can be written as onnx, not as {form}")
    return Exported(_onnx().onnx_head(found.head, network, own), (network, own), found.head)


def _model(path: Path | None) -> Model:
    if path is None:
        raise InputError("usage", "a head mixes two models: give the bank's own, RECIPE-partner.json, with --own")
    return decode_model(_read(path))


def _read(path: Path | None) -> bytes:
    assert path is not None  # callers checked
    with path.open("rb") as stream:
        content = stream.read(_LIMIT_BYTES + 1)
    if len(content) > _LIMIT_BYTES:
        raise InputError("model-size", f"{path}: more than {_LIMIT_BYTES} bytes, expected a model file")
    return content


def _onnx() -> Any:
    try:
        from risk import export_onnx
    except ModuleNotFoundError as error:
        raise InputError(
            "onnx-missing", f"{error.name} is not installed; run: pip install 'creditmesh[export]'"
        ) from None
    return export_onnx
