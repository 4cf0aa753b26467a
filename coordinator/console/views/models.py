"""The registry of models: lineage, aliases, sign-off by the banks; proposing one, and going back to an earlier one."""

from typing import Any

from starlette.responses import Response

from coordinator.ballot_box import BallotBox
from coordinator.console.visit import Visit, go
from coordinator.model_commands import propose_model
from coordinator.model_view import models_document, shelf_of
from coordinator.registry import Registry
from privacy.errors import InputError
from privacy.log.signoff import ROLES

__all__ = ["detail", "download", "listing", "propose", "withdraw"]


def listing(visit: Visit) -> Response:
    """Draw all models, the newest first."""
    document = _document(visit)
    return visit.page("models.html.j2", models=document["models"][::-1], champion=document["champion"],
                      challenger=document["challenger"])  # fmt: skip


def detail(visit: Visit) -> Response:
    """Draw one model: where it comes from, its figures, and who signed it off."""
    document, sha256 = _document(visit), visit.path["sha256"]
    found = [entry for entry in document["models"] if entry["sha256"] == sha256]
    if not found:
        raise InputError("model-unknown", "there is no such model")
    entry = found[-1]
    free = [role for role in ROLES if role not in entry["aliases"] and "champion" not in entry["aliases"]]
    open_now = {each["role"] for each in entry["proposals"] if each["state"] == "open"}
    return visit.page("model.html.j2", model=entry, roles=[role for role in free if role not in open_now],
                      champion=document["champion"])  # fmt: skip


def propose(visit: Visit) -> Response:
    """Ask the banks to sign a model off; they decide, the console only asks."""
    sha256, role = visit.path["sha256"], visit.form.get("role", "")
    if role not in ROLES:
        raise InputError("proposal-role", "choose champion or challenger")
    proposal = propose_model(visit.desk.config, visit.desk.store, sha256, role)
    visit.note("propose", f"{proposal.model}/{role}")
    return go(f"/models/{proposal.model}")


def withdraw(visit: Visit) -> Response:
    """Take back a proposal that no quorum has signed yet."""
    text = visit.form.get("number", "")
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InputError("proposal-unknown", "there is no such proposal")
    box = BallotBox(visit.desk.store.engine)
    standing = box.one(int(text))
    if standing.proposal.model != visit.path["sha256"] or not box.close(int(text), "withdrawn"):
        raise InputError("proposal-closed", f"proposal {text} is {standing.state}; only an open one is withdrawn")
    visit.note("withdraw", f"proposal-{text}")
    return go(f"/models/{standing.proposal.model}")


def download(visit: Visit) -> Response:
    """Return the model file, checked against its digest; a pending model stays here."""
    sha256 = visit.path["sha256"]
    entries = [entry for entry in _document(visit)["models"] if entry["sha256"] == sha256]
    if not entries or all(entry["state"] == "pending" for entry in entries):
        raise InputError("model-unknown", "there is no released model of that digest")
    content = Registry(visit.desk.config.state.dir / "models").get(sha256)
    visit.note("download-model", sha256)
    headers = {"Content-Disposition": f'attachment; filename="{sha256}.json"'}
    return Response(content, 200, headers, "application/json")


def _document(visit: Visit) -> dict[str, Any]:
    return models_document(shelf_of(visit.desk.config.state.dir, visit.desk.store))
