"""What a job will cost before anybody is asked: rounds, bytes, epsilon, and how many banks it needs.

It reads no bank's rows and queues nothing. Theory: which sums a recipe asks for depends on the sums before, so the
recipe itself is run here on rows that are drawn from the data dictionary alone, one small table for each bank. The
number of rounds is therefore an estimate and is called one; epsilon, the noise and the smallest cohort are exact,
computed by the code that the job will run.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from privacy.guarantee import calibrated
from privacy.roster import MAX_MEMBERS, MIN_MEMBERS, Roster
from risk.book import Book
from risk.catalogue import recipe
from risk.dictionary import Dictionary, Field, parse_dictionary
from risk.errors import RiskError
from risk.job import contribute, releases, rounds
from risk.recipe import Ask
from risk.spec import JobSpec
from risk.table import BORROWER_BYTES, Table

__all__ = ["Preview", "preview"]

# Towers need torch and time, a validation the models of a registry.
_REHEARSED = ("scorecard", "trees")
ROWS = 800
LONGEST_S = 4.0
# A masked entry travels in words of this ring; framing and signatures of a round add about this much for each member.
OVERHEAD_BYTES = 1_500


@dataclass(frozen=True, slots=True)
class Preview:
    """The plan of a job.

    rounds: secure sums, estimated; None where the recipe is not run here (towers, validation). complete: whether the
    recipe came to its end within a few seconds; otherwise rounds and bytes are lower bounds. bytes_per_member: upload
    of one bank. epsilon, delta: what the model may cost a borrower, None for exact sums. noise: multiplier in
    millionths.
    """

    recipe: str
    fields: int
    members: int
    least_members: int
    smallest_cohort: int
    tolerated: int
    rounds: int | None
    complete: bool
    bytes_per_member: int | None
    epsilon: str | None
    delta: str | None
    noise: int


def preview(spec: Mapping[str, Any], members: int, least_members: int) -> Preview:
    """Return the plan of a job as `coordinator.commands.spec_of` gives it, for that many banks.

    least_members: `[policy] min_members`. Raises `InputError` for parameters, a schema or a promise that cannot be.
    """
    members = min(max(members, least_members, MIN_MEMBERS), MAX_MEMBERS)
    dictionary = parse_dictionary(spec["schema"], "the job's schema")
    job, asked = _spec(spec, dictionary, members), spec.get("privacy")
    if asked is not None:
        promised = calibrated(releases(job), asked["epsilon"], asked["delta"])
        job = replace(job, multiplier=promised.multiplier, statement=promised.document())
    count, volume, complete = _rehearse(job) if job.recipe in _REHEARSED else (None, None, False)
    roster = Roster(tuple(f"bank-{number:03d}" for number in range(members)))
    return Preview(
        recipe=job.recipe,
        fields=len(dictionary.model_fields),
        members=members,
        least_members=least_members,
        smallest_cohort=roster.smallest_cohort,
        tolerated=members - roster.smallest_cohort,
        rounds=count,
        complete=complete,
        bytes_per_member=volume,
        epsilon=None if asked is None else str(asked["epsilon"]),
        delta=None if asked is None else str(asked["delta"]),
        noise=job.multiplier,
    )


def _spec(spec: Mapping[str, Any], dictionary: Dictionary, members: int) -> JobSpec:
    settings = spec["job"]
    chosen = recipe(settings["recipe"])
    return JobSpec(
        recipe=settings["recipe"],
        version=chosen.version,
        parameters=chosen.parse_parameters(dict(spec["parameters"])),
        dictionary=dictionary,
        members=members,
        max_rows=settings["max_rows"],
        seed=settings["seed"],
        holdout_ppm=settings["holdout_ppm"],
    )


def _rehearse(job: JobSpec) -> tuple[int | None, int | None, bool]:
    """Run the recipe on drawn rows; return the rounds, a member's bytes, and whether it came to its end."""
    until = time.monotonic() + LONGEST_S
    asks: list[Ask] = []
    book = Book(_drawn(job), job, prf=lambda content: np.random.default_rng(list(content[:16])).bytes(32))
    running = rounds(job)
    complete = False
    try:
        ask = next(running)
        while time.monotonic() < until:
            asks.append(ask)
            ask = running.send(contribute(ask, book) * job.members)
    except StopIteration:
        complete = True
    except RiskError:
        # Drawn rows may hold too little for a recipe to go on; what it asked so far stands as a lower bound.
        complete = False
    finally:
        running.close()
    volume = sum(ask.length * ask.word_bits // 8 + OVERHEAD_BYTES for ask in asks)
    return (len(asks), volume, complete) if asks else (None, None, False)


def _drawn(job: JobSpec) -> Table:
    """Draw rows within the dictionary's bounds whose outcome follows the declared directions of risk."""
    random = np.random.default_rng(20)
    risk = np.full(ROWS, -2.2)
    columns: dict[str, np.ndarray] = {}
    fields = job.dictionary.model_fields
    for field in fields:
        place = random.random(ROWS)
        columns[field.name] = _column(field, place)
        sign = {"up": 1.0, "down": -1.0}.get(field.risk_when_rising, 0.0)
        risk += sign * (place - 0.5) * 6.0 / max(1.0, len(fields) ** 0.5)
    target = (random.random(ROWS) < 1.0 / (1.0 + np.exp(-risk))).astype(np.int8)
    month = np.full(ROWS, 12 * 2024, np.int32) + random.integers(0, 12, ROWS).astype(np.int32)
    borrower = random.integers(0, 256, (ROWS, BORROWER_BYTES)).astype(np.uint8)
    timed = job.dictionary.time is not None
    return Table("bank-000", columns, target, month if timed else None, borrower)


def _column(field: Field, place: np.ndarray) -> np.ndarray:
    if field.kind == "category":
        return np.minimum((place * len(field.levels)).astype(np.int16), len(field.levels) - 1).astype(np.int16)
    if field.kind == "flag":
        return (place < 0.5).astype(np.float64)
    low, high = field.bounds or (0.0, 1.0)
    return low + place * (high - low)
