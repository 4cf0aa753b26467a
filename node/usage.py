"""What this bank's rows were already used for: exact jobs, the members beside it, and who was left behind.

It decides nothing (`node.permit` does). Theory: two exact sums over cohorts that differ by one bank tell that bank's
part, in one job or in two. So the count runs over all jobs on the same rows, and a later job whose roster lacks a
member of an earlier one is the same exclusion as losing it in the middle. Written through to disk before it counts.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.journal_line import say
from node.permit import Permit, Spent
from privacy.errors import InputError

__all__ = ["NEW_VERSION_ROWS", "Usage", "allow_exclusion", "charge_upload", "load_usage"]

NEW_VERSION_ROWS = 100


@dataclass(slots=True)
class Usage:
    """The use of one dataset (named by the digest of its file and dictionary, or that of the version before it).

    rows: rows with a target. jobs: ids of exact jobs joined. members: everyone who sat in one of them and was not left
    behind since. excluded: those left behind, in the order of events. uploaded_bytes: masked parts that left in exact
    jobs; it is not written here, since the node's log holds every upload.
    """

    path: Path
    dataset: str
    jobs: list[str] = field(default_factory=list)
    members: set[str] = field(default_factory=set)
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
        """Return those of `lost` who sat in a job and were not left behind since."""
        return lost & self.members

    def missing_from(self, roster: tuple[str, ...]) -> frozenset[str]:
        """Return earlier members that a roster lacks and that are not left behind yet."""
        return frozenset(self.members - set(roster))

    def exclude(self, lost: frozenset[str]) -> None:
        """Note one exclusion, durably; who sits in a later job again can be left behind again, which counts anew."""
        self.excluded.append(sorted(lost))
        self.members -= lost
        self._write()

    def join(self, job: str, roster: tuple[str, ...]) -> None:
        """Note that an exact job with this roster was joined, durably; coming back to it changes nothing."""
        if job in self.jobs:
            return
        self.jobs.append(job)
        self.members |= set(roster)
        self._write()

    def _write(self) -> None:
        stored = _read(self.path)
        stored[self.dataset] = {
            "jobs": self.jobs,
            "members": sorted(self.members),
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
    refusal = permit.decide_exclusion(usage.spent)
    if refusal:
        raise refusal
    usage.exclude(fresh)
    say(
        "members_excluded",
        lost=sorted(fresh),
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
    found = stored.get(earlier, {"jobs": [], "members": [], "excluded": [], "rows": rows})
    return Usage(path, earlier, list(found["jobs"]), set(found["members"]), list(found["excluded"]), int(found["rows"]))


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        document = json.loads(path.read_text("utf-8")) if path.exists() else {}
        if not all(set(entry) == {"jobs", "members", "excluded", "rows"} for entry in document.values()):
            raise ValueError
    except (ValueError, AttributeError, TypeError):
        raise InputError("usage-malformed", f"{path}: not the file this node wrote; restore it from a backup") from None
    return document
