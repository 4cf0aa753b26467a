"""Write down what the coordinator sends to members in a job, as they write down what they take.

It sends nothing and decides nothing. Theory: the members' logs say what came, this one what left, and an auditor joins
them by message id. A message that goes to many has one record with a bitmap of who gets it, since a sum over hundreds
of members shows each masked part to dozens. Records ride on the next commit and hold no message up: what a crash takes
of them stands in the members' logs. Receipts and other control messages have none.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from privacy.envelope import EVERYONE
from privacy.log.record import Entry, Event
from privacy.log.rounds import bitmap_of
from privacy.manifest import Manifest
from privacy.secagg.downlink import Downlink, part_of

__all__ = ["Attempts", "Postbook", "attempts_in"]

_LONGEST_LIST = 6 * 1024
_PROTECTION = {"check": "share", "check-part": "masked", "close": "box"}

Attempts = Mapping[tuple[str, str, str], int]


def attempts_in(events: Iterable[Event], job: str) -> Attempts:
    """Return how often each message of a job was sent, by id, part and receiver; events: `egress.authorised`."""
    found: dict[tuple[str, str, str], int] = {}
    for event in events:
        if event.job == job:
            body = event.body
            name = (str(body["msg_id"]), str(body.get("part", "")), str(body["to"]))
            found[name] = max(found.get(name, 0), int(str(body.get("attempt", 1))))
    return found


class Postbook:
    """Keep the records of one job. All calls are made on one event loop."""

    def __init__(
        self, manifest: Manifest, defer: Callable[[Sequence[Entry]], None], before: Attempts | None = None
    ) -> None:
        """manifest: with the seats that bitmaps run over. defer: lets entries ride on the log's next commit.

        before: how often an earlier process sent each message of the job (`attempts_in`).
        """
        self._manifest = manifest
        self._defer = defer
        self._attempts = dict(before or {})

    def seated(self, manifest: Manifest) -> None:
        """Go on with the final roster, and write down who is in it (a list that no event can hold is left out)."""
        self._manifest = manifest
        members = list(manifest.roster.members)
        body = {
            "job": manifest.job,
            "decision": "accepted",
            "reason": "enough members accepted",
            "spec_sha256": manifest.sha256().hex(),
            "code_sha256": manifest.code_sha256,
            "min_cohort": manifest.roster.smallest_cohort,
            "approvers": members if sum(map(len, members)) + 3 * len(members) <= _LONGEST_LIST else [],
        }
        self._defer([Entry("job.decided", body, manifest.purpose, manifest.job)])

    def sent(self, downlinks: Sequence[Downlink]) -> None:
        """Write down what was just sent; neighbours with the same bytes share a record, but for offers.

        An offer goes to members who may not be in the final roster, which is what bitmaps run over.
        """
        groups = [list(group) for _, group in groupby(downlinks, lambda each: id(each.message))]
        apart = [[each] for group in groups for each in group if each.kind == "offer"]
        entries = [self._entry(group) for group in apart or groups]
        if entries:
            self._defer(entries)

    def _entry(self, group: list[Downlink]) -> Entry:
        envelope, manifest = group[0].sent, self._manifest
        part, to = part_of(envelope), group[0].to if len(group) == 1 else EVERYONE
        attempt = self._attempts.get((envelope.msg_id, part, to), 0) + 1
        self._attempts[envelope.msg_id, part, to] = attempt
        body: dict[str, object] = {
            "msg_id": envelope.msg_id,
            "to": to,
            "bytes": len(group[0].message),
            "payload_kind": f"secagg.{envelope.kind}",
            "protection": _PROTECTION.get(envelope.kind, "signed"),
            "payload_sha256": envelope.payload_sha256,
            "attempt": attempt,
        }
        if len(group) > 1:
            body["recipients"] = bitmap_of((each.to for each in group), manifest.roster.members)
        if part:
            body["part"] = part
        return Entry("egress.authorised", body, manifest.purpose, manifest.job)
