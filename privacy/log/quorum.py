"""What an auditor finds about a log's witnesses while the tree is rebuilt: valid cosignatures, and the quorum's reach.

It is fed by `privacy.log.verify` and reads nothing itself. Theory: a cosignature holds over the root that the events
themselves lead to, never over one that a checkpoint claims, so a line that a witness gave for another history fails.
The newest size with a quorum bounds what the log's owner can have shown differently to somebody else; records after
it are pending, which is no fault.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from privacy.errors import VerificationError
from privacy.log.checkpoint import Checkpoint
from privacy.log.cosignature import read_line, verify_line
from privacy.log.note import Signature
from privacy.log.policy import Policy

__all__ = ["QuorumWalk", "Verdict"]

Verdict = tuple[str, str]
"""A step's status and its one line."""

_SKIPPED = ("skipped", "no policy was given that names the log's witnesses")


@dataclass(slots=True)
class QuorumWalk:
    """Follow the tree's growth; `cosignatures` are (size, signature line) as kept beside the log."""

    origin: str
    policy: Policy | None
    lines: dict[int, list[Signature]] = field(default_factory=dict)
    checked: int = 0
    foreign: int = 0
    fault: str = ""
    doubt: str = ""
    quorum_size: int = 0
    quorum_by: int = 0

    def read(self, cosignatures: Iterable[tuple[int, str]]) -> None:
        """Take the kept lines; one that is malformed is a fault."""
        for size, line in cosignatures:
            try:
                self.add(size, (read_line(line),))
            except VerificationError as error:
                self._note(f"a cosignature at {size}: {error.message}")

    def add(self, size: int, signatures: Iterable[Signature]) -> None:
        """Take lines that are said to belong to the checkpoint of a size; those of unknown keys are only counted."""
        if self.policy is None:
            return
        known = {(key.name, key.key_id) for key in self.policy.witnesses.values()}
        own = (self.policy.log.name, self.policy.log.key_id)
        for signature in signatures:
            name = (signature.name, signature.key_id)
            if name in known:
                self.lines.setdefault(size, []).append(signature)
            elif name != own:
                self._take_foreign(size, signature)

    def _take_foreign(self, size: int, signature: Signature) -> None:
        """Count a line of an unknown key; one that is half a witness's was damaged, or its key was changed."""
        assert self.policy is not None  # `add` asked
        keys = (self.policy.log, *self.policy.witnesses.values())
        self.foreign += 1
        if any(key.key_id == signature.key_id for key in keys):
            self._note(f"a line at {size} bears a witness's key id under another name")
        elif any(key.name == signature.name for key in keys):
            self.doubt = self.doubt or f"a line at {size} by {signature.name} is of another key than the policy's"

    def wants(self, size: int) -> bool:
        """Say whether the root at this size is needed, which costs a few hashes."""
        return self.policy is not None and (size in self.lines or not self.policy.threshold)

    def look(self, size: int, root: bytes) -> None:
        """Check the lines that belong to the tree's present size."""
        if self.policy is None:
            return
        text = Checkpoint(self.origin, size, root).text() if size else ""
        by_key = {(key.name, key.key_id): witness for witness, key in self.policy.witnesses.items()}
        cosigners: set[str] = set()
        for signature in self.lines.pop(size, []):
            witness = by_key[(signature.name, signature.key_id)]
            self.checked += 1
            try:
                verify_line(text, signature, self.policy.witnesses[witness])
            except VerificationError:
                self._note(f"the cosignature by {witness} at {size} is not for this history")
                continue
            cosigners.add(witness)
        if len(cosigners) >= self.policy.threshold and size >= self.quorum_size:
            self.quorum_size, self.quorum_by = size, len(cosigners)

    def finish(self, size: int) -> tuple[Verdict, Verdict]:
        """Return what was found about the cosignatures and about the quorum of a log of `size` records."""
        if self.policy is None:
            return _SKIPPED, _SKIPPED
        return self._cosignatures(size), self._quorum(size)

    def _cosignatures(self, size: int) -> Verdict:
        if self.fault:
            return "failed", self.fault
        if self.lines:
            return "rolled-back", f"witnesses cosigned {max(self.lines)} records, the log shows {size}"
        if self.doubt:
            return "flagged", self.doubt
        if not self.checked:
            return "skipped", "the source holds no cosignature of a known witness"
        ignored = f", {self.foreign} of unknown keys ignored" if self.foreign else ""
        return "passed", f"{self.checked} checked{ignored}"

    def _quorum(self, size: int) -> Verdict:
        assert self.policy is not None  # `finish` asked
        asked = f"{self.policy.threshold} of {len(self.policy.witnesses)} witnesses"
        if self.quorum_size == size:
            return "passed", f"{self.quorum_by} witnesses cosigned all {size} records; the policy asks for {asked}"
        tail = size - self.quorum_size
        return "incomplete", f"pending: the last {tail} of {size} records are not cosigned by {asked}"

    def _note(self, fault: str) -> None:
        self.fault = self.fault or fault
