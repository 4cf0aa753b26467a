"""The model file: canonical JSON, versioned, decoded strictly.

It reads and writes bytes, not files. Theory: keys sorted, no spaces, ASCII; the same model always has the same
bytes, so its SHA-256 names it.
"""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Any

from risk.catalogue import recipe
from risk.errors import InputError
from risk.head import Head, head_from_document
from risk.model import Model
from risk.reference import Reference, reference_from_document
from risk.tower_model import model_from_document as towers_from_document

__all__ = [
    "FORMAT",
    "HEAD_FORMAT",
    "REFERENCE_FORMAT",
    "HeadFile",
    "canonical_json",
    "decode_head",
    "decode_model",
    "encode_head",
    "encode_model",
    "model_digest",
    "read_json",
    "with_reference",
]

FORMAT = "creditmesh-model/1"
REFERENCE_FORMAT = "creditmesh-model/2"
"""As the first, with the reference that drift is measured against."""
HEAD_FORMAT = "creditmesh-head/2"
MOST_BYTES = 64 * 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")


def encode_model(model: Model) -> bytes:
    """Return the model file of a model: the second format where a reference was frozen with it, else the first."""
    document = {"model": model.to_document(), "recipe": model.recipe}
    if model.reference is None:
        return canonical_json({"format": FORMAT, **document})
    return canonical_json({"format": REFERENCE_FORMAT, "reference": model.reference.to_document(), **document})


def decode_model(raw: bytes) -> Model:
    """Return the model of a model file; raise `InputError` where the bytes are none."""
    document = read_json(raw, "model file")
    if document.get("format") == REFERENCE_FORMAT and "reference" in document:
        reference = reference_from_document(document.pop("reference"))
        return with_reference(_decode({**document, "format": FORMAT}), reference)
    return _decode(document)


def with_reference(model: Model, reference: Reference) -> Model:
    """Return the model with what later rows are held against."""
    found: Model = replace(model, reference=reference)  # type: ignore[type-var]
    return found


def _decode(document: dict[str, Any]) -> Model:
    if sorted(document) != ["format", "model", "recipe"] or document["format"] != FORMAT:
        raise InputError(
            "model-format",
            f"model file: expected format {FORMAT} with the keys format, model, recipe, or {REFERENCE_FORMAT} with "
            "reference besides",
        )
    name, _, version = str(document["recipe"]).partition("/")
    if name == "towers" and version == "1" and isinstance(document["model"], dict):
        # Whoever only scores needs no torch, which the recipe that trains towers does.
        return towers_from_document("towers/1", document["model"])
    found = recipe(name)
    if version != str(found.version) or not isinstance(document["model"], dict):
        raise InputError("model-version", f"model file: recipe '{name}' is installed in version {found.version}")
    return found.decode_model(document["model"])


def model_digest(model: Model) -> str:
    """Return the SHA-256, in hex, of the model's file."""
    return hashlib.sha256(encode_model(model)).hexdigest()


@dataclass(frozen=True, slots=True)
class HeadFile:
    """Hold a bank's head and the digests of the models it is for: its mix takes `network` and `partner`.

    own: the bank's own model of the job's recipe, whose calibration the head has too; often the partner itself.
    """

    head: Head
    network: str
    own: str
    partner: str


def encode_head(head: Head, network: Model, own: Model, partner: Model | None = None) -> bytes:
    """Return the file of a bank's head, which names its models by their digests; no partner: `own` is it."""
    models = {"network": model_digest(network), "own": model_digest(own), "partner": model_digest(partner or own)}
    return canonical_json({"format": HEAD_FORMAT, "head": head.to_document(), "models": models})


def decode_head(raw: bytes) -> HeadFile:
    """Return the head of a head file; raise `InputError` where the bytes are none."""
    document = read_json(raw, "head file")
    if sorted(document) != ["format", "head", "models"] or document["format"] != HEAD_FORMAT:
        raise InputError("head-format", f"head file: expected format {HEAD_FORMAT} with the keys format, head, models")
    models, head = document["models"], document["head"]
    if not isinstance(head, dict) or not isinstance(models, dict) or sorted(models) != ["network", "own", "partner"]:
        raise InputError("head-models", "head file: 'head' must be a table, 'models' have network, own and partner")
    if not all(isinstance(digest, str) and _DIGEST.fullmatch(digest) for digest in models.values()):
        raise InputError("head-models", "head file: models are named by the 64 hex digits of their digests")
    return HeadFile(head_from_document(head), **models)


def canonical_json(document: Any) -> bytes:
    """Return canonical JSON: sorted keys, no spaces, ASCII, finite numbers."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def read_json(raw: bytes, what: str) -> dict[str, Any]:
    """Return the JSON object in these bytes; a repeated key, NaN, or anything but an object is refused."""
    if len(raw) > MOST_BYTES:
        raise InputError("json-size", f"{what}: {len(raw)} bytes, at most {MOST_BYTES} are read")
    try:
        document = json.loads(raw, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError("json-broken", f"{what}: not valid JSON ({type(error).__name__})") from None
    if not isinstance(document, dict):
        raise InputError("json-object", f"{what}: expected one JSON object")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("repeated key")
    return document


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"constant {name}")
