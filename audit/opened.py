"""A log that was opened, wherever it came from, and small files read with care.

Nothing is judged here. A log can be read more than once: every pass gets a fresh source, in constant memory.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from privacy.errors import InputError
from privacy.log.export import LogParts
from privacy.log.note import VerifierKey
from privacy.log.policy import Policy
from privacy.log.verify import KnownHead, LogSource

__all__ = ["OpenLog", "read_line", "read_small"]

_SMALL_FILE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class OpenLog:
    """A log that can be read more than once.

    Attributes:
        path: what the operator named.
        origin: the log's origin.
        key: the log's public key.
        own_key: whether the key came from the log's own directory or export, and proves nothing about its owner.
        bare: makes a fresh source for one pass.
        rounds: reads the side files: (name, line without newline).
        holds_rounds: whether the source has a place for side files.
    """

    path: Path
    origin: str
    key: VerifierKey
    own_key: bool
    bare: Callable[[], LogSource] = field(repr=False)
    rounds: Callable[[], Iterator[tuple[str, bytes]]] = field(repr=False)
    holds_rounds: bool = True

    def under(self, key: VerifierKey | None) -> "OpenLog":
        """Return the same log judged by a key that the auditor holds; None leaves it as it is."""
        return self if key is None else replace(self, key=key, own_key=False)

    def source(
        self, peer: VerifierKey | None = None, heads: tuple[KnownHead, ...] = (), policy: Policy | None = None
    ) -> LogSource:
        """Return the log's bytes for one pass, with a peer's key, heads known from elsewhere and its witnesses."""
        bare = self.bare()
        return replace(bare, key=self.key, peer=peer, heads=(*bare.heads, *heads), policy=policy)

    def events(self) -> Iterator[bytes]:
        """Return the events' exact bytes for one pass."""
        return iter(self.bare().events)

    def parts(self) -> LogParts:
        """Return everything that an export holds, for one pass."""
        bare = self.bare()
        return LogParts(
            origin=self.origin,
            vkey=self.key.encode(),
            checkpoints=bare.checkpoints,
            events=bare.events,
            cosignatures=bare.cosignatures or (),
            receipts=bare.receipts or (),
            rounds=self.rounds(),
        )


def read_small(path: Path, limit_bytes: int) -> bytes:
    """Read a file of at most so many bytes.

    Raises:
        InputError: `log-unreadable`.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(limit_bytes + 1)
    except OSError as error:
        raise InputError("log-unreadable", f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > limit_bytes:
        raise InputError("log-unreadable", f"{path}: has more than {limit_bytes} bytes")
    return content


def read_line(path: Path) -> str:
    """Read a file that holds one line of ASCII text.

    Raises:
        InputError: `log-unreadable`.
    """
    try:
        text = read_small(path, _SMALL_FILE_BYTES).decode("ascii").strip()
    except (InputError, UnicodeDecodeError):
        raise InputError("log-unreadable", f"{path}: missing or unreadable; expected one line of text") from None
    if not text or "\n" in text:
        raise InputError("log-unreadable", f"{path}: expected one line of text")
    return text
