"""Gather what this bank knows of one model, for its card and its evidence pack.

It writes nothing and sends nothing. Theory: the same records as the coordinator's, from the bank's own folder, and
beside them the bank's private results, which is why card and pack made here are the bank's own business.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from node import model_store
from node.archive import Archive
from node.config import NodeConfig
from node.dataset import read_dictionary
from node.model_view import find_model, models_document, moment
from node.signoff_store import SignoffStore
from privacy.errors import InputError
from privacy.log.statement import open_envelope
from risk.dictionary import Dictionary
from risk.dossier import Dossier
from risk.lineage import window_of

__all__ = ["dossier_of"]


def dossier_of(settings: NodeConfig, name: str) -> Dossier:
    """Return the records of a model; name: a digest, its first digits, or an alias. Raises `InputError`."""
    state = settings.state.dir
    entry = find_model(models_document(state), name)
    lineage, sha256 = entry["lineage"], str(entry["sha256"])
    reports = _validations(state, sha256)
    return Dossier(
        sha256=sha256,
        file=model_store.get(state, sha256),
        lineage=None if lineage is None else _traced(lineage, reports),
        metrics=entry["metrics"],
        dictionary=_dictionary(settings, lineage),
        validations=tuple((job, document["network"]) for job, document in reports),
        proposals=tuple(_voices(state, each) for each in entry["proposals"]),
        aliases=tuple(entry["aliases"]),
        released="here",
        own=_own(entry, reports),
    )


def _validations(state: Path, sha256: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return (job, {"network": report, "own": report}) of the validations of a model that this bank took part in."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for path in sorted((state / "jobs").glob("*/result.json")):
        try:
            result = json.loads(path.read_bytes())
            document = result.get("validation")
            manifest = Archive(state, "").read(path.parent.name).manifest
        except (OSError, ValueError, AttributeError, InputError):
            continue
        if isinstance(document, dict) and sha256 in map(str, manifest.parameters.values()):
            found.append((manifest.job, document))
    return found


def _traced(lineage: Mapping[str, Any], reports: list[tuple[str, Mapping[str, Any]]]) -> Mapping[str, Any]:
    """Return a lineage with the validations that this bank took part in, and the months that they found."""
    window = window_of(document["network"] for _, document in reports)
    months = None if window is None else {"first": window[0], "last": window[1]}
    return {**lineage, "validations": [job for job, _ in reports], "window": months}


def _dictionary(settings: NodeConfig, lineage: Mapping[str, Any] | None) -> Dictionary | None:
    """Return the bank's data dictionary if the model was trained with it."""
    dictionary = read_dictionary(settings.source.schema_file)
    return dictionary if lineage and lineage["dictionary_sha256"] == dictionary.digest() else None


def _own(entry: Mapping[str, Any], reports: list[tuple[str, Mapping[str, Any]]]) -> Mapping[str, Any] | None:
    if entry["own"] is None:
        return None
    return {**entry["own"], "validations": {job: document["own"] for job, document in reports}}


def _voices(state: Path, proposal: Mapping[str, Any]) -> dict[str, Any]:
    """Return a proposal with the votes that this bank has seen: all of a promotion, else its own."""
    store = SignoffStore(state)
    seen = [each.ballots for each in store.promotions() if each.proposal.sha256() == proposal["sha256"]]
    own = store.ballot(str(proposal["sha256"]))
    ballots = seen[0] if seen else tuple(each for each in (own,) if each)
    voices: dict[str, list[dict[str, Any]]] = {"approve": [], "reject": []}
    for raw in ballots:
        said: dict[str, Any] = dict(open_envelope(raw)[0].predicate)
        voice = {"member": said["member"], "who": said["who"], "signed": moment(int(said["signed_us"]))}
        voices[str(said["decision"])].append(voice | ({"reason": said["reason"]} if said["reason"] else {}))
    return {**proposal, "approved": voices["approve"], "rejected": voices["reject"]}
