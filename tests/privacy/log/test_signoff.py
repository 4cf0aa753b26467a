"""Sign-off of models: a quorum carries, and no ballot counts for anything but what its bank signed."""

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as some

from privacy.errors import InputError, VerificationError
from privacy.log.signoff import (
    Ballot,
    Proposal,
    count_ballots,
    decode_proposal,
    kept_ballot,
    least_quorum,
    read_ballot,
    sign_ballot,
)
from privacy.log.statement import Statement, encode_envelope
from tests.privacy.table import identity_of, names_of, refused

NAMES = names_of(7)
PINNED = {name: identity_of(name).public for name in NAMES}
PROPOSAL = Proposal(
    number=3, consortium="test", coordinator=identity_of("coordinator").public.hex(), role="champion", model="ab" * 32,
    job="job-1", recipe="scorecard", manifest_sha256="cd" * 32, members=tuple(NAMES), quorum=5, replaces="",
    rollback=False, proposed_us=1, evidence={"figures": "ef" * 32},
)  # fmt: skip


def ballot_of(name: str, decision: str = "approve", **changes: Any) -> Ballot:
    reason = "figures" if decision == "reject" else ""
    return replace(Ballot(name, decision, reason, "risk-1", 2), **changes)


def signed(name: str, decision: str = "approve", proposal: Proposal = PROPOSAL, by: str = "") -> bytes:
    key = identity_of(by or name)
    return sign_ballot(proposal, ballot_of(name, decision), key.public, key.sign)


def test_a_proposal_comes_back_in_one_spelling() -> None:
    assert decode_proposal(PROPOSAL.encode()) == PROPOSAL
    for raw in (PROPOSAL.encode() + b"\n", json.dumps(json.loads(PROPOSAL.encode())).encode()):
        with refused("not-canonical", VerificationError):
            decode_proposal(raw)


def test_the_bytes_are_those_of_the_first_version() -> None:
    # Ballots are kept for years: what was signed then must count now.
    assert PROPOSAL.sha256() == "4637a4ad2825d0df357ffa4491f9580755dcb6d2bb6d3a02d1038b0b2cd661f0"
    raw = signed(NAMES[0])
    assert hashlib.sha256(raw).hexdigest() == "9cbcbb6acab953bcd9f808b04c4bf578635508fdd22b2cc4e670fcb68a040207"
    payload = base64.b64decode(json.loads(raw)["payload"])
    pre_authenticated = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
    signature = base64.b64decode(json.loads(raw)["signatures"][0]["sig"])
    Ed25519PublicKey.from_public_bytes(PINNED[NAMES[0]]).verify(signature, pre_authenticated)


@pytest.mark.parametrize("key", sorted(json.loads(PROPOSAL.encode())))
@pytest.mark.parametrize("value", [None, "", "x" * 70, -1, True, 2**53, [], {}, ["b", "a"], {"figures": "x"}, [None]])
def test_no_field_takes_a_value_of_another_form(key: str, value: object) -> None:
    document = {**json.loads(PROPOSAL.encode()), key: value}
    harmless: list[tuple[str, object]] = [("replaces", ""), ("rollback", True), ("evidence", {})]
    if (key, value) in harmless:
        return
    with pytest.raises(VerificationError):
        decode_proposal(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())


@pytest.mark.parametrize("key", sorted(json.loads(PROPOSAL.encode())))
def test_every_field_must_stand_and_no_other(key: str) -> None:
    document = json.loads(PROPOSAL.encode())
    for changed in ({**document, "free": 1}, {name: value for name, value in document.items() if name != key}):
        with pytest.raises(VerificationError):
            decode_proposal(json.dumps(changed, sort_keys=True, separators=(",", ":")).encode())


@given(count=some.integers(1, 256))
def test_every_rule_is_a_majority_and_two_quorums_meet_in_more_than_may_lie(count: int) -> None:
    quorums = [least_quorum(rule, count) for rule in ("majority", "two-thirds", "all")]
    assert all(2 * quorum > count for quorum in quorums) and quorums == sorted(quorums) and quorums[-1] == count
    assert 2 * quorums[1] - count > count - quorums[1]  # any two of two thirds share more than stayed out of one
    with refused("quorum-rule", InputError):
        least_quorum("half", count)


@pytest.mark.parametrize("quorum", [0, 1, 3, 8])
def test_a_proposal_cannot_ask_for_less_than_a_majority(quorum: int) -> None:
    with pytest.raises(VerificationError):
        replace(PROPOSAL, quorum=quorum)


@pytest.mark.parametrize("approvals", range(8))
def test_the_quorum_carries_and_one_less_does_not(approvals: int) -> None:
    ballots = [signed(name, "approve" if place < approvals else "reject") for place, name in enumerate(NAMES)]
    tally = count_ballots(PROPOSAL, ballots, PINNED)
    assert tally.carries is (approvals >= 5)
    assert tally.fails is (approvals < 5)
    assert (len(tally.approved), len(tally.rejected)) == (approvals, 7 - approvals)


