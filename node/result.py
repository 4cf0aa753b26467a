"""Write what a bank takes home from a job: figures, its own model, the network's model and its private head.

Nothing here is ever sent. Theory: files appear whole or not at all (written beside, synced, renamed), so a reader or a
crash never sees half a result.
"""

import json
import os
from pathlib import Path

from node.seat import Seat
from privacy.errors import InputError
from risk.bank import bank_result
from risk.modelfile import canonical_json, encode_model

__all__ = ["write_result", "write_whole"]


def write_result(state: Path, how: str, seat: Seat) -> None:
    """Write the result of a job that ended `how` (`done`, `failed`, `refused`) under the node's state folder.

    `jobs/<job>/result.json` holds this job, `result.json` the last one of each recipe; models go to `models/`, that of
    a job with noise that ended early as `<recipe>-network-so-far.json`. Raises `InputError` if `result.json` is not
    what this module wrote.
    """
    manifest = seat.member.manifest
    entry: dict[str, object] = {"job": manifest.job, "recipe": manifest.recipe, "state": how}
    if how == "done":
        result = bank_result(seat.book, seat.outcome)
        models = state / "models"
        models.mkdir(mode=0o700, exist_ok=True)
        write_whole(models / f"{manifest.recipe}-own.json", encode_model(result.own))
        write_whole(models / f"{manifest.recipe}-network.json", encode_model(seat.outcome.model))
        write_whole(models / f"{manifest.recipe}-head.json", canonical_json(result.head.to_document()))
        entry |= result.to_report()
    elif seat.spec.private and seat.outcome is not None:
        models = state / "models"
        models.mkdir(mode=0o700, exist_ok=True)
        write_whole(models / f"{manifest.recipe}-network-so-far.json", encode_model(seat.outcome.model))
    if seat.privacy is not None:
        entry |= {"privacy": seat.privacy, "reason": seat.reason}
    folder = state / "jobs" / manifest.job
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(folder / "result.json", _pretty(entry))
    latest = state / "result.json"
    write_whole(latest, _pretty({**_read(latest), manifest.recipe: entry}))


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file at `path` by `content`, durably and in one step."""
    draft = path.with_suffix(".draft")
    with draft.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)


def _read(path: Path) -> dict[str, object]:
    try:
        document = json.loads(path.read_text("utf-8")) if path.exists() else {}
        if not isinstance(document, dict):
            raise ValueError
    except ValueError:
        raise InputError("result-malformed", f"{path}: not the file this node wrote; move it away") from None
    return document


def _pretty(document: dict[str, object]) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True).encode("utf-8")
