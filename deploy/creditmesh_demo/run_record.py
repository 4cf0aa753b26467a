"""What a finished run left behind, as values: one job per recipe, and what each node's own log says it sent.

It holds results and computes none; `creditmesh_demo.run_files` fills it from a run's folders. Theory: everything that
report.json and the page need about a run passes through here, so a report can be made from a run in one process as well
as from one over the network.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from creditmesh_demo.disclosed import Disclosed
from creditmesh_demo.evaluation import BankModels
from creditmesh_demo.privacy_price import Price
from creditmesh_demo.self_check import OpenedSum
from risk.job import JobSpec
from risk.model import Model

__all__ = ["JobRecord", "RoundFact", "RunRecord", "Sent", "Timing"]


@dataclass(frozen=True, slots=True)
class RoundFact:
    """Name one opened round: number (from 1), the request's name and who was inside the sum."""

    number: int
    name: str
    survivors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """Hold one message that a node's gate authorised: bank, job, round (None outside one), payload kind, bytes."""

    bank: str
    job: str
    round: int | None
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Hold seconds from launch to the first table and to the end, and the sum of all processes' peak memory in bytes.

    first_result_s is None if no job ended well, peak_bytes where the system does not tell.
    """

    first_result_s: float | None
    total_s: float
    peak_bytes: int | None


@dataclass(frozen=True, eq=False, slots=True)
class JobRecord:
    """Hold one recipe's job.

    members: who joined, by name. left_out: why others did not. excluded: who was lost for good on the way. outcome:
    the coordinator's outcome.json. reported: each bank's own entry of its result.json. network, models: decoded model
    files, absent for a job that failed. disclosed: the keys of a job with noise. accounts: what such a
    job and the period have cost, by bank, from its own result.json.
    """

    recipe: str
    job: str
    state: Literal["done", "failed"]
    reason: str
    spec: JobSpec
    members: tuple[str, ...]
    left_out: Mapping[str, str]
    excluded: tuple[str, ...]
    outcome: Mapping[str, Any]
    rounds: tuple[RoundFact, ...]
    opened: tuple[OpenedSum, ...]
    reported: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    network: Model | None = None
    models: Mapping[str, BankModels] = field(default_factory=dict)
    disclosed: Disclosed = field(default_factory=Disclosed)
    accounts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class RunRecord:
    """Hold a whole run: its room, its jobs in order, every message that left a node, and log entries by bank.

    prices: what epsilon costs each recipe, none in an exact run.
    """

    room: str
    seed: int
    started: str
    synthetic: bool
    jobs: tuple[JobRecord, ...]
    sent: tuple[Sent, ...]
    log_events: Mapping[str, int]
    prices: tuple[Price, ...] = ()
