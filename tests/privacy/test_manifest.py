"""The manifest: one canonical form, strict ranges, thresholds derived and never chosen."""

import json
from dataclasses import replace

import pytest

from privacy.errors import PeerError, PrivacyError
from privacy.manifest import Manifest, Seat, decode_manifest
from privacy.roster import Roster
from tests.privacy.table import identity_of, manifest_of, names_of, refused

NAMES = names_of(5)
GOOD = manifest_of(NAMES)


def rewritten(**changes: object) -> bytes:
    """Return the manifest's JSON with keys changed, in canonical form; ... drops a key."""
    document = {**json.loads(GOOD.encode()), **changes}
    document = {key: value for key, value in document.items() if value is not ...}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def test_a_manifest_comes_back_byte_for_byte() -> None:
    assert decode_manifest(GOOD.encode()) == GOOD
    assert decode_manifest(GOOD.encode()).sha256() == GOOD.sha256()
    document = json.loads(GOOD.encode())
    assert (document["threshold"], document["colluders"], document["smallest_cohort"]) == (4, 1, 4)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"format": "creditmesh-manifest/2"}, "manifest-format"),
        ({"format": ...}, "manifest-malformed"),
        ({"threshold": 3}, "manifest-canonical"),
        ({"smallest_cohort": 3}, "manifest-canonical"),
        ({"threshold": ...}, "manifest-malformed"),
        ({"noise": 0}, "manifest-malformed"),
        ({"seed": ...}, "manifest-malformed"),
        ({"seed": -1}, "manifest-range"),
        ({"seed": True}, "manifest-range"),
        ({"seed": 1.0}, "manifest-range"),
        ({"max_rounds": 100_001}, "manifest-range"),
        ({"holdout_ppm": 900_001}, "manifest-range"),
        ({"privacy": "none"}, "manifest-privacy"),
        ({"recipe": 5}, "manifest-types"),
        ({"parameters": []}, "manifest-types"),
        ({"parameters": {"clip": float("nan")}}, "manifest-malformed"),
        ({"parameters": {"clip": float("inf")}}, "manifest-malformed"),
        ({"job": "../../etc"}, "manifest-job"),
        ({"job": ""}, "manifest-job"),
        ({"job": "a" * 64}, "manifest-job"),
        ({"seats": []}, "roster-size"),
        ({"seats": [["a", "b"]]}, "manifest-malformed"),
        ({"seats": [["a", "00", "b"]]}, "manifest-malformed"),
        ({"seats": [[name, f"{at:02x}"] for at, name in enumerate(NAMES)]}, "manifest-canonical"),
        ({"seats": [[name, "00" * 32] for name in NAMES]}, "manifest-seats"),
        ({"seats": 7}, "manifest-malformed"),
    ],
    ids=str,
)
def test_a_manifest_that_is_none_is_refused(changes: dict[str, object], code: str) -> None:
    with refused(code):
        decode_manifest(rewritten(**changes))


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"null", b'"x"', b"{", b"\xff", GOOD.encode() + b" ", GOOD.encode().replace(b":", b": ", 1),
     b'{"a":1,"a":2}', b"[" * 100_000, b'{"format":' + b"[" * 900 + b"]" * 900 + b"}", b"9" * 10_000],
    ids=["empty", "list", "null", "text", "cut", "bytes", "trailing", "spaced", "doubled", "deep", "nested", "long"],
)  # fmt: skip
def test_bytes_that_are_no_manifest_are_refused(raw: bytes) -> None:
    with pytest.raises(PeerError):
        decode_manifest(raw)


def test_nesting_of_any_depth_is_refused_or_read() -> None:
    for depth in range(300, 1100, 7):
        raw = rewritten(parameters={"x": "@"}).replace(b'"@"', b"[" * depth + b"]" * depth)
        try:
            decode_manifest(raw)
        except PrivacyError as error:
            assert error.code == "manifest-malformed"


def test_a_large_manifest_is_refused() -> None:
    with refused("manifest-size", PeerError):
        decode_manifest(b" " * (256 * 1024 + 1))


def test_every_rule_is_in_the_hash() -> None:
    changed = [replace(GOOD, job="job-2"), replace(GOOD, max_rounds=9), replace(GOOD, max_rows=9),
               replace(GOOD, parameters={"bins": 9}), replace(GOOD, seed=1), replace(GOOD, code_sha256="2" * 64),
               replace(GOOD, lost_after_s=6), replace(GOOD, rejoin_s=9), replace(GOOD, purpose="x"),
               manifest_of(NAMES[:4]), replace(GOOD, seats=(Seat(NAMES[0], bytes(32)), *GOOD.seats[1:]))]  # fmt: skip
    hashes = {each.sha256() for each in [GOOD, *changed]}
    assert len(hashes) == len(changed) + 1


def test_seats() -> None:
    assert GOOD.identity_of(NAMES[1]) == identity_of(NAMES[1]).public
    with refused("member-unknown", PeerError):
        GOOD.identity_of("coordinator")
    four = GOOD.seated(Roster(tuple(NAMES[:4])))
    assert isinstance(four, Manifest) and four.roster.members == tuple(NAMES[:4]) and four.seats == GOOD.seats[:4]
    with refused("roster-order"):
        replace(GOOD, seats=tuple(reversed(GOOD.seats)))
