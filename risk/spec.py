"""What a job is, as every member and the coordinator must know it before the first sum.

It holds no table and no result. Theory: a recipe's requests are a pure function of this and of the sums, so all
that steers them stands here, in integers and strings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from risk.dictionary import Dictionary
from risk.errors import InputError
from risk.months import month_of
from risk.parameters import TRAIN_UNTIL

__all__ = ["PARTS", "JobSpec"]

PARTS: dict[str, Literal["train", "half-a", "half-b"]] = {"full": "train", "half-a": "half-a", "half-b": "half-b"}
"""The federations inside one job, and the rows (`risk.split`) that each is trained on."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """Describe one job.

    recipe, version: what is trained. parameters: as the recipe's `parse_parameters` returned them. members: how many
    take part, 1 to 256. max_rows: most rows of one member, at most 2**24. seed: of the split, 0 to 2**31 - 1.
    holdout_ppm: share of the rows held out, in millionths, 0 to 900 000. multiplier: noise of a job with differential
    privacy, in millionths of the sensitivity (`risk.release`), 0 for an exact job. statement: what such a job's model
    file says of it; it steers nothing. models: model files by digest that the recipe was told to look at.
    """

    recipe: str
    version: int
    parameters: Mapping[str, int | str]
    dictionary: Dictionary
    members: int
    max_rows: int
    seed: int
    holdout_ppm: int
    multiplier: int = 0
    statement: Mapping[str, str | int] | None = None
    models: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        limits = {
            "members": (1, 256),
            "max_rows": (1, 2**24),
            "seed": (0, 2**31 - 1),
            "holdout_ppm": (0, 900_000),
            "multiplier": (0, 10**9),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError("job-range", f"job: {name} is {value}, expected {low} to {high}")
        if self.train_until is not None and (self.dictionary.time is None or self.private):
            why = "noise needs rows that no date places" if self.private else "the dictionary has no [time]"
            raise InputError("job-train-until", f"job: {TRAIN_UNTIL} cannot be used here: {why}")
        if self.members * self.max_rows >= 2**31:
            raise InputError(
                "job-headroom", "job: members x max_rows must stay below 2**31, so that counts fit 32-bit words"
            )

    @property
    def label(self) -> str:
        """Return recipe and version as an `Ask` names them, such as `scorecard/1`."""
        return f"{self.recipe}/{self.version}"

    @property
    def train_until(self) -> int | None:
        """Return the last month, 12 * year + month - 1, whose rows train; None for all."""
        value = self.parameters.get(TRAIN_UNTIL)
        return None if value is None else month_of(int(value), TRAIN_UNTIL)

    @property
    def private(self) -> bool:
        """Return whether every sum of the job carries noise."""
        return self.multiplier > 0

    @property
    def unit(self) -> Literal["borrower", "record"]:
        """Return whom a job with differential privacy protects: one borrower with all its rows, or one row."""
        return "record" if self.dictionary.borrower is None else "borrower"

    @property
    def promise(self) -> dict[str, str | int] | None:
        """Return what the model file of a job with differential privacy says of it, the unit included, else None."""
        return None if self.statement is None else {**self.statement, "unit": f"one {self.unit} at one bank"}

    @property
    def holdout(self) -> float:
        """Return the share of the rows held out."""
        return self.holdout_ppm / 1_000_000
