"""Room on the disk that holds the log: when to raise an alarm, and when to stop sending.

It writes nothing. Theory: nothing leaves without a record, so a bank that runs out of disk in the middle of a job fails
it for everybody. At a tenth of the disk an alarm goes into the log; at a twentieth nothing is authorised any more,
while there still is room to record why and to end in order. The last twentieth is the reserve; no file is set aside
beside it, since one that is made in advance takes from every small disk what only a full one needs.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from privacy.errors import InputError
from privacy.log.record import Entry

__all__ = ["DiskRule", "DiskWatch", "free_percent"]


@dataclass(frozen=True, slots=True)
class DiskRule:
    """Percent of the disk that must be free: at or below `alarm` an alarm is raised, at or below `stop` egress ends."""

    alarm: int = 10
    stop: int = 5


def free_percent(folder: Path) -> float:
    """Return the share of the file system that an ordinary account may still use, 0 to 100."""
    found = os.statvfs(folder)
    return 100.0 * found.f_bavail / max(1, found.f_blocks)


class DiskWatch:
    """Hold appends against the rule."""

    def __init__(self, folder: Path, rule: DiskRule, read: Callable[[Path], float] = free_percent) -> None:
        """read: returns the percent that is free on the file system of a folder."""
        self._folder, self._rule, self._read = folder, rule, read
        self._alarmed = 101.0

    def alarms(self) -> list[Entry]:
        """Return an alarm if the disk has just come to a limit, once a limit until there is room again."""
        free, rule = self._read(self._folder), self._rule
        if free > rule.alarm:
            self._alarmed = 101.0
            return []
        limit = rule.stop if free <= rule.stop else rule.alarm
        if limit >= self._alarmed:
            return []
        self._alarmed = limit
        severity = "critical" if limit == rule.stop else "medium"
        evidence = f"{free:.1f} percent of the disk is free; alarm at {rule.alarm}, nothing is sent at {rule.stop}"
        return [Entry("alarm.raised", {"class": "disk", "severity": severity, "evidence": evidence})]

    def check(self, entries: Sequence[Entry]) -> None:
        """Raise `InputError` `disk-low` if these entries let something leave while the disk is at its last limit."""
        if not any(entry.kind == "egress.authorised" for entry in entries):
            return
        free = self._read(self._folder)
        if free <= self._rule.stop:
            text = f"{self._folder}: {free:.1f} percent of the disk is free, sending stops at {self._rule.stop}"
            raise InputError("disk-low", f"{text}; make room, or set state.stop_free_percent in node.toml")
