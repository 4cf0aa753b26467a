"""The roll of members in the coordinator's log: who was enrolled, suspended or restored, and under which keys.

It enrols nobody: a command writes the database, and whoever runs the coordinator may stop it for that. Theory: the log
says what it last knew, so the process that holds it writes the difference, at its start and whenever it looks again.
"""

import hashlib
from collections.abc import Mapping, Sequence

from coordinator.log_store import LogStore
from coordinator.store import Member
from privacy.envelope import COORDINATOR
from privacy.errors import VerificationError
from privacy.log.membership import Quorum, identity_key, membership_entries
from privacy.log.note import VerifierKey
from privacy.log.policy import network_policy
from privacy.log.record import Event

__all__ = ["Roll"]


class Roll:
    """Keep the log's members up to date. All calls are made in turn."""

    def __init__(self, log: LogStore, key: VerifierKey) -> None:
        """key: the coordinator's own log key, which the policy is for."""
        self._log, self._key = log, key
        self._last: Mapping[str, Member] | None = None

    def settle(self, members: Mapping[str, Member]) -> bool:
        """Write down, durably, what changed since the log last said it, and say whether anything did.

        It costs nothing while nothing changes. Raises `VerificationError` (`rolled-back`) for members that the log
        knows better than the database: one that left, or was there, does not come back by an older database.
        """
        if members == self._last:
            return False
        told, members = members, {name: each for name, each in members.items() if each.status != "left"}
        witnesses = {name: VerifierKey.parse(each.witness) for name, each in members.items() if each.witness}
        policy = network_policy(self._key, COORDINATOR, witnesses)
        digest = hashlib.sha256(policy.encode().encode()).hexdigest()
        keys = {
            name: [identity_key(name, bytes.fromhex(each.identity)), *filter(None, (each.log, each.witness))]
            for name, each in members.items()
        }
        suspended = [name for name, each in members.items() if each.status != "active"]
        past = self._log.of_kinds("member.changed", "key.rotated")
        _check_not_older(past, told)
        entries = membership_entries(past, keys, Quorum(digest, policy.threshold, len(policy.witnesses)), suspended)
        if entries:
            self._log.append(entries)
        self._last = dict(told)
        return bool(entries)


def _check_not_older(past: Sequence[Event], members: Mapping[str, Member]) -> None:
    """Refuse a database that lacks what the log says: rows of members stay, and who left does not come back."""
    last = {str(event.body["member"]): event for event in past if event.kind == "member.changed"}
    for name, event in sorted(last.items()):
        known, left = members.get(name), event.body["action"] == "left"
        if (known is None and not left) or (known is not None and left and known.status != "left"):
            says = f"{name} {event.body['action']} (record {event.seq})"
            raise VerificationError(
                "rolled-back",
                f"the log says that {says}, the database does not know it: an older copy of the database was put back; "
                "restore database and log from one backup, the newest (the old machine's own is the newest of all)",
            )
