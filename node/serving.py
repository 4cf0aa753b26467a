"""Which model this bank has put in service: `serving.json` in the state folder, and how a model gets there.

The network proposes, a quorum signs, and each bank decides: nothing enters service but by this bank's own command. This
module scores nobody. Theory: the file names models by the digest of their bytes, so what is in service is never an
opinion; with each stands the digest of its scores of drawn rows, which the scorer computes anew before it answers.
"""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from node import model_store
from privacy.errors import InputError
from risk.curve import STRAIGHT, Curve
from risk.decision import Installed
from risk.dictionary import Dictionary
from risk.model import Model
from risk.modelfile import HeadFile, decode_head, decode_model
from risk.row_scorer import RowScorer, row_scorer
from risk.self_test import agrees_with_batch, score_vector

__all__ = ["InService", "Serving", "chosen", "install", "installed_of", "named", "promoted", "read_serving"]

FILE = "serving.json"
KINDS = ("network", "own", "mixed")
Kind = Literal["network", "own", "mixed"]
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class InService:
    """Name one model in service: its kind and recipe, digests of its files, and the digest of its test vector.

    head: needed for `mixed`; for the others it brings the bank's calibration, None for none.
    """

    kind: Kind
    recipe: str
    network: str | None
    own: str | None
    head: str | None
    vector: str = ""

    @property
    def sha256(self) -> str:
        """Return the digest that answers name: of the head for a mixed model, else of the model."""
        found = {"network": self.network, "own": self.own, "mixed": self.head}[self.kind]
        assert found is not None  # whoever made this asked
        return found

    def to_document(self) -> dict[str, Any]:
        """Return this as plain JSON values."""
        return {
            "kind": self.kind,
            "recipe": self.recipe,
            "network": self.network,
            "own": self.own,
            "head": self.head,
            "vector": self.vector,
        }


@dataclass(frozen=True, slots=True)
class Serving:
    """Hold the champion, which decides, and a challenger that scores in its shadow, or None."""

    champion: InService
    challenger: InService | None = None


def read_serving(state: Path) -> Serving:
    """Return what is in service; raise `InputError` where nothing is, or the file is not what `install` wrote."""
    path = state / FILE
    if not path.exists():
        raise InputError("serving-none", f"{path}: no model is in service; run: creditmesh-node use --chosen RECIPE")
    document = _read_object(path)
    if "champion" not in document or set(document) - {"champion", "challenger"}:
        raise InputError("serving-form", f"{path}: not the file that `creditmesh-node use` writes; run it again")
    other = document.get("challenger")
    return Serving(_in_service(path, document["champion"]), None if other is None else _in_service(path, other))


def install(state: Path, dictionary: Dictionary, serving: Serving) -> Serving:
    """Load and test what is to be in service, then write `serving.json` in one step; return it with its test vectors.

    Raises `InputError` or `VerificationError` where a file is missing, altered or no model of this dictionary.
    """
    from node.result import write_whole

    champion = _tested(state, dictionary, serving.champion)
    challenger = None if serving.challenger is None else _tested(state, dictionary, serving.challenger)
    document = {
        "champion": champion.to_document(),
        "challenger": None if challenger is None else challenger.to_document(),
    }
    write_whole(state / FILE, json.dumps(document, indent=1, sort_keys=True).encode("ascii"))
    return Serving(champion, challenger)


def installed_of(state: Path, dictionary: Dictionary, entry: InService) -> Installed:
    """Return a model in service, ready to score; its test vector must come out as it was written down.

    Raises:
        InputError: a file is missing, or is no model of this dictionary.
        VerificationError: a file was altered (`model-altered`).
    """
    scorer = _load(state, dictionary, entry)
    if entry.vector and score_vector(dictionary.model_fields, scorer) != entry.vector:
        raise InputError("self-test", f"model {entry.sha256}: scores of the test rows are not those written down")
    return Installed(entry.kind, entry.recipe, entry.sha256, scorer)


def named(state: Path, name: str) -> InService:
    """Return the model or head of a digest, of the beginning of one, or of a file, which is then kept by its digest.

    A model of this bank's last jobs comes with the head of its job, for the bank's own calibration of its PDs.
    Raises `InputError` where there is none, or several.
    """
    path = Path(name)
    if re.fullmatch(r"[0-9a-f]{8,64}", name):
        found = [each for each in model_store.names(state) if each.startswith(name)]
        if len(found) != 1:
            raise InputError("model-unknown", f"{len(found)} models begin with {name}; expected one, see models/")
        sha256 = found[0]
    elif path.is_file():
        if path.stat().st_size > 64 * _LIMIT_BYTES:
            raise InputError("model-size", f"{path}: too large, expected a model file")
        content = path.read_bytes()
        _entry("0" * 64, content)
        sha256 = model_store.put(state, content)
    else:
        raise InputError("model-unknown", f"{name[:200]}: neither a model's digest (8 digits or more) nor a file")
    return _calibrated(state, _entry(sha256, model_store.get(state, sha256)))


