"""What every trained model and every recipe offers, whatever is inside.

Protocols only: no recipe is implemented here. Theory: job, metrics, private head and model file work on a logit of
bad and on a document, so a new recipe needs nothing of them to change.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from risk.book import Book
from risk.coding import Coding
from risk.recipe import Ask
from risk.reference import Reference
from risk.release import Release
from risk.spec import JobSpec
from risk.table import Table

__all__ = ["Model", "OwnModels", "Recipe", "Trained"]


class Model(Protocol):
    """Score applicants by a trained model."""

    @property
    def recipe(self) -> str:
        """Return recipe and version, such as `scorecard/1`."""
        ...

    @property
    def dictionary(self) -> str:
        """Return the digest, in hex, of the dictionary that it was trained with."""
        ...

    @property
    def training(self) -> Mapping[str, Any]:
        """Return facts of the training job: its seed, its hold-out share, its parameters."""
        ...

    @property
    def codings(self) -> tuple[Coding, ...]:
        """Return the bins of the fields in use, one coding each."""
        ...

    @property
    def reference(self) -> Reference | None:
        """Return what later rows are held against, None where none was frozen."""
        ...

    def logit(self, table: Table) -> np.ndarray:
        """Return the log-odds of bad, (n_rows,) float64."""
        ...

    def pd(self, table: Table) -> np.ndarray:
        """Return the probability of bad, (n_rows,) float64."""
        ...

    def to_document(self) -> dict[str, Any]:
        """Return the model as plain JSON values, without format and recipe."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Trained:
    """Hold the full federation's model and what the half federations reuse of it.

    carry: derived from unlabelled sums only, so that a half's model has seen no label of the other half.
    """

    model: Model
    carry: Any


@dataclass(frozen=True, eq=False, slots=True)
class OwnModels:
    """Hold what a bank trains on its own rows alone: on all training rows, and on each half.

    folds: (row numbers of the table, model that was trained without them), together all training rows; empty where
    the halves are large enough to stand for the whole book.
    """

    full: Model
    half_a: Model
    half_b: Model
    folds: tuple[tuple[np.ndarray, Model], ...] = ()


class Recipe(Protocol):
    """Train one kind of model by sums."""

    name: str
    version: int

    def parse_parameters(self, document: Mapping[str, Any]) -> dict[str, int | str]:
        """Return the parameters with defaults filled in; raise `InputError` for any that is unknown or unusable."""
        ...

    def rounds(self, spec: JobSpec) -> Generator[Ask, np.ndarray, Trained]:
        """Ask for the sums that train the full federation's model."""
        ...

    def half_rounds(self, spec: JobSpec, trained: Trained) -> Generator[Ask, np.ndarray, tuple[Model, Model]]:
        """Ask for the sums that train the models of half a and half b."""
        ...

    def releases(self, spec: JobSpec) -> tuple[Release, ...]:
        """Return what training with differential privacy releases; raise `InputError` where there is no such form.

        `rounds` then carries the middle and the spread of the training rows' logits in `Trained.carry`.
        """
        ...

    def contribute(self, ask: Ask, book: Book) -> np.ndarray:
        """Return a member's part of an asked sum, (ask.length,) int64, no entry larger than `ask.bound`."""
        ...

    def own(self, book: Book) -> OwnModels:
        """Train the same kind of model on one bank's rows alone."""
        ...

    def decode_model(self, document: Mapping[str, Any]) -> Model:
        """Return the model of a document that `Model.to_document` made; raise `InputError` for any other."""
        ...
