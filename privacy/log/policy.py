"""Trust policies: which witnesses count for a log, and how many of them make a quorum.

It verifies no tree and asks nobody. Theory: with n witnesses of which f lie, two conflicting heads cannot both gather
k cosignatures if k > (n + f) / 2, and k honest answers can be had if f < n / 3. So f = (n - 1) // 3 and
k = (n + f) // 2 + 1. For a bank's log the witnesses are the other banks, for the coordinator's log all banks; a
regulator may join both. The coordinator never counts: else it and one bank could show two histories. A policy is
written and read as C2SP tlog-policy text, the k-of-n form of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from privacy.errors import InputError, MisuseError, VerificationError
from privacy.log.checkpoint import Checkpoint, parse_checkpoint
from privacy.log.cosignature import valid_cosignatures
from privacy.log.note import COSIGNATURE, ED25519, Signature, VerifierKey

__all__ = ["REGULATOR", "Policy", "Standing", "network_policy", "parse_policy", "quorum_of"]

REGULATOR = "regulator"
WITNESS_LIMIT = 256
POLICY_LIMIT_CHARACTERS = 65_536


@dataclass(frozen=True, slots=True)
class Standing:
    """How a checkpoint stands: who cosigned it validly and when (Unix seconds), and what the policy asks for."""

    cosigners: Mapping[str, int]
    threshold: int
    witnesses: int

    @property
    def pending(self) -> bool:
        """Say whether the quorum is missing."""
        return len(self.cosigners) < self.threshold


@dataclass(frozen=True, slots=True)
class Policy:
    """A log's key, its witnesses' keys by id, and how many of them must cosign; 0 asks for none."""

    log: VerifierKey
    witnesses: Mapping[str, VerifierKey]
    threshold: int

    def __post_init__(self) -> None:
        """Refuse a policy that cannot be met or counts one key twice; raises `InputError`."""
        if self.log.kind != ED25519 or any(key.kind != COSIGNATURE for key in self.witnesses.values()):
            raise InputError("policy-key-type", "a policy needs a log's key of type 1 and witnesses' keys of type 4")
        publics = [key.public for key in self.witnesses.values()]
        if len(set(publics)) != len(publics) or self.log.public in publics:
            raise InputError("policy-keys-shared", "one key stands twice in a policy; each witness needs its own")
        if not 0 <= self.threshold <= len(self.witnesses) <= WITNESS_LIMIT:
            count = len(self.witnesses)
            raise InputError("policy-threshold", f"a quorum of {self.threshold} cannot come from {count} witnesses")

    def judge(self, checkpoint: Checkpoint, signatures: Iterable[Signature]) -> Standing:
        """Return how a checkpoint of this log stands with these signature lines; foreign and wrong lines are ignored.

        Raises:
            VerificationError: `origin-mismatch` for a checkpoint of another log.
        """
        if checkpoint.origin != self.log.name:
            raise VerificationError(
                "origin-mismatch", f"checkpoint is of {checkpoint.origin}, expected {self.log.name}"
            )
        cosigners = valid_cosignatures(checkpoint.text(), signatures, self.witnesses)
        return Standing(cosigners, self.threshold, len(self.witnesses))

    def judge_note(self, encoded: bytes) -> Standing:
        """Return how a note of this log stands by the lines that it carries itself.

        Raises:
            VerificationError: malformed, of another log, or without the log's own valid signature.
        """
        checkpoint, note = parse_checkpoint(encoded)
        self.log.verify(note)
        return self.judge(checkpoint, note.signatures)

    def encode(self) -> str:
        """Return the policy as C2SP tlog-policy text."""
        lines = [f"log {self.log.encode()}"]
        names = sorted(self.witnesses)
        lines += [f"witness {name} {self.witnesses[name].encode()}" for name in names]
        if self.threshold:
            lines += [f"group quorum-of-witnesses {self.threshold} {' '.join(names)}", "quorum quorum-of-witnesses"]
        else:
            lines.append("quorum none")
        return "\n".join(lines) + "\n"


def quorum_of(witnesses: int) -> tuple[int, int]:
    """Return (k, f): how many of so many witnesses must cosign, and how many may lie or be away; (0, 0) for none."""
    if witnesses < 0:
        raise MisuseError("policy-threshold", "a negative number of witnesses")
    if witnesses == 0:
        return 0, 0
    faulty = (witnesses - 1) // 3
    return (witnesses + faulty) // 2 + 1, faulty


def network_policy(log: VerifierKey, owner: str, witnesses: Mapping[str, VerifierKey]) -> Policy:
    """Return the policy for one log of a consortium.

    Args:
        log: the log's key.
        owner: the member that keeps the log, whose own witness does not count; any other id for the coordinator's.
        witnesses: witness keys of all banks by member id, a regulator's under `REGULATOR`.
    """
    counted = {name: key for name, key in witnesses.items() if name != owner}
    return Policy(log, counted, quorum_of(len(counted))[0])


def parse_policy(text: str) -> Policy:
    """Read tlog-policy text with one log, any number of witnesses, and one group over all of them or `quorum none`.

    Raises:
        InputError: `policy-malformed` for any other policy, or what `Policy` refuses.
    """
    if len(text) > POLICY_LIMIT_CHARACTERS or any(character < " " and character not in "\t\n" for character in text):
        raise InputError("policy-malformed", "policy is too long or holds a control character")
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), 1):
        items = line.replace("\t", " ").split(" ")
        words = [item for item in items if item]
        if words and not words[0].startswith("#"):
            reader.take(number, words)
    return reader.policy()


class _Reader:
    def __init__(self) -> None:
        self._log: VerifierKey | None = None
        self._witnesses: dict[str, VerifierKey] = {}
        self._groups: dict[str, tuple[int, list[str]]] = {}
        self._quorum: str | None = None

    def take(self, number: int, words: list[str]) -> None:
        match words:
            case ["log", key] | ["log", key, _] if self._log is None:
                self._log = VerifierKey.parse(key)
            case ["witness", name, key] | ["witness", name, key, _] if self._is_free(name):
                self._witnesses[name] = VerifierKey.parse(key)
            case ["group", name, count, *names] if self._is_free(name) and self._fits(count, names):
                self._groups[name] = (_count(count, len(names)), names)
            case ["quorum", name] if self._quorum is None and name in ("none", *self._groups, *self._witnesses):
                self._quorum = name
            case _:
                raise InputError("policy-malformed", f"line {number} of the policy cannot be used here")

    def policy(self) -> Policy:
        if self._log is None or self._quorum is None:
            raise InputError("policy-malformed", "a policy needs one log line and one quorum line")
        if self._quorum == "none":
            return Policy(self._log, self._witnesses, 0)
        count, names = self._groups.get(self._quorum, (1, [self._quorum]))
        return Policy(self._log, {name: self._witnesses[name] for name in names}, count)

    def _is_free(self, name: str) -> bool:
        return name != "none" and name not in self._witnesses and name not in self._groups

    def _fits(self, count: str, names: list[str]) -> bool:
        known = all(name in self._witnesses for name in names) and len(set(names)) == len(names)
        return known and bool(names) and 1 <= _count(count, len(names)) <= len(names)


def _count(text: str, members: int) -> int:
    if text in ("any", "all"):
        return 1 if text == "any" else members
    return int(text) if text.isascii() and text.isdigit() and not text.startswith("0") and len(text) < 5 else 0