def test_while_banks_are_silent_nothing_carries_and_nothing_fails() -> None:
    tally = count_ballots(PROPOSAL, [signed(name) for name in NAMES[:4]], PINNED)
    assert not tally.carries and not tally.fails


def test_one_bank_s_ballot_is_not_counted_twice() -> None:
    again = sign_ballot(PROPOSAL, ballot_of(NAMES[0], signed_us=3), PINNED[NAMES[0]], identity_of(NAMES[0]).sign)
    for second in (signed(NAMES[0]), again, signed(NAMES[0], "reject")):
        with refused("ballot-twice", VerificationError):
            count_ballots(PROPOSAL, [signed(NAMES[0]), second], PINNED)


@pytest.mark.parametrize("changes", [
    {"role": "challenger"}, {"model": "ba" * 32}, {"consortium": "other"}, {"number": 4}, {"replaces": "ab" * 32},
    {"coordinator": "00" * 32}, {"job": "job-2"}, {"quorum": 4}, {"rollback": True}, {"evidence": {}},
    {"manifest_sha256": "00" * 32}, {"members": tuple(NAMES[:6]), "quorum": 5}, {"proposed_us": 9},
], ids=lambda changes: next(iter(changes)))  # fmt: skip
def test_a_ballot_counts_for_its_own_proposal_only(changes: dict[str, Any]) -> None:
    with refused("ballot-elsewhere", VerificationError):
        read_ballot(signed(NAMES[0]), replace(PROPOSAL, **changes), PINNED)


def test_a_ballot_that_another_key_signed_is_forged() -> None:
    for by in ("coordinator", NAMES[1]):
        with refused("ballot-forged", VerificationError):
            read_ballot(signed(NAMES[0], by=by), PROPOSAL, PINNED)
    with refused("ballot-forged", VerificationError):
        read_ballot(signed(NAMES[0]), PROPOSAL, {name: PINNED[name] for name in NAMES[1:]})


def test_a_ballot_without_a_signature_is_forged() -> None:
    payload = json.loads(base64.b64decode(json.loads(signed(NAMES[0]))["payload"]))
    subjects = {each["name"]: each["digest"]["sha256"] for each in payload["subject"]}
    bare = encode_envelope(Statement(subjects, payload["predicateType"], payload["predicate"]), None)
    with refused("ballot-forged", VerificationError):
        read_ballot(bare, PROPOSAL, PINNED)


def test_a_kept_ballot_is_shown_as_it_was_signed_and_nothing_else_is() -> None:
    for decision in ("approve", "reject"):
        assert kept_ballot(signed(NAMES[0], decision)) == ballot_of(NAMES[0], decision)
    for raw in (b"", b"{}", b"[]", b'{"payload":"e30="}', b'{"payload":1}', b"[" * 2**15):
        with refused("ballot-malformed", VerificationError):
            kept_ballot(raw)


def test_an_outsider_has_no_vote() -> None:
    with refused("ballot-stranger", InputError):
        signed("bank-9")
    fewer = replace(PROPOSAL, members=(*NAMES, "bank-9"))
    raw = signed("bank-9", proposal=fewer)
    with refused("ballot-elsewhere", VerificationError):
        read_ballot(raw, PROPOSAL, {**PINNED, "bank-9": identity_of("bank-9").public})


def test_a_ballot_has_one_spelling() -> None:
    envelope = json.loads(signed(NAMES[0]))
    for bent in (json.dumps(envelope).encode(), signed(NAMES[0])[:-1], signed(NAMES[0]) + b" "):
        with refused("ballot-spelling", VerificationError):
            read_ballot(bent, PROPOSAL, PINNED)


@given(place=some.integers(0, 2000), change=some.integers(1, 255))
def test_a_changed_byte_never_passes(place: int, change: int) -> None:
    raw = bytearray(signed(NAMES[0]))
    raw[place % len(raw)] ^= change
    with pytest.raises(VerificationError):
        read_ballot(bytes(raw), PROPOSAL, PINNED)


@pytest.mark.parametrize("changes", [
    {"decision": "abstain"}, {"decision": "reject"}, {"reason": "figures"}, {"who": ""}, {"who": "x" * 65},
    {"who": "a\nb"}, {"signed_us": 0}, {"signed_us": True}, {"member": "Bank"}, {"decision": []},
], ids=str)  # fmt: skip
def test_a_ballot_of_another_form_is_not_made(changes: dict[str, Any]) -> None:
    with refused("ballot-malformed", VerificationError):
        replace(ballot_of(NAMES[0]), **changes)


@given(raw=some.binary(max_size=300))
def test_anything_else_is_no_ballot_and_no_proposal(raw: bytes) -> None:
    with pytest.raises(VerificationError):
        read_ballot(raw, PROPOSAL, PINNED)
    with pytest.raises(VerificationError):
        decode_proposal(raw)
    with refused("ballot-size", VerificationError):
        read_ballot(raw + b"x" * (2**14 + 1), PROPOSAL, PINNED)
