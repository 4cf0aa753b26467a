"""The roll of members in the coordinator's log: who was enrolled, suspended or restored, and under which keys.

It enrols nobody: a command writes the database, and whoever runs the coordinator may stop it for that. Theory: the log
says what it last knew, so the process that holds it writes the difference, at its start and whenever it looks again.
"""

import hashlib
from collections.abc import Mapping

from coordinator.log_store import LogStore
from coordinator.store import Member
from privacy.envelope import COORDINATOR
from privacy.log.membership import Quorum, identity_key, membership_entries
from privacy.log.note import VerifierKey
from privacy.log.policy import network_policy

__all__ = ["Roll"]


class Roll:
    """Keep the log's members up to date. All calls are made in turn."""

    def __init__(self, log: LogStore, key: VerifierKey) -> None:
        """key: the coordinator's own log key, which the policy is for."""
        self._log, self._key = log, key
        self._last: Mapping[str, Member] | None = None

    def settle(self, members: Mapping[str, Member]) -> None:
        """Write down, durably, what changed since the log last said it; costs nothing while nothing changes."""
        if members == self._last:
            return
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
        entries = membership_entries(past, keys, Quorum(digest, policy.threshold, len(policy.witnesses)), suspended)
        if entries:
            self._log.append(entries)
        self._last = dict(told)
