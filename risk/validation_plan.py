"""What a validation job looks at: its models, which rows count, and which groups of rows are told apart.

It counts nothing. Theory: all of it follows from the job's parameters, the dictionary and the model files, so that
every member and the coordinator derive the same requests. Rows are chosen by each model's own record of its training:
those that no model in the job was trained on, those after a model's last training month, all, or those of some months.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from risk.book import Book
from risk.coding import Coding, unmerged
from risk.dictionary import Dictionary
from risk.errors import InputError, RefusalError
from risk.grid import public_cuts
from risk.model import Model
from risk.modelfile import decode_model
from risk.months import FIRST_YEAR, LAST_YEAR, month_of
from risk.parameters import parameters_in_range
from risk.spec import JobSpec
from risk.split import Split, dated, keyed_split, split

__all__ = ["LEAST_ROWS", "MONTHS", "Plan", "Selection", "parse_validation", "plan_of", "selected_rows",
           "training_split"]  # fmt: skip

Selection = Literal["holdout", "all", "months", "out-of-time"]
_SELECTIONS = ("holdout", "all", "months", "out-of-time")
LEAST_ROWS = 100
MONTHS = 12 * (LAST_YEAR - FIRST_YEAR + 1)
"""Months that a row can be dated in, from January 1900; one slot more is for rows without a date."""
_LIMITS = {
    "month_from": (0, 0, 999_999),
    "month_to": (0, 0, 999_999),
    "approve_ppm": (700_000, 10_000, 990_000),
    "cutoff_pd_ppm": (0, 0, 999_999),
    "least_rows": (LEAST_ROWS, LEAST_ROWS, 1_000_000),
    "period_rows": (300, LEAST_ROWS, 1_000_000),
    "population_bad_ppm": (0, 0, 999_999),
}
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """Hold what a validation job looks at.

    digests: of the model files, the champion's first. segments: the finest bins of every declared segment field.
    """

    digests: tuple[str, ...]
    models: tuple[Model, ...]
    selection: Selection
    months: tuple[int, int] | None
    segments: tuple[Coding, ...]
    dated: bool

    @property
    def train_until(self) -> int | None:
        """Return the last month that a model of the job was trained on; None where one was trained on all months."""
        until = [until_of(model) for model in self.models]
        return None if None in until else max(cast(list[int], until))

    @property
    def beside(self) -> bool:
        """Return whether the random hold-out is told beside the rows after the last training month."""
        return self.selection == "out-of-time"


def parse_validation(document: Mapping[str, Any]) -> dict[str, int | str]:
    """Return the parameters of a validation with defaults filled in.

    Raises `InputError` for a key that is unknown, a model that is not 64 hex digits, or rows that cannot be chosen so.
    """
    texts = ("model", "challenger", "rows")
    for key in document:
        if key not in texts and key not in _LIMITS:
            known = ", ".join((*texts, *_LIMITS))
            raise InputError("parameter-unknown", f"[parameters]: unknown key '{key}'; validation knows {known}")
    model, challenger = document.get("model"), document.get("challenger", "")
    rows = document.get("rows", "holdout")
    if not isinstance(model, str) or not _DIGEST.fullmatch(model):
        raise InputError("parameter-model", "[parameters]: 'model' must be the SHA-256 of a model file, 64 hex digits")
    if not isinstance(challenger, str) or (challenger and not _DIGEST.fullmatch(challenger)) or challenger == model:
        raise InputError("parameter-model", "[parameters]: 'challenger' must be 64 hex digits of another model file")
    if rows not in _SELECTIONS:
        raise InputError("parameter-rows", f"[parameters]: 'rows' must be one of {', '.join(_SELECTIONS)}")
    parsed = {"model": model, "challenger": challenger, "rows": rows, **parameters_in_range(_LIMITS, document)}
    first, last = int(parsed["month_from"]), int(parsed["month_to"])
    if (rows == "months") != bool(first and last) or (bool(first) != bool(last)):
        raise InputError("parameter-months", '[parameters]: rows = "months" needs month_from and month_to, YYYYMM each')
    if first and month_of(first, "month_from") > month_of(last, "month_to"):
        raise InputError("parameter-months", f"[parameters]: month_from {first} is after month_to {last}")
    return parsed


def plan_of(spec: JobSpec) -> Plan:
    """Return the plan of a job.

    Raises `InputError` where a model file is absent, was altered, or does not fit the dictionary, or where rows are
    chosen by month and the dictionary dates none.
    """
    values = spec.parameters
    digests = tuple(str(values[key]) for key in ("model", "challenger") if values[key])
    models = tuple(_model(spec, digest) for digest in digests)
    selection = cast(Selection, values["rows"])
    if spec.dictionary.time is None and selection in ("months", "out-of-time"):
        raise InputError("validation-time", f'rows = "{selection}": the dictionary has no [time], so no row is dated')
    months = None
    if selection == "months":
        months = month_of(int(values["month_from"]), "month_from"), month_of(int(values["month_to"]), "month_to")
    plan = Plan(digests, models, selection, months, _segments(spec.dictionary), spec.dictionary.time is not None)
    if selection == "out-of-time" and plan.train_until is None:
        raise InputError(
            "validation-out-of-time",
            'rows = "out-of-time": a model was trained on all months; train it with the parameter train_until',
        )
    return plan


def selected_rows(plan: Plan, book: Book) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows count, and which are the random hold-out beside them, both (n_rows,) bool."""
    table, none = book.table, np.zeros(book.table.rows, dtype=bool)
    if plan.selection == "all":
        return ~none, none
    if plan.months is not None:
        month = _months(book)
        return (month >= plan.months[0]) & (month <= plan.months[1]), none
    held = ~none
    for model in plan.models:
        mine = none.copy()
        mine[training_split(model, book).holdout] = True
        held &= mine
    if plan.selection == "holdout":
        return held, none
    until = plan.train_until
    assert until is not None and table.month is not None  # plan_of refuses other jobs
    return table.month > until, held


