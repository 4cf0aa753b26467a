"""Write how a job ended: its figures, and its model into the registry.

It computes no figure of its own beyond sums and medians. Theory: `outcome.json` appears whole once the job is in its
final state, so whoever finds it knows that nothing more will change.
"""

import json
import os
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from coordinator.registry import Registry
from coordinator.session import JobSession
from coordinator.store import ModelRecord, Store
from risk.modelfile import encode_model
from risk.validation import ValidationOutcome

__all__ = ["Ending", "write_outcome", "write_whole"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended: state `done` or `failed`, the reason, and who was left out of it and why (codes)."""

    job: str
    recipe: str
    state: str
    reason: str
    seconds: float
    left_out: Mapping[str, str] = field(default_factory=dict)


def write_outcome(state: Path, store: Store, ending: Ending, session: JobSession | None, learned: Any) -> None:
    """Write `jobs/<job>/outcome.json` and the `manifest.json` beside it; a job that is done gets its model registered.

    learned: the recipe's `JobOutcome`, the report of a validation, which leaves no model, or None if the job failed.
    What a job with noise had learned when it ended early is kept in the registry too, and stays unreleased.
    """
    document: dict[str, Any] = {**asdict(ending), "members": [], "model_sha256": None, "metrics": None,
                                "released": False}  # fmt: skip
    if session is not None:
        tally = session.tally
        document |= {
            "members": list(session.manifest.roster.members),
            "rounds": len(session.aggregator.opened),
            "sums": len(session.aggregator.opened),
            "round_ms_median": statistics.median(tally.round_ms) if tally.round_ms else None,
            "smallest_cohort": tally.smallest_cohort,
            "dropouts": tally.dropouts,
            "upload_bytes": tally.upload_bytes,
            "manifest_sha256": session.manifest.sha256().hex(),
            "dp": session.manifest.dp.document() if session.manifest.dp else None,
        }
    if isinstance(learned, ValidationOutcome):
        document["validation"] = dict(learned.report)
    elif learned is not None:
        content = encode_model(learned.model)
        registry = Registry(state / "models")
        digest = registry.put(content)
        if ending.state == "done":
            store.add_model(ModelRecord(digest, ending.job, str(registry.path(digest).relative_to(state))))
            # A process that died between the release and the job's last state has released it already.
            document["released"] = all(model.released is not None for model in store.models(ending.job))
        document |= {"model_sha256": digest, "metrics": learned.metrics.to_document() if learned.metrics else None}
        if learned.inferred is not None:
            second, measured = learned.inferred
            # Beside the accepts-only model, for a validation to look at by digest; it is not what the job releases.
            inferred = {"model_sha256": registry.put(encode_model(second)), "metrics": measured.to_document()}
            document["reject_inference"] = inferred
    folder = state / "jobs" / ending.job
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if session is not None:
        write_whole(folder / "manifest.json", session.manifest.encode())
    write_whole(folder / "outcome.json", json.dumps(document, indent=1, sort_keys=True).encode("utf-8"))


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file at `path` by `content`, durably and in one step."""
    draft = path.with_suffix(".draft")
    with draft.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
