"""The job's manifest: what everybody signs up to before anything is added.

It knows no recipe: parameters are carried, not understood. Theory: the manifest is canonical JSON; its SHA-256 is in
every signature, key and mask of the job, so a rule that was changed for one member is a different job. Thresholds
stand in it and must be those of `privacy.roster`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from privacy.digest import digest
from privacy.errors import InputError, PeerError, PrivacyError
from privacy.guarantee import Guarantee, guarantee_of
from privacy.roster import Roster

__all__ = ["Manifest", "Seat", "decode_manifest"]

_FORMAT = "creditmesh-manifest/1"
_MAX_BYTES = 256 * 1024
_JOB_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")  # it becomes the name of a folder
_LIMITS = {
    "recipe_version": (1, 2**31),
    "max_rounds": (1, 100_000),
    "max_rows": (1, 2**40),
    "min_rows": (1, 2**40),
    "min_bads": (0, 2**40),
    "lost_after_s": (1, 3600),
    "rejoin_s": (0, 7 * 86_400),
    "round_deadline_s": (1, 7 * 86_400),
    "seed": (0, 2**63 - 1),
    "holdout_ppm": (0, 900_000),
}
_NESTED = ("seats", "dp")


@dataclass(frozen=True, slots=True)
class Seat:
    """One member's place: its id and the Ed25519 identity (32 bytes) that its peers have pinned."""

    member: str
    identity: bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that a job fixes before it starts; see `_LIMITS` for the ranges of its numbers.

    holdout_ppm: share of rows held out, in parts per million. Times end in `_s` and are seconds. `privacy` is
    `exact`: sums are not noised, so the cohort is fixed by the first vote; or `dp`: every sum carries noise, and `dp`
    says what that guarantees.
    """

    job: str
    consortium: str
    purpose: str
    recipe: str
    recipe_version: int
    parameters: Mapping[str, Any]
    code_sha256: str
    dictionary_sha256: str
    seats: tuple[Seat, ...]
    privacy: str
    max_rounds: int
    max_rows: int
    min_rows: int
    min_bads: int
    lost_after_s: int
    rejoin_s: int
    round_deadline_s: int
    seed: int
    holdout_ppm: int
    dp: Guarantee | None = None

    def __post_init__(self) -> None:
        if self.privacy != ("exact" if self.dp is None else "dp"):
            expected = "'exact', or 'dp' with what it guarantees"
            raise PeerError("manifest-privacy", f"manifest privacy is {self.privacy!r}, expected {expected}")
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise PeerError("manifest-range", f"manifest {name} is outside {low} to {high}")
        if not _JOB_ID.fullmatch(self.job):
            raise PeerError("manifest-job", "manifest job does not match [a-z0-9][a-z0-9_-]{0,62}")
        if len({seat.identity for seat in self.seats}) != len(self.seats):
            raise PeerError("manifest-seats", "two seats of the manifest share one identity")
        _ = self.roster

    @property
    def multiplier(self) -> int:
        """Return the noise multiplier in millionths, 0 in an exact job."""
        return self.dp.multiplier if self.dp else 0

    @property
    def statement(self) -> dict[str, str | int] | None:
        """Return what the model file says about privacy, None in an exact job."""
        return self.dp.statement() if self.dp else None

    @property
    def roster(self) -> Roster:
        """Return the roster of all seats."""
        return Roster(tuple(seat.member for seat in self.seats))

    def identity_of(self, member: str) -> bytes:
        """Return a member's 32-byte identity; a stranger raises `PeerError`."""
        for seat in self.seats:
            if seat.member == member:
                return seat.identity
        raise PeerError("member-unknown", f"{member!r} has no seat in job {self.job}")

    def seated(self, members: Roster) -> "Manifest":
        """Return the same manifest with only these members' seats."""
        return replace(self, seats=tuple(seat for seat in self.seats if seat.member in members))

    def encode(self) -> bytes:
        """Return the canonical JSON bytes."""
        roster = self.roster
        document = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _NESTED}
        document |= {"dp": self.dp.document()} if self.dp else {}
        document |= {
            "format": _FORMAT,
            "parameters": dict(self.parameters),
            "seats": [[seat.member, seat.identity.hex()] for seat in self.seats],
            "threshold": roster.threshold,
            "colluders": roster.colluders,
            "smallest_cohort": roster.smallest_cohort,
        }
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return text.encode("ascii")

    def sha256(self) -> bytes:
        """Return H(M), 32 bytes."""
        return digest("manifest", self.encode())


def decode_manifest(raw: bytes) -> Manifest:
    """Return the manifest in canonical JSON bytes; anything else raises `PeerError`."""
    if len(raw) > _MAX_BYTES:
        raise PeerError("manifest-size", f"manifest holds {len(raw)} bytes, expected at most {_MAX_BYTES}")
    try:
        document = json.loads(raw.decode("ascii"))
        if document.pop("format") != _FORMAT:
            raise PeerError("manifest-format", f"manifest format is not {_FORMAT}")
        for derived in ("threshold", "colluders", "smallest_cohort"):
            document.pop(derived)
        seats = tuple(Seat(member, bytes.fromhex(identity)) for member, identity in document.pop("seats"))
        promised = document.pop("dp", None)
        texts = [field.name for field in fields(Manifest) if field.name not in (*_LIMITS, *_NESTED, "parameters")]
        if not all(isinstance(document[name], str) for name in texts) or not isinstance(document["parameters"], dict):
            raise PeerError("manifest-types", "manifest holds a value of the wrong type")
        manifest = Manifest(seats=seats, dp=None if promised is None else guarantee_of(promised), **document)
        canonical = manifest.encode() == raw
    except InputError as error:
        raise PeerError(error.code, error.message) from None  # a bad id is the other side's fault here
    except PrivacyError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise PeerError("manifest-malformed", "manifest is not the JSON object that was expected") from None
    if any(len(seat.identity) != 32 for seat in seats) or not canonical:
        raise PeerError("manifest-canonical", "manifest bytes are not canonical, or its thresholds are not derived")
    return manifest
