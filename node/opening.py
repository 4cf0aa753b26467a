"""What a node writes into its log as it starts, beside `log.opened`: its rows, its peers' keys, and its commands' use.

It decides nothing. Theory: each of these is written when it differs from what the log said last, so the log alone tells
which rows and which keys were in force at any record; a node that is restarted unchanged writes none of them.
"""

import hashlib
from dataclasses import dataclass

from node.config import SourceSettings
from node.keys_file import Peers
from node.record_store import RecordStore
from privacy.log.membership import Quorum, identity_key, membership_entries
from privacy.log.policy import network_policy
from privacy.log.record import Entry

__all__ = ["Rows", "opening_entries", "peer_entries"]

COORDINATOR = "coordinator"


@dataclass(frozen=True, slots=True)
class Rows:
    """The dataset in use: its pseudonym, the digest of its dictionary (64 hex digits), and what the bank says of it.

    unit: whom jobs with noise protect on it: `borrower` where the table says whose each row is, else `record`.
    """

    dataset: str
    schema_sha256: str
    source: SourceSettings
    unit: str

    def entry(self) -> Entry:
        """Return the `dataset.registered` event."""
        body = {
            "dataset": self.dataset,
            "schema_sha256": self.schema_sha256,
            "class": self.source.classified,
            "basis": self.source.basis,
            "unit_of_privacy": self.unit,
            "retention_until": self.source.retention_until,
        }
        return Entry("dataset.registered", body)


def opening_entries(store: RecordStore, rows: Rows, peers: Peers, own: str) -> list[Entry]:
    """Return what has changed since the log last said it. own: this member's id, whose witness does not count."""
    dataset = rows.entry()
    said = [event.body for event in store.of_kinds("dataset.registered") if event.body["dataset"] == rows.dataset]
    changed = peer_entries(store, peers, own)
    return [*([dataset] if not said or dict(said[-1]) != dict(dataset.body) else []), *changed]


def peer_entries(store: RecordStore, peers: Peers, own: str) -> list[Entry]:
    """Return which members came, left or have other keys since the log last said it."""
    policy = network_policy(peers.logs[own], own, peers.witnesses)
    quorum = Quorum(hashlib.sha256(policy.encode().encode()).hexdigest(), policy.threshold, len(policy.witnesses))
    current = {
        member: [
            identity_key(member, identity),
            *(keys[member].encode() for keys in (peers.logs, peers.witnesses) if member in keys),
        ]
        for member, identity in peers.members.items()
    }
    current[COORDINATOR] = [identity_key(COORDINATOR, peers.coordinator), peers.coordinator_log]
    for name, key in peers.witnesses.items():
        current.setdefault(name, [key.encode()])
    return membership_entries(store.of_kinds("member.changed", "key.rotated"), current, quorum)
