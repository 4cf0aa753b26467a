"""Write what a bank takes home from a job: figures, its own model, the network's model and its private head.

Nothing here is ever sent. Theory: files appear whole or not at all (written beside, synced, renamed), so a reader or a
crash never sees half a result.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from node import model_store
from node.seat import Seat
from privacy.errors import InputError
from risk.bank import bank_result
from risk.job import JobOutcome
from risk.lineage import figures_bytes
from risk.model import Model
from risk.modelfile import encode_head, encode_model
from risk.ranking import auc
from risk.validation import ValidationOutcome, local_validation

__all__ = ["ending_notice", "write_result", "write_whole"]


def write_result(state: Path, how: str, seat: Seat) -> None:
    """Write the result of a job that ended `how` (`done`, `failed`, `refused`) under the node's state folder.

    `jobs/<job>/result.json` holds this job, `figures.json` beside it the network's figures as everybody derives them,
    `result.json` the last job of each recipe. Models go to `models/`, that of a job with noise that ended early as
    `<recipe>-network-so-far.json`, with a notice in two languages why. They also lie there by digest, and the entry
    names them: `"models": {"network", "own", "partner", "head"}`, as `risk.bank` has them, and `inferred` where rejects
    were inferred. A validation leaves no model, but the network's figures and the same of this bank's own rows. Raises
    `InputError` if `result.json` is not what this wrote.
    """
    manifest = seat.member.manifest
    entry: dict[str, object] = {"job": manifest.job, "recipe": manifest.recipe, "state": how}
    figures: Mapping[str, object] | None = None
    if how == "done":
        figures = _figures(seat.outcome)
    if how == "done" and isinstance(seat.outcome, ValidationOutcome):
        # The network's figures, and beside them the same of this bank's own rows, which stay here.
        entry["validation"] = {"network": figures, "own": local_validation(seat.book)}
    elif how == "done":
        entry |= _trained(state, seat)
    elif seat.spec.private and seat.outcome is not None:
        models = state / "models"
        models.mkdir(mode=0o700, exist_ok=True)
        write_whole(models / f"{manifest.recipe}-network-so-far.json", encode_model(seat.outcome.model))
    if seat.privacy is not None:
        entry |= {"privacy": seat.privacy, "reason": seat.reason}
        if how != "done":
            entry["notice"] = ending_notice(seat)
    folder = state / "jobs" / manifest.job
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if figures is not None:
        write_whole(folder / "figures.json", figures_bytes(figures))
    write_whole(folder / "result.json", _pretty(entry))
    latest = state / "result.json"
    write_whole(latest, _pretty({**_read(latest), manifest.recipe: entry}))


def _trained(state: Path, seat: Seat) -> dict[str, object]:
    """Write the models that a job which is done left at this bank, and return what its result says of them."""
    recipe = seat.member.manifest.recipe
    entry: dict[str, object] = {}
    result = bank_result(seat.book, seat.outcome)
    models = state / "models"
    models.mkdir(mode=0o700, exist_ok=True)
    files = {
        "network": encode_model(seat.outcome.model),
        "own": encode_model(result.own),
        "partner": encode_model(result.partner),
        "head": encode_head(result.head, seat.outcome.model, result.own, result.partner),
    }
    if seat.outcome.inferred is not None:
        second, measured = seat.outcome.inferred
        files["inferred"] = encode_model(second)
        entry["reject_inference"] = {"metrics": measured.to_document(), **_compared(seat, second)}
    for name, content in files.items():
        write_whole(models / f"{recipe}-{name}.json", content)
    entry |= result.to_report()
    entry["models"] = {name: model_store.put(state, content) for name, content in files.items()}
    return entry


def _compared(seat: Seat, second: Model) -> dict[str, float | None]:
    """Return how both network models rank this bank's held-out rows."""
    held = seat.book.table.select(seat.book.rows("holdout"))
    models = {"auc_network": seat.outcome.model, "auc_inferred": second}
    return {name: auc(held.target, model.logit(held)) for name, model in models.items()}


def _figures(outcome: JobOutcome | ValidationOutcome) -> Mapping[str, object] | None:
    if isinstance(outcome, ValidationOutcome):
        return outcome.report
    return outcome.metrics.to_document() if outcome.metrics else None


def ending_notice(seat: Seat) -> dict[str, str]:
    """Return in English and Chinese why a job with noise ended here early and what of it is kept, by language."""
    if seat.code == "budget-cap" and seat.privacy is not None:
        cap, days = seat.privacy["epsilon_cap"], seat.privacy["period_days"]
        english = (
            f"This bank's own cap (epsilon {cap} in {days} days) stopped the job. "
            "The others are told only that a member refused."
        )
        chinese = f"本行自设的隐私预算上限（{days} 天内 ε 不超过 {cap}）使作业停止。其他各方仅获知有成员拒绝。"
    elif seat.code:
        english = f"This bank refused to go on: {seat.reason}."
        chinese = f"本行拒绝继续（原因代码：{seat.code}）。"
    else:
        english = "The job ended elsewhere; if a member's cap was the reason, only that member knows."
        chinese = "作业在其他方终止；若因某成员的预算上限所致，仅该成员知晓。"
    if seat.outcome is None:
        return {"en": f"{english} No model came of it.", "zh": f"{chinese}未形成模型。"}
    return {
        "en": f"{english} The model so far is kept with its privacy statement.",
        "zh": f"{chinese}截至当时的模型连同其隐私声明已保存。",
    }


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