def chosen(state: Path, recipe: str) -> InService:
    """Return what this bank's last job of a recipe chose by its own rows: `network`, `own` or `mixed`."""
    path = state / "result.json"
    entry = _read_object(path).get(recipe) if path.exists() else None
    if not isinstance(entry, dict) or not isinstance(entry.get("models"), dict):
        raise InputError("chosen-none", f"{path}: no finished job of recipe '{recipe[:64]}' that kept its models")
    kind, models = entry.get("chosen"), entry["models"]
    if kind not in KINDS or not all(_is_digest(models.get(name)) for name in ("network", "own", "head")):
        raise InputError("chosen-form", f"{path}: not the file that this node writes; move it away")
    wanted = _entry(models["head"], model_store.get(state, models["head"]))
    own = wanted.own if kind == "mixed" else models["own"]
    label = decode_model(model_store.get(state, models["own" if kind == "own" else "network"])).recipe
    return InService(kind, label, wanted.network, own, models["head"])


def promoted(state: Path) -> Serving:
    """Return the champion and challenger that a quorum of banks signed (`promoted.json`, checked by this node)."""
    path = state / "promoted.json"
    document = _read_object(path) if path.exists() else {}
    champion, challenger = document.get("champion"), document.get("challenger")
    if not _is_digest(champion):
        raise InputError("promoted-none", f"{path}: no model was promoted yet; see creditmesh-node models")
    other = named(state, str(challenger)) if _is_digest(challenger) else None
    return Serving(named(state, str(champion)), other)


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _entry(sha256: str, content: bytes) -> InService:
    if b'"creditmesh-head/' in content[:4096]:
        head = decode_head(content)
        return InService("mixed", "head", head.network, head.partner, sha256)
    model = decode_model(content)
    return InService("network", model.recipe, sha256, None, None)


def _calibrated(state: Path, entry: InService) -> InService:
    """Return a model in service with the head of the job that it came from, where this bank's results know it."""
    path = state / "result.json"
    results = _read_object(path).values() if entry.kind == "network" and path.exists() else ()
    for models in (result.get("models") for result in results if isinstance(result, dict)):
        if not isinstance(models, dict) or not _is_digest(models.get("head")):
            continue
        for kind in ("network", "own"):
            if models.get(kind) == entry.sha256:
                return InService(kind, entry.recipe, models["network"], models["own"], models["head"])
    return entry


def _load(state: Path, dictionary: Dictionary, entry: InService) -> RowScorer:
    fields = dictionary.model_fields
    head = None if entry.head is None else decode_head(model_store.get(state, entry.head))
    if entry.kind == "mixed":
        assert head is not None  # the entry's digest is the head's
        network, partner = (_model(state, dictionary, each) for each in (head.network, head.partner))
        return row_scorer(fields, network, (head.head, partner))
    model = _model(state, dictionary, entry.sha256)
    scorer = row_scorer(fields, model, curve=STRAIGHT if head is None else _curve(entry, head))
    if not agrees_with_batch(fields, scorer, model):
        raise InputError("self-test", f"model {entry.sha256}: rows score otherwise alone than together")
    return scorer


def _curve(entry: InService, head: HeadFile) -> Curve:
    """Return the head's calibration of the model, which it has to be for."""
    expected = head.network if entry.kind == "network" else head.own
    if expected != entry.sha256:
        raise InputError("serving-head", f"head {entry.head}: was made for another model than {entry.sha256}")
    return head.head.curves.of(entry.kind)


def _model(state: Path, dictionary: Dictionary, sha256: str) -> Model:
    """Return a model, which has to be of this dictionary: another order of levels would change scores unseen."""
    model = decode_model(model_store.get(state, sha256))
    if model.dictionary != dictionary.digest():
        raise InputError(
            "model-dictionary", f"model {sha256}: was trained on another data dictionary than [source] schema"
        )
    return model


def _tested(state: Path, dictionary: Dictionary, entry: InService) -> InService:
    vector = score_vector(dictionary.model_fields, _load(state, dictionary, entry))
    return replace(entry, vector=vector)


def _in_service(path: Path, document: Any) -> InService:
    keys = {"kind", "recipe", "network", "own", "head", "vector"}
    fine = isinstance(document, dict) and keys - {"vector"} <= set(document) <= keys and document["kind"] in KINDS
    fine = fine and all(document[key] is None or _is_digest(document[key]) for key in ("network", "own", "head"))
    fine = fine and isinstance(document["recipe"], str) and isinstance(document.get("vector", ""), str)
    if not fine or document[{"network": "network", "own": "own", "mixed": "head"}[document["kind"]]] is None:
        raise InputError("serving-form", f"{path}: not the file that `creditmesh-node use` writes; run it again")
    return InService(**document)


def _read_object(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        content = stream.read(_LIMIT_BYTES + 1)
    try:
        document = json.loads(content) if len(content) <= _LIMIT_BYTES else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InputError("json-object", f"{path}: expected one JSON object of at most 1 MiB")
    return document
