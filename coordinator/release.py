"""Release a model once enough banks cosigned the log of the job that made it.

It gathers no cosignature (`coordinator.relay` does) and judges no model. Theory: before the quorum, the coordinator
could still show somebody another history of how the model came to be; so until then the model is pending, which
`outcome.json`, the database and the log all say, and a release is itself an event.
"""

import hashlib
import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from coordinator.ballot_box import BallotBox
from coordinator.log_store import LogStore
from coordinator.outcome import write_whole
from coordinator.relay import Quorum
from coordinator.store import Store
from privacy.errors import InputError
from privacy.log.record import Entry

__all__ = ["Releases"]


class Releases:
    """Write releases down; safe to call from any thread."""

    def __init__(self, state: Path, store: Store, log: LogStore) -> None:
        """state: the coordinator's state folder."""
        self._state = state
        self._store = store
        self._log = log
        self._ends: dict[str, int] = {}

    def ended(self, job: str, size: int) -> None:
        """Note how many records the log had when a job ended: a quorum must reach that far."""
        self._ends[job] = size

    def release_pending(self, quorum: Quorum) -> list[str]:
        """Release every pending model whose job's records the quorum covers; return the jobs.

        Jobs of an earlier process are covered by any quorum that this one has gathered.
        """
        released = []
        for model in self._store.pending_models():
            if self._ends.get(model.job, 0) > quorum.size or quorum.size == 0:
                continue
            path = self._state / "jobs" / model.job / "outcome.json"
            document = _read(path)
            champion = BallotBox(self._store.engine).in_force("champion")
            parent = champion.proposal.model if champion else ""
            self._log.append([_entry(model.sha256, document, quorum, parent)])
            self._store.release_model(model.sha256, model.job)
            write_whole(path, json.dumps({**document, "released": True}, indent=1, sort_keys=True).encode("utf-8"))
            self._ends.pop(model.job, None)
            released.append(model.job)
        return released


def _entry(sha256: str, document: Mapping[str, Any], quorum: Quorum, parent: str) -> Entry:
    metrics = document.get("metrics") or {}
    figures = {name: value for name, value in metrics.items() if isinstance(value, float) and isfinite(value)}
    body = {
        "version": f"{document['recipe']}/{document['job']}",
        "sha256": sha256,
        "jobs": [document["job"]],
        "metrics": [{"name": name, "value": f"{value:.6f}"} for name, value in sorted(figures.items())][:64],
        "validation_sha256": hashlib.sha256(json.dumps(metrics, sort_keys=True).encode("utf-8")).hexdigest(),
        "approvers": list(quorum.cosigners)[:64],
        "quorum_size": quorum.size,
    }
    # The champion that it would follow; the one that releases it does not decide that it does.
    lineage = {"parent": parent} if parent and parent != sha256 else {}
    return Entry("model.released", body | lineage, job=document["job"])


def _read(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError("outcome-unreadable", f"{path}: cannot be read, so its model cannot be released") from error
    return document
