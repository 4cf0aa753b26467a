"""What the auditor trusts between two runs: the largest head seen of every log, in one small file.

A log that later shows fewer records was rolled back; one that shows another root at that size is a fork. Heads are
kept by the log's verifier key, which holds its origin: another key under the same origin is another log, and said.
The file is the auditor's own, so it is read strictly but needs no signature. It is replaced only after a verification
in which nothing failed; what another run learned in the meantime is kept.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from privacy.errors import InputError, VerificationError
from privacy.log.canonical import decode_object, encode
from privacy.log.verify import KnownHead

__all__ = ["TrustFile", "default_trust_path"]

_LIMIT_BYTES = 1 << 20


def default_trust_path(environment: Mapping[str, str]) -> Path | None:
    """Return where heads are kept unless the auditor says otherwise, None when there is no home to keep them in.

    `$XDG_STATE_HOME/creditmesh-audit/heads.json`, by default below `~/.local/state` (XDG Base Directory).
    """
    state, home = environment.get("XDG_STATE_HOME", ""), environment.get("HOME", "")
    if state and Path(state).is_absolute():
        return Path(state) / "creditmesh-audit" / "heads.json"
    return Path(home) / ".local" / "state" / "creditmesh-audit" / "heads.json" if home else None


class TrustFile:
    """The largest head seen of every log, by its verifier key."""

    def __init__(self, path: Path) -> None:
        """Read the file; one that does not exist yet is an empty trust.

        Raises:
            InputError: `trust-unreadable`.
        """
        self.path = path
        self._heads = _read(path)
        self._learned: dict[str, tuple[int, str]] = {}

    def known(self, vkey: str) -> tuple[KnownHead, ...]:
        """Return the head seen of this log, if any."""
        if vkey not in self._heads:
            return ()
        size, root = self._heads[vkey]
        return (KnownHead("an earlier verification", size, bytes.fromhex(root)),)

    def other_keys(self, vkey: str) -> list[str]:
        """Return the keys under which logs of the same origin were seen before."""
        origin = vkey.split("+", 1)[0] + "+"
        return sorted(each for each in self._heads if each.startswith(origin) and each != vkey)

    def learn(self, vkey: str, size: int, root: bytes) -> None:
        """Keep a head that was just verified."""
        self._heads[vkey] = self._learned[vkey] = (size, root.hex())

    def save(self) -> None:
        """Replace the file in one step, with what other runs learned since it was read.

        Raises:
            InputError: `trust-unwritable` or `trust-unreadable`.
        """
        heads = _read(self.path)
        for vkey, head in self._learned.items():
            heads[vkey] = max(head, heads.get(vkey, head), key=lambda each: each[0])
        content = {vkey: {"size": size, "root": root} for vkey, (size, root) in heads.items()}
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.draft")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_bytes(encode(content))
            os.replace(draft, self.path)
        except OSError as error:
            raise InputError("trust-unwritable", f"{self.path}: cannot be written ({error.strerror})") from error


def _read(path: Path) -> dict[str, tuple[int, str]]:
    try:
        if not path.exists():
            return {}
        document = decode_object(path.read_bytes(), _LIMIT_BYTES, str(path))
        return {vkey: _head(value) for vkey, value in document.items()}
    except (OSError, VerificationError, ValueError) as error:
        raise InputError("trust-unreadable", f"{path}: is no trust state of this tool") from error


def _head(value: object) -> tuple[int, str]:
    if not isinstance(value, dict) or set(value) != {"size", "root"}:
        raise ValueError("not a head")
    size, root = value["size"], value["root"]
    if type(size) is not int or size < 0 or not isinstance(root, str) or len(bytes.fromhex(root)) != 32:
        raise ValueError("not a head")
    return size, root
