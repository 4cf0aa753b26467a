"""Public keys that the auditor holds: single verifier keys, and members.json with those of a whole consortium.

Reads files and judges nothing by them. members.json is what every bank pins: `{"coordinator": {"identity", "log"},
"members": {ID: {"identity", "log", "witness"}}, "regulator": {"witness"}}`, where identities are 64 hex digits and
the others verifier keys. A member may have `checked`, how the bank came to believe its keys, and what stands under
`waiting` it does not believe; neither matters here. An auditor gets the file from a bank, not from the coordinator.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from privacy.errors import InputError
from privacy.log.note import VerifierKey

__all__ = ["Members", "load_members", "load_vkey"]

_LIMIT_BYTES = 1 << 20
_COORDINATOR_KEYS = {"identity", "log"}
_MEMBER_KEYS = {"identity", "log", "witness", "checked"}


@dataclass(frozen=True, slots=True)
class Members:
    """The consortium's public keys.

    Attributes:
        path: the file they were read from.
        coordinator_log: key of the coordinator's log, None when the file names none.
        identities: 32-byte Ed25519 public key of every member, and of `coordinator` where it is given.
        logs: key of every log by its origin, the coordinator's too.
        witnesses: cosigner's key of every member and, as `regulator`, of the regulator.
    """

    path: Path
    coordinator_log: VerifierKey | None
    identities: Mapping[str, bytes]
    logs: Mapping[str, VerifierKey]
    witnesses: Mapping[str, VerifierKey]

    def identity(self, member: str) -> bytes:
        """Return a member's identity.

        Raises:
            InputError: `members` when the file holds none.
        """
        if member not in self.identities:
            raise InputError("members", f"{self.path}: holds no identity of {member}")
        return self.identities[member]


def load_members(path: Path) -> Members:
    """Read members.json strictly.

    Raises:
        InputError: `members` when it cannot be read or is of another form, `vkey-malformed` for a key in it.
    """
    try:
        with path.open("rb") as stream:
            document = json.loads(stream.read(_LIMIT_BYTES))
        coordinator = _part(document.get("coordinator", {}), _COORDINATOR_KEYS)
        members = {str(name): _part(value, _MEMBER_KEYS) for name, value in document["members"].items()}
        regulator = _part(document.get("regulator", {}), {"witness"})
        identities = {name: _identity(part["identity"]) for name, part in members.items() if "identity" in part}
        if "identity" in coordinator:
            identities["coordinator"] = _identity(coordinator["identity"])
    except OSError as error:
        raise InputError("members", f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError("members", f"{path}: is no members.json with the members' public keys") from None
    logs = [VerifierKey.parse(part["log"]) for part in (coordinator, *members.values()) if "log" in part]
    witnesses = {
        name: part["witness"] for name, part in {**members, "regulator": regulator}.items() if "witness" in part
    }
    return Members(
        path=path,
        coordinator_log=VerifierKey.parse(coordinator["log"]) if "log" in coordinator else None,
        identities=MappingProxyType(identities),
        logs=MappingProxyType({key.name: key for key in logs}),
        witnesses=MappingProxyType({name: VerifierKey.parse(text) for name, text in witnesses.items()}),
    )


def load_vkey(text: str | None) -> VerifierKey | None:
    """Read a verifier key that is given as text or as a file that holds it.

    Raises:
        InputError: `vkey-malformed`.
    """
    if text is None:
        return None
    path = Path(text)
    try:
        return VerifierKey.parse(path.read_text("ascii") if path.is_file() else text)
    except (OSError, UnicodeDecodeError):
        raise InputError("vkey-malformed", f"{path}: cannot be read as a verifier key") from None


def _part(value: object, allowed: set[str]) -> dict[str, str]:
    if not isinstance(value, dict) or not set(value) <= allowed or not all(isinstance(v, str) for v in value.values()):
        raise ValueError("not the keys of a member")
    return value


def _identity(text: str) -> bytes:
    identity = bytes.fromhex(text)
    if len(identity) != 32:
        raise ValueError("not an Ed25519 public key")
    return identity
