"""A whole job as one generator: full training, hold-out figures, and the two half federations.

Coordinator and members run it alike; a member answers its requests with `contribute`. It opens no connection.
Theory: the halves' models score the rows they were not trained on, which is what a bank's private head needs to weigh
network and own score honestly.
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from risk.book import Book
from risk.catalogue import recipe
from risk.errors import InputError, MisuseError
from risk.metrics import METRIC_ASKS, NetworkMetrics, contribute_metrics, metric_rounds
from risk.model import Model, Trained
from risk.modelfile import with_reference
from risk.private_calibration import score_cuts
from risk.private_metrics import SCORES, contribute_scores, private_metric_rounds, score_release
from risk.recipe import ALL_ROWS, Ask, EndedEarly
from risk.rejects import infers, measured_rounds
from risk.release import Release
from risk.sampling import sampled
from risk.scorecard import ScorecardRecipe
from risk.spec import JobSpec
from risk.validation import ValidationOutcome, ValidationRecipe

__all__ = ["Book", "JobOutcome", "JobSpec", "contribute", "releases", "rounds"]


@dataclass(frozen=True, eq=False, slots=True)
class JobOutcome:
    """Hold what a job learned: the network's model, the two halves' models, and the hold-out figures.

    metrics: None where a job with differential privacy ended before they were asked. inferred: where rejects were
    inferred, the second model and its figures on the same accepted hold-out rows.
    """

    model: Model
    half_a: Model
    half_b: Model
    metrics: NetworkMetrics | None
    inferred: tuple[Model, NetworkMetrics] | None = None


def rounds(spec: JobSpec) -> Generator[Ask, np.ndarray, JobOutcome | ValidationOutcome]:
    """Ask for every sum of a job, in order, and return what was learned; a validation job learns no model.

    Raises `InputError` where the recipe is not installed in the job's version, or has no form with the privacy asked.
    """
    chosen = recipe(spec.recipe)
    if spec.version != chosen.version:
        raise InputError(
            "recipe-version",
            f"job: recipe '{spec.recipe}' is installed in version {chosen.version}, not {spec.version}",
        )
    infers(spec)
    if spec.private:
        releases(spec)
    if isinstance(chosen, ValidationRecipe):
        return (yield from chosen.outcome_rounds(spec))
    trained = yield from chosen.rounds(spec)
    if spec.private:
        # Noise left so little of any row in the model that it may stand for the halves' too (`private_scorecard`).
        measured = yield from _private_metrics(spec, trained)
        return JobOutcome(trained.model, trained.model, trained.model, measured)
    metrics, reference = yield from metric_rounds(spec, trained.model)
    half_a, half_b = yield from chosen.half_rounds(spec, trained)
    model = with_reference(trained.model, reference)
    inferred = (yield from _inferred(spec, model)) if infers(spec) else None
    return JobOutcome(model, half_a, half_b, metrics, inferred)


def _inferred(spec: JobSpec, accepts: Model) -> Generator[Ask, np.ndarray, tuple[Model, NetworkMetrics]]:
    chosen = recipe(spec.recipe)
    assert isinstance(chosen, ScorecardRecipe)  # no other takes the parameter
    second = yield from chosen.inferred_rounds(spec, accepts)
    metrics, reference = yield from measured_rounds(metric_rounds(spec, second))
    return with_reference(second, reference), metrics


def _private_metrics(spec: JobSpec, trained: Trained) -> Generator[Ask, np.ndarray, NetworkMetrics | None]:
    if trained.carry is None:
        return None
    try:
        return (yield from private_metric_rounds(spec, trained.model, score_cuts(*trained.carry)))
    except EndedEarly:
        return None


def releases(spec: JobSpec) -> tuple[Release, ...]:
    """Return all that a job with differential privacy may release of a member's rows in its whole life.

    It does not depend on the multiplier, so that the multiplier can be searched for by what the releases cost. Raises
    `InputError` where the recipe has no form with differential privacy.
    """
    return (*recipe(spec.recipe).releases(spec), score_release())


def contribute(ask: Ask, book: Book) -> np.ndarray:
    """Return a member's part of an asked sum, (ask.length,) int64.

    The rows of a sampled request are drawn here (`risk.sampling`), so that no recipe can forget to. Raises
    `MisuseError` where a part has the wrong length or an entry above the request's bound; nothing of it may be sent
    then.
    """
    if ask.sampling_ppm != ALL_ROWS:
        book = sampled(book, ask)
    if ask.name in METRIC_ASKS:
        part = contribute_metrics(ask, book)
    elif ask.name == SCORES:
        part = contribute_scores(ask, book)
    else:
        part = recipe(book.spec.recipe).contribute(ask, book)
    if part.shape != (ask.length,) or part.dtype != np.int64:
        raise MisuseError("part-shape", f"part of {ask.name} is {part.shape} {part.dtype}")
    if ask.length and max(int(part.max()), -int(part.min())) > ask.bound:
        raise MisuseError("part-bound", f"part of {ask.name} is above the request's bound")
    return part