def training_split(model: Model, book: Book) -> Split:
    """Return how this member's rows were split when the model was trained, by the model's own record.

    Raises `RefusalError` for a model with differential privacy where the bank's keyed function is not at hand.
    """
    facts, table = model.training, book.table
    seed, holdout_ppm = int(facts["seed"]), int(facts["holdout_ppm"])
    if "privacy" not in facts:
        parts = split(table.target, table.member, seed, holdout_ppm / 1_000_000)
    elif book.prf is None:
        raise RefusalError("validation-holdout", "the model's hold-out is known by the bank's own key alone")
    else:
        parts = keyed_split(table, seed, holdout_ppm, book.prf)
    until = until_of(model)
    return parts if until is None else dated(parts, table.month, until)


def until_of(model: Model) -> int | None:
    """Return the last month that a model was trained on, 12 * year + month - 1; None for all months."""
    until = model.training.get("parameters", {}).get("train_until", 0)
    return month_of(int(until), "train_until") if until else None


def _model(spec: JobSpec, digest: str) -> Model:
    raw = spec.models.get(digest)
    if raw is None:
        raise InputError("validation-model", f"the model {digest[:16]} that the job asks for is not kept here")
    if hashlib.sha256(raw).hexdigest() != digest:
        raise InputError("validation-model", f"the file kept as the model {digest[:16]} has another digest")
    model = decode_model(raw)
    if model.dictionary != spec.dictionary.digest():
        for coding in model.codings:
            _check_field(coding, spec.dictionary, digest)
    for key in ("seed", "holdout_ppm"):
        if type(model.training.get(key)) is not int:
            raise InputError(
                "validation-model", f"the model {digest[:16]} does not say with which {key} it was trained"
            )
    return model


def _check_field(coding: Coding, dictionary: Dictionary, digest: str) -> None:
    """Refuse a model of another dictionary unless each of its fields is still what it was."""
    found = [field for field in dictionary.fields if field.name == coding.name and field.use != "ignore"]
    levels = sum(len(group) for group in coding.groups)
    if not found or found[0].kind != coding.kind or (coding.kind == "category" and len(found[0].levels) != levels):
        raise InputError(
            "validation-dictionary", f"the model {digest[:16]} uses field '{coding.name}', which is another one now"
        )


def _segments(dictionary: Dictionary) -> tuple[Coding, ...]:
    return tuple(
        unmerged(field, public_cuts(field))
        for field in dictionary.fields
        if field.use != "ignore" and (field.segment or field.use == "segment")
    )


def _months(book: Book) -> np.ndarray:
    month = book.table.month
    return np.full(book.table.rows, -1, dtype=np.int32) if month is None else month
