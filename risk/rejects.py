"""Reject inference by parcelling: a second model from accepted rows and from rejected ones with inferred labels.

A rejected application has no outcome. Each bank scores its own by the network's accepts-only model and labels them so
that in each rating grade the share of bads is that of the accepted rows times a factor; the labels never leave the
bank, only sums that they enter do. It is reported beside the accepts-only model and never instead of it: what it
assumes of the rejects cannot be tested on accepted rows. Theory: parcelling (Siddiqi, 2006, ch. 9). A label follows
from the row's own bytes, the job's seed and the grade alone, so that it is the same in every round, at every restart,
and on all rows in one place; equal rows have equal labels.
"""

import hashlib
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from risk.book import Book
from risk.errors import InputError, RefusalError
from risk.model import Model, Trained
from risk.modelfile import decode_model, encode_model
from risk.recipe import Ask
from risk.spec import JobSpec
from risk.split import Split, row_bytes
from risk.table import Table, concatenate

__all__ = [
    "FACTOR",
    "METHOD",
    "PART",
    "inferred_rounds",
    "infers",
    "measured_rounds",
    "parcelled",
    "parse_inference",
    "with_inferred",
]

METHOD, FACTOR = "reject_inference", "reject_factor_pct"
PART = "inferred"
_DEFAULT_PCT, _MOST_PCT = 150, 1000
_MODEL, _FACTOR = "parcel-model", "parcel-factor"
_ONE = 1 << 64


def parse_inference(document: Mapping[str, Any]) -> dict[str, int | str]:
    """Return the parameters of reject inference that a job names, the factor filled in; none where it names no method.

    reject_inference: `parcelling`. reject_factor_pct: how many times worse a reject is than an accepted row of its
    grade, in percent, 100 to 1000. Raises `InputError` for anything else.
    """
    if METHOD not in document and FACTOR not in document:
        return {}
    if document.get(METHOD) != "parcelling":
        raise InputError(
            "parameter-rejects", f"[parameters]: '{METHOD}' must be \"parcelling\", or leave both keys out"
        )
    factor = document.get(FACTOR, _DEFAULT_PCT)
    if type(factor) is not int or not 100 <= factor <= _MOST_PCT:
        raise InputError("parameter-rejects", f"[parameters]: '{FACTOR}' must be a whole number, 100 to {_MOST_PCT}")
    return {METHOD: "parcelling", FACTOR: factor}


def infers(spec: JobSpec) -> bool:
    """Return whether the job infers rejects; raise `InputError` where it cannot."""
    if METHOD not in spec.parameters:
        return False
    if spec.dictionary.accepted is None or spec.private:
        why = "its sums carry noise" if spec.private else "the dictionary has no [accepted]"
        raise InputError("job-rejects", f"job: {METHOD} cannot be used here: {why}")
    return True


def inferred_rounds(
    spec: JobSpec, rounds: Generator[Ask, np.ndarray, Any], model: Model
) -> Generator[Ask, np.ndarray, Any]:
    """Run a recipe's requests over accepted and rejected rows. model: the accepts-only one, with its reference."""
    arrays: dict[str, np.ndarray] = {
        _MODEL: np.frombuffer(encode_model(model), dtype=np.uint8),
        _FACTOR: np.array([int(spec.parameters[FACTOR])], dtype=np.int64),
    }
    return (yield from _in_part(rounds, arrays))


def with_inferred(trained: Trained, accepts: Model) -> Model:
    """Return the second model with its part of the job, and how many rejects trained it, among its facts."""
    facts = trained.model.training
    rejects = int(facts["rows"]) - int(accepts.training["rows"])
    told: Model = replace(trained.model, training={**facts, "part": PART, "rejects": rejects})  # type: ignore[type-var]
    return told


def measured_rounds(rounds: Generator[Ask, np.ndarray, Any]) -> Generator[Ask, np.ndarray, Any]:
    """Run requests for figures under the part's name; they look at accepted rows alone."""
    return (yield from _in_part(rounds, {}))


def parcelled(ask: Ask, book: Book) -> Book:
    """Return the book that a request of this part is about: accepted training rows and labelled rejects."""
    if _MODEL not in ask.arrays:
        return book
    raw, factor = ask.arrays[_MODEL].tobytes(), int(ask.arrays[_FACTOR][0])
    made: Book = book.recall(PART, (raw, factor), lambda: _augmented(book, decode_model(raw), factor))
    return made


def _in_part(
    rounds: Generator[Ask, np.ndarray, Any], arrays: Mapping[str, np.ndarray]
) -> Generator[Ask, np.ndarray, Any]:
    try:
        ask = next(rounds)
        while True:
            sums = yield replace(ask, part=PART, arrays={**ask.arrays, **arrays})
            ask = rounds.send(sums)
    except StopIteration as stop:
        return stop.value


def _augmented(book: Book, model: Model, factor: int) -> Book:
    table = book.table
    rejects = _labelled(_in_time(table.rejects, book.spec.train_until), model, factor, book.spec.seed)
    accepted = table.select(book.rows("train"))
    both = accepted if rejects is None else concatenate([accepted, rejects], table.member)
    if both.rows > book.spec.max_rows:
        raise RefusalError(
            "rows-above-limit",
            f"member {table.member!r} has {both.rows} rows with its rejects, the job allows {book.spec.max_rows}",
        )
    made = Book(both, book.spec, book.prf)
    every, none = np.arange(both.rows, dtype=np.int64), np.empty(0, dtype=np.int64)
    object.__setattr__(made, "split", Split(every, none, none, none))
    return made


def _in_time(rejects: Table | None, until: int | None) -> Table | None:
    if rejects is None or until is None:
        return rejects
    month = rejects.month
    return None if month is None else rejects.select((month >= 0) & (month <= until))


def _labelled(rejects: Table | None, model: Model, factor: int, seed: int) -> Table | None:
    """Return the rejects with labels: in each grade a share of bads that is the accepted rows' times the factor."""
    if rejects is None or not rejects.rows or model.reference is None:
        return None
    scale = model.reference.scale
    limits = [
        min(factor * bad * _ONE // (100 * row), _ONE) if row else 0
        for row, bad in zip(scale.rows, scale.bads, strict=True)
    ]
    prefix = f"creditmesh reject/1|{seed}|".encode()
    grades = scale.grade(model.logit(rejects)).tolist()
    target = [
        int.from_bytes(hashlib.sha256(prefix + row).digest()[:8], "big") < limits[grade - 1]
        for row, grade in zip(row_bytes(rejects), grades, strict=True)
    ]
    return replace(rejects, target=np.array(target, dtype=np.int8))
