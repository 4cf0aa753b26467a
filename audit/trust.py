"""What the auditor trusts between two runs: the largest head seen of every log, in one small file.

A log that later shows fewer records was rolled back; one that shows another root at that size is a fork. The file is
the auditor's own, so it is read strictly but needs no signature. It is replaced only after a verification in which
nothing failed.
"""

import os
from pathlib import Path

from privacy.errors import InputError, VerificationError
from privacy.log.canonical import decode_object, encode
from privacy.log.verify import KnownHead

__all__ = ["TrustFile"]

_LIMIT_BYTES = 1 << 20


class TrustFile:
    """The largest head seen of every log, by origin."""

    def __init__(self, path: Path) -> None:
        """Read the file; one that does not exist yet is an empty trust.

        Raises:
            InputError: `trust-unreadable`.
        """
        self._path = path
        self._heads: dict[str, tuple[int, str]] = {}
        try:
            if path.exists():
                document = decode_object(path.read_bytes(), _LIMIT_BYTES, str(path))
                self._heads = {origin: _head(value) for origin, value in document.items()}
        except (OSError, VerificationError, ValueError) as error:
            raise InputError("trust-unreadable", f"{path}: is no trust state of this tool") from error

    def known(self, origin: str) -> tuple[KnownHead, ...]:
        """Return the head seen of this log, if any."""
        if origin not in self._heads:
            return ()
        size, root = self._heads[origin]
        return (KnownHead("an earlier verification", size, bytes.fromhex(root)),)

    def learn(self, origin: str, size: int, root: bytes) -> None:
        """Keep a head that was just verified."""
        self._heads[origin] = (size, root.hex())

    def save(self) -> None:
        """Replace the file in one step."""
        content = {origin: {"size": size, "root": root} for origin, (size, root) in self._heads.items()}
        draft = self._path.with_name(self._path.name + ".draft")
        try:
            draft.write_bytes(encode(content))
            os.replace(draft, self._path)
        except OSError as error:
            raise InputError("trust-unwritable", f"{self._path}: cannot be written ({error.strerror})") from error


def _head(value: object) -> tuple[int, str]:
    if not isinstance(value, dict) or set(value) != {"size", "root"}:
        raise ValueError("not a head")
    size, root = value["size"], value["root"]
    if type(size) is not int or size < 0 or not isinstance(root, str) or len(bytes.fromhex(root)) != 32:
        raise ValueError("not a head")
    return size, root
