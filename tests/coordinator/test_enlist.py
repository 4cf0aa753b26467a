"""The call for members: who says yes sits, who says no is named with its code, too few are no job."""

import pytest

from coordinator.enlist import Enlistment
from privacy import messages as say
from privacy.envelope import COORDINATOR, Address, open_envelope, sign_envelope
from privacy.errors import PeerError, RefusalError
from privacy.manifest import decode_manifest
from privacy.messages import Message
from privacy.wire import decode_packet
from tests.privacy.table import identity_of, manifest_of, names_of, refused


def answer(enlistment: Enlistment, name: str, message: Message, job: str | None = None) -> None:
    manifest = enlistment.offered
    at = Address(job or manifest.job, manifest_sha256=manifest.sha256())
    enlistment.receive(sign_envelope(identity_of(name), name, COORDINATOR, at, message))


def enlistment(count: int) -> Enlistment:
    return Enlistment(manifest_of(names_of(count)))


def test_the_offer_is_the_manifest_signed_for_everyone() -> None:
    call = enlistment(5)

    envelope = open_envelope(
        decode_packet(call.offer(identity_of(COORDINATOR), ["bank-000"])[0].message).signed,
        lambda n: identity_of(n).public,
    )

    assert isinstance(envelope.message, say.Offer)
    assert decode_manifest(envelope.message.manifest) == call.offered
    envelope.expect(Address("job-1", manifest_sha256=call.offered.sha256()), "bank-003")


def test_who_accepts_sits_and_the_others_are_named() -> None:
    call = enlistment(7)
    for name in names_of(5):
        answer(call, name, say.Accept())
    answer(call, "bank-005", say.Decline("permit-rows"))

    assert call.pending == {"bank-006"}
    assert call.left_out() == {"bank-005": "permit-rows", "bank-006": "no-answer"}
    final = call.final(4)
    assert final.roster.members == tuple(names_of(5))
    assert final == call.offered.seated(final.roster)


@pytest.mark.parametrize(("accepted", "least", "runs"), [(3, 4, False), (4, 4, True), (4, 5, False), (3, 1, False)])
def test_too_few_are_no_job_and_the_reason_names_everybody(accepted: int, least: int, runs: bool) -> None:
    call = enlistment(6)
    for name in names_of(accepted):
        answer(call, name, say.Accept())
    answer(call, "bank-005", say.Decline("permit-bads"))

    if runs:
        assert len(call.final(least).seats) == accepted
        return
    with refused("members-too-few", RefusalError):
        call.final(least)
    with pytest.raises(RefusalError, match="bank-004: no-answer, bank-005: permit-bads"):
        call.final(least)


def test_what_is_no_answer_to_this_offer() -> None:
    call = enlistment(4)

    with refused("enlist-kind", PeerError):
        answer(call, "bank-000", say.Halt("no"))
    with refused("envelope-job", PeerError):
        answer(call, "bank-000", say.Accept(), job="job-2")
    assert call.pending == set(names_of(4))
