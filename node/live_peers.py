"""Those who count as peers in the running node; they change without a restart when a person here compared their keys.

It believes nobody by itself (`node.pin_book`). Theory: three parts of a node look at peers: jobs at identities,
cosigning at identities and at the witnesses of this bank's log, the witness at the others' logs. All are changed
together, on the event loop, after the log has recorded who came, left or changed keys; a job that runs keeps the keys
of its manifest.
"""

import asyncio
import json
from pathlib import Path
from typing import Protocol

from node.keys_file import Peers
from node.opening import peer_entries
from node.record_store import RecordStore
from node.witness_store import WitnessStore
from privacy.envelope import COORDINATOR
from privacy.log.note import VerifierKey
from privacy.log.policy import Policy, network_policy

__all__ = ["LivePeers", "witnessed_logs"]


class Asker(Protocol):
    """The part of cosigning that is used here."""

    def adopt(self, policy: Policy) -> None:
        """Ask these witnesses from now on."""


class LivePeers:
    """Hold what is shared with the running parts: `members`, `identities` and `unverified` are changed in place."""

    def __init__(self, path: Path, peers: Peers, own: str, verified_only: bool) -> None:
        """path: of members.json. verified_only: whether keys that nobody compared count for nothing."""
        self._path, self._own, self._verified_only = path, own, verified_only
        self.members: dict[str, bytes] = {}
        self.identities: dict[str, bytes] = {COORDINATOR: peers.coordinator}
        self.unverified: set[str] = set()
        self.peers = self._set(peers)

    async def adopt(self, peers: Peers, store: RecordStore, witness: WitnessStore, asker: Asker) -> None:
        """Let these peers count from now on, as far as the permit allows."""
        fresh = peers.without_unverified() if self._verified_only else peers
        entries = await asyncio.to_thread(peer_entries, store, fresh, self._own)
        if entries:
            await asyncio.to_thread(store.append, entries)
        self.peers = self._set(peers)
        witness.adopt(witnessed_logs(self.peers, self._own))
        asker.adopt(network_policy(self.peers.logs[self._own], self._own, self.peers.witnesses))

    def _set(self, peers: Peers) -> Peers:
        counted = peers.without_unverified() if self._verified_only else peers
        self.members.clear()
        self.members.update(counted.members)
        self.identities.clear()
        self.identities.update({**counted.members, COORDINATOR: peers.coordinator})
        self.unverified.clear()
        self.unverified.update((set(peers.members) | self._waiting()) - set(counted.members))
        return counted

    def _waiting(self) -> set[str]:
        try:
            return set(json.loads(self._path.read_text("utf-8")).get("waiting", {}))
        except (OSError, ValueError, AttributeError):
            return set()


def witnessed_logs(peers: Peers, own: str) -> dict[str, VerifierKey]:
    """Return the logs that this bank witnesses, by origin: the other banks' and the coordinator's."""
    coordinator = VerifierKey.parse(peers.coordinator_log)
    others = {key.name: key for name, key in peers.logs.items() if name != own}
    return {**others, coordinator.name: coordinator}
