"""Keep released model files under the digest of their bytes.

This module reads no model: bytes in, a name out. Theory: content addressing: the name is the SHA-256 of the bytes, so a
file is never overwritten by another, writing it twice is harmless, and a reader checks what it got against what it
asked for.
"""

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from privacy.errors import InputError, VerificationError

__all__ = ["Registry"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Registry:
    """The folder `models` of the coordinator's state; each file is `<sha256>.json`."""

    folder: Path

    def path(self, sha256: str) -> Path:
        """Return where the file of that digest (64 hex digits) lies or would lie."""
        if not _SHA256.fullmatch(sha256):
            raise InputError("model-digest", "a model is named by the 64 hex digits of its SHA-256")
        return self.folder / f"{sha256}.json"

    def put(self, content: bytes) -> str:
        """Store `content` durably and return its SHA-256 in hex; what is already there is left alone."""
        sha256 = hashlib.sha256(content).hexdigest()
        target = self.path(sha256)
        if target.exists():
            return sha256
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A temporary name until the bytes are on disk: a reader sees a whole file or none.
        descriptor, draft = tempfile.mkstemp(dir=self.folder, suffix=".draft")
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

    def get(self, sha256: str) -> bytes:
        """Return the bytes of that digest.

        Raises `InputError` if there are none and `VerificationError` if the file does not have that digest.
        """
        try:
            content = self.path(sha256).read_bytes()
        except FileNotFoundError as error:
            raise InputError("model-unknown", f"there is no model {sha256}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise VerificationError(
                "model-altered", f"the model file {sha256} was altered: its bytes have another digest"
            )
        return content
