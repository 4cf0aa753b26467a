"""From what everybody signed up to, to what a recipe is run with.

It checks no signature. Theory: members and coordinator must run the same generator with the same numbers, so there is
one way from a job's charter to its `JobSpec`.
"""

from collections.abc import Callable, Mapping, Sized
from typing import Any, Protocol

from risk.catalogue import recipe
from risk.dictionary import Dictionary
from risk.spec import JobSpec

__all__ = ["Charter", "models_named", "spec_of"]


class Charter(Protocol):
    """The part of a job's manifest that concerns the recipe."""

    @property
    def recipe(self) -> str:
        """Return the recipe's name."""

    @property
    def recipe_version(self) -> int:
        """Return the recipe's version."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Return the recipe's parameters as submitted."""

    @property
    def seats(self) -> Sized:
        """Return the seats of the job; only their number counts here."""

    @property
    def max_rows(self) -> int:
        """Return the most rows one member may count."""

    @property
    def seed(self) -> int:
        """Return the seed of the split."""

    @property
    def holdout_ppm(self) -> int:
        """Return the share of rows held out, in parts per million."""

    @property
    def multiplier(self) -> int:
        """Return the noise multiplier in millionths, 0 in an exact job."""

    @property
    def statement(self) -> Mapping[str, str | int] | None:
        """Return what the model file says about privacy, None in an exact job."""


def spec_of(charter: Charter, dictionary: Dictionary, model: Callable[[str], bytes] = lambda _: b"") -> JobSpec:
    """Return what the recipe is run with; a recipe or parameter that is not installed raises `InputError`.

    model: returns the model file of a digest, for a recipe that is told to look at models.
    """
    parameters = recipe(charter.recipe).parse_parameters(dict(charter.parameters))
    return JobSpec(
        recipe=charter.recipe,
        version=charter.recipe_version,
        parameters=parameters,
        dictionary=dictionary,
        members=len(charter.seats),
        max_rows=charter.max_rows,
        seed=charter.seed,
        holdout_ppm=charter.holdout_ppm,
        multiplier=charter.multiplier,
        statement=charter.statement,
        models={digest: model(digest) for digest in models_named(charter.recipe, parameters)},
    )


def models_named(name: str, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the digests of the model files that a job looks at: those that a validation names."""
    if name != "validation":
        return ()
    return tuple(str(parameters[key]) for key in ("model", "challenger") if parameters.get(key))
