"""The job that an operator submits, read from `job.toml`.

    [job]         recipe, schema, purpose, seed, holdout, max_rows   what is trained, why, and within which bounds
    [parameters]  ...                                                the recipe's own; it checks them itself
    [privacy]     epsilon, delta                                     most that it may cost a borrower; without, sums are
                                                                     exact

This module knows no recipe. Theory: a job is plain values: it can name a recipe that the banks have installed and set
its numbers, and nothing else; there is no place in it for code.
"""

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from coordinator.toml_file import RelativePath, Section, model_of, read_model

__all__ = ["JobFile", "JobSettings", "PrivacySettings", "job_from", "load_job"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{0,17}[1-9])?")
_PARAMETER = re.compile(r"[a-z][a-z0-9_]{0,62}")
LARGEST_INTEGER = 2**63 - 1


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("1 to 63 of a-z, 0-9, _ and -, starting with a letter or digit")
    return value


def _parameters(value: dict[str, Any]) -> dict[str, Any]:
    for key, item in value.items():
        items = item if isinstance(item, list) else [item]
        plain = all(isinstance(part, bool | int | float | str) for part in items)
        if not _PARAMETER.fullmatch(key) or not plain:
            raise ValueError("numbers, texts, true/false or lists of them under names of a-z, 0-9 and _")
        if any(isinstance(part, int) and abs(part) > LARGEST_INTEGER for part in items):
            raise ValueError(f"integers of at most {LARGEST_INTEGER}")
        if any(isinstance(part, float) and part - part != 0 for part in items):
            raise ValueError("finite numbers")
    return value


class JobSettings(Section):
    """`[job]`: what is trained and within which bounds.

    schema: the data dictionary, a path relative to the file. holdout: share of each member's rows kept for evaluation,
    0.05 to 0.9. max_rows: most rows one member may count; the fixed-point headroom is proved for it. approval_wait_s:
    how long people at banks have to agree, up to 30 days; 0 for as long as members have to join.
    """

    recipe: Annotated[str, AfterValidator(_name)]
    schema_file: RelativePath = Field(alias="schema")
    purpose: Annotated[str, AfterValidator(_name)] = "credit-risk-model"
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    holdout: float = Field(default=0.3, ge=0.05, le=0.9, allow_inf_nan=False)
    max_rows: int = Field(default=2**20, ge=1, le=2**24)
    approval_wait_s: int = Field(default=0, ge=0, le=30 * 86_400)

    @property
    def holdout_ppm(self) -> int:
        """Return the hold-out share in parts per million, from its decimal text."""
        return int(Decimal(repr(self.holdout)) * 1_000_000)


def _decimal(value: str) -> str:
    if not _DECIMAL.fullmatch(value):
        raise ValueError('a decimal in quotes without superfluous digits, such as "3" or "0.000001"')
    return value


class PrivacySettings(Section):
    """`[privacy]`: epsilon at delta that the whole life of the model may cost a borrower, decimals in quotes."""

    epsilon: Annotated[str, AfterValidator(_decimal)]
    delta: Annotated[str, AfterValidator(_decimal)] = "0.000001"


class JobFile(Section):
    """A whole job file."""

    job: JobSettings
    privacy: PrivacySettings | None = None
    parameters: Annotated[dict[str, Any], AfterValidator(_parameters)] = Field(default_factory=dict)


def load_job(path: Path) -> JobFile:
    """Return the job in the file at `path`.

    Raises `privacy.errors.InputError` with one line: file, key, what was found, what was expected.
    """
    return read_model(Path(path), JobFile)


def job_from(document: dict[str, Any]) -> JobFile:
    """Return a job that was filled in elsewhere, checked as the file is; its schema path is not looked at."""
    return model_of(document, JobFile, "the job", Path())
