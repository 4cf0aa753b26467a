"""What this bank's rows were already used for: exact jobs, the members beside it, and how often they changed.

It decides nothing (`node.permit` does). Theory: two exact sums over cohorts that differ by one bank tell that bank's
part, whether it left or came, in one job or in two. So the count runs over all jobs on the same rows: losing a member
in the middle, voting without one that earlier sums had, and voting with one that they lacked are the same thing.
Written through to disk before it counts.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.journal_line import say
from node.permit import Permit, Spent
from privacy.errors import InputError, RefusalError

__all__ = ["NEW_VERSION_ROWS", "Usage", "allow_exclusion", "charge_upload", "check_change", "load_usage",
           "settle_cohort"]  # fmt: skip

NEW_VERSION_ROWS = 100
_ENTRY = {"jobs", "members", "cohort", "excluded", "rows"}


@dataclass(slots=True)
class Usage:
    """The use of one dataset (named by the digest of its file and dictionary, or that of the version before it).

    rows: rows with a target. jobs: ids of exact jobs joined. members: who sat in the last of them and was not left
    behind since. cohort: the members of the exact sums that this bank voted for last; empty before the first vote.
    excluded: whose parts a changed cohort tells, in the order of events. uploaded_bytes: masked parts that left in
    exact jobs; it is not written here, since the node's log holds every upload.
    """

    path: Path
    dataset: str
    jobs: list[str] = field(default_factory=list)
    members: set[str] = field(default_factory=set)
    cohort: set[str] = field(default_factory=set)
    excluded: list[list[str]] = field(default_factory=list)
    rows: int = 0
    uploaded_bytes: int = 0

    @property
    def spent(self) -> Spent:
        """Return the counts that the permit decides on."""
        return Spent(len(self.jobs), len(self.excluded), self.uploaded_bytes)

    def spent_before(self, job: str) -> Spent:
        """Return the same without this job: a node that comes back to it does not join a second one."""
        return Spent(len(self.jobs) - (job in self.jobs), len(self.excluded), self.uploaded_bytes)

    def left_behind(self, lost: frozenset[str]) -> frozenset[str]:
        """Return those of `lost` who sit in this job and were not left behind since."""
        return lost & self.members

    def changed_by(self, cohort: tuple[str, ...]) -> frozenset[str]:
        """Return who left and who came between the exact sums so far and sums over `cohort`."""
        return frozenset(self.cohort ^ set(cohort)) if self.cohort else frozenset()

    def exclude(self, lost: frozenset[str]) -> None:
        """Note that the job goes on without `lost`, durably."""
        self.excluded.append(sorted(lost))
        self.members -= lost
        self.cohort -= lost
        self._write()

    def settle(self, cohort: tuple[str, ...]) -> None:
        """Note the cohort that is about to be voted for, durably, and whose parts it tells beside the one before."""
        changed = self.changed_by(cohort)
        if changed:
            self.excluded.append(sorted(changed))
        if self.cohort != set(cohort):
            self.cohort = set(cohort)
            self._write()

    def join(self, job: str, roster: tuple[str, ...]) -> None:
        """Note that an exact job with this roster was joined, durably; coming back to it changes nothing."""
        if job in self.jobs:
            return
        self.jobs.append(job)
        self.members = set(roster)
        self._write()

    def _write(self) -> None:
        stored = _read(self.path)
        stored[self.dataset] = {
            "jobs": self.jobs,
            "members": sorted(self.members),
            "cohort": sorted(self.cohort),
            "excluded": self.excluded,
            "rows": self.rows,
        }
        draft = self.path.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as stream:
            json.dump(stored, stream, sort_keys=True, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def allow_exclusion(usage: Usage, permit: Permit, lost: frozenset[str]) -> None:
    """Note that a job goes on for good without `lost`, or raise the `RefusalError` that the permit gives."""
    fresh = usage.left_behind(lost)
    if not fresh:
        return
    _demand(usage, permit, fresh)
    usage.exclude(fresh)
    _say(fresh)


def check_change(usage: Usage, permit: Permit, job: str, roster: tuple[str, ...]) -> None:
    """Raise the `RefusalError` that the permit gives if a job over `roster` would change the cohort of exact sums.

    It counts once the changed cohort is voted for. A node that comes back to its job is asked nothing again.
    """
    changed = usage.changed_by(roster)
    if changed and job not in usage.jobs:
        _demand(usage, permit, changed)


def settle_cohort(usage: Usage, permit: Permit, cohort: tuple[str, ...]) -> None:
    """Note the cohort of a vote that is about to leave, or raise the `RefusalError` that the permit gives.

    Members that drop out of the first round of a job are no loss to that job. Sums of an earlier job that had them,
    or lacked them, are another matter.
    """
    changed = usage.changed_by(cohort)
    if changed:
        _demand(usage, permit, changed)
    usage.settle(cohort)
    if changed:
        _say(changed)


def _demand(usage: Usage, permit: Permit, changed: frozenset[str]) -> None:
    refusal = permit.decide_exclusion(usage.spent)
    if refusal:
        raise RefusalError(refusal.code, f"{', '.join(sorted(changed))} left or came: {refusal.message}")


def _say(changed: frozenset[str]) -> None:
    say(
        "members_excluded",
        lost=sorted(changed),
        reason="these members' parts of the last sums can now be computed by subtraction",
    )


def charge_upload(usage: Usage, permit: Permit, size_bytes: int) -> None:
    """Count a masked part that is about to leave, or raise the `RefusalError` that the permit gives."""
    refusal = permit.decide_upload(usage.spent, size_bytes)
    if refusal:
        raise refusal
    usage.uploaded_bytes += size_bytes


def load_usage(path: Path, dataset: str, rows: int) -> Usage:
    """Return the use of a dataset of `rows` rows as the file at `path` holds it; no file means none.

    A table with fewer than `NEW_VERSION_ROWS` rows more than an earlier one goes on with that one's counts: sums over
    tables that differ by a few rows would tell those rows. Raises `InputError` if the file is not what this module
    wrote.
    """
    stored = _read(path)
    earlier = max(stored, key=lambda name: (name == dataset, stored[name]["rows"]), default=dataset)
    if earlier != dataset and rows >= stored[earlier]["rows"] + NEW_VERSION_ROWS:
        earlier = dataset
    found = stored.get(earlier, {name: [] for name in _ENTRY} | {"rows": rows})
    jobs, members, cohort = list(found["jobs"]), set(found["members"]), set(found["cohort"])
    return Usage(path, earlier, jobs, members, cohort, list(found["excluded"]), int(found["rows"]))


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        document = json.loads(path.read_text("utf-8")) if path.exists() else {}
        if not all(set(entry) == _ENTRY for entry in document.values()):
            raise ValueError
    except (ValueError, AttributeError, TypeError):
        raise InputError("usage-malformed", f"{path}: not the file this node wrote; restore it from a backup") from None
    return document
