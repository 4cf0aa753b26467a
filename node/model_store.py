"""Keep every model file of this bank under the digest of its bytes: the network's, its own, and its heads.

This module reads no model: bytes in, a name out. Theory: content addressing: the name is the SHA-256 of the bytes, so a
file is never overwritten by another, writing it twice is harmless, and a reader checks what it got against what it
asked for. The coordinator has a store of its own: the shells never import each other.
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from privacy.errors import InputError, VerificationError

__all__ = ["get", "names", "path_of", "put"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LIMIT_BYTES = 64 * 1024 * 1024


def path_of(state: Path, sha256: str) -> Path:
    """Return where the model file of that digest (64 hex digits) lies or would lie under the state folder.

    Raises `InputError` for anything but 64 hex digits.
    """
    if not _SHA256.fullmatch(sha256):
        raise InputError("model-digest", "a model is named by the 64 hex digits of its SHA-256")
    return state / "models" / f"{sha256}.json"


def put(state: Path, content: bytes) -> str:
    """Store `content` durably and return its SHA-256 in hex; what is already there whole is left alone."""
    sha256 = hashlib.sha256(content).hexdigest()
    target = path_of(state, sha256)
    if target.exists() and target.read_bytes() == content:
        return sha256
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A temporary name until the bytes are on disk: a reader sees a whole file or none.
    descriptor, draft = tempfile.mkstemp(dir=target.parent, suffix=".draft")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(draft).replace(target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return sha256


def get(state: Path, sha256: str) -> bytes:
    """Return the bytes of that digest.

    Raises `InputError` if there are none and `VerificationError` if the file does not have that digest.
    """
    try:
        with path_of(state, sha256).open("rb") as stream:
            content = stream.read(_LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        raise InputError("model-unknown", f"this bank holds no model {sha256}; see `creditmesh-node models`") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise VerificationError("model-altered", f"the model file {sha256} was altered: its bytes have another digest")
    return content


def names(state: Path) -> list[str]:
    """Return the digests of all model files of this bank, in order."""
    return sorted(path.stem for path in (state / "models").glob("*.json") if _SHA256.fullmatch(path.stem))
