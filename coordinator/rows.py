"""What the coordinator's database holds, as values: members, jobs, rounds, events, models, and how a job's state moves.

It opens no database (`coordinator.store` does). Theory: a job's state moves along `TRANSITIONS` only, and the final
ones are never left. `approving` waits for people at banks; `paused` waits for members that were lost, or for the
operator who wished it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["FINAL_STATES", "TRANSITIONS", "Job", "JobEvent", "JobState", "Member", "MemberStatus", "ModelRecord",
           "RoundRecord", "Wish"]  # fmt: skip

JobState = Literal["queued", "joining", "approving", "running", "paused", "done", "failed", "cancelled"]
Wish = Literal["", "pause", "cancel"]
MemberStatus = Literal["active", "suspended", "revoked", "left"]

_BEFORE_THE_END = frozenset({"queued", "joining", "approving", "running", "paused"})
FINAL_STATES: frozenset[str] = frozenset({"done", "failed", "cancelled"})
TRANSITIONS: Mapping[JobState, frozenset[str]] = {
    "joining": frozenset({"queued"}),
    "approving": frozenset({"joining"}),
    "running": frozenset({"joining", "approving", "paused"}),
    "paused": frozenset({"running"}),
    "done": frozenset({"running", "paused"}),
    "failed": _BEFORE_THE_END,
    "cancelled": _BEFORE_THE_END,
}


@dataclass(frozen=True, slots=True)
class Member:
    """One bank: identity is its Ed25519 public key in hex, certificate_serial the TLS certificate it may use.

    log and witness are the verifier keys of its log and of its cosignatures, empty where none was enrolled.
    """

    id: str
    identity: str
    certificate_serial: int
    status: MemberStatus = "active"
    log: str = ""
    witness: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One job; spec is the job file as parsed, created and ended are UTC microseconds (ended None while it lives).

    wish: what an operator asked for and the coordinator has yet to do or to keep up. not_before: UTC microseconds
    before which the job is not started, None for at once.
    """

    id: str
    recipe: str
    spec: Mapping[str, Any]
    state: JobState
    reason: str
    created: int
    ended: int | None
    wish: Wish = ""
    not_before: int | None = None


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One secure sum: number counts a job's sums from 1; position is the Ask's place; bytes is all members' upload."""

    job: str
    number: int
    position: int
    name: str
    state: str
    survivors: tuple[str, ...]
    bytes: int
    started: int
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One line of a job's history; seq grows over all jobs, t is UTC microseconds."""

    seq: int
    job: str
    t: int
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model file: sha256 of its bytes in hex, the job it came from, its path inside the state folder.

    released: UTC microseconds at which it was released, None while it is pending.
    """

    sha256: str
    job: str
    path: str
    released: int | None = None
