"""The coordinator's own checks: what members may not send, when; and that a round that fails ends its position."""

from dataclasses import replace

import numpy as np
import pytest

from privacy import messages as say
from privacy.envelope import COORDINATOR, Address, open_envelope
from privacy.errors import MisuseError, PeerError
from privacy.outgoing import Outgoing
from privacy.secagg.aggregator import Phase
from privacy.secagg.part import boxes_digest
from privacy.shamir import split
from privacy.wire import Packet, decode_packet
from tests.privacy.secagg.scenes import ASK, content, plan_of, said, uploaded
from tests.privacy.table import Bench, bench, names_of, packet_of, parts_of, refused, seeded_bytes, sign_as

NAMES = names_of(7)
LAST = NAMES[-1]
PLAN = plan_of(NAMES)


def begun() -> tuple[Bench, dict[str, np.ndarray]]:
    table = bench(NAMES)
    table.assemble()
    table.begin(ASK, PLAN)
    return table, parts_of(NAMES, PLAN)


def receive(table: Bench, packet: Packet) -> list[object]:
    envelope = open_envelope(packet.signed, table.coordinator.identity_of)
    return list(table.coordinator.receive(envelope, packet))


def forged(table: Bench, sender: str, message: say.Message, at: Address | None = None) -> Packet:
    return packet_of(sign_as(sender, COORDINATOR, at or table.here(sender), message))


def packet(outgoing: Outgoing) -> Packet:
    return decode_packet(outgoing.message)


def test_the_sum_is_the_sum() -> None:
    for words, bound in ((32, 1000), (64, 2**40)):
        table, plan = bench(NAMES), plan_of(NAMES, 1000, words, bound)
        table.assemble()
        for seed in range(3):
            parts = parts_of(NAMES, plan, seed)
            assert (table.round(b"ask-%d" % seed, plan, parts) == sum(parts.values())).all()


def test_the_first_of_two_uploads_wins() -> None:
    table, parts = begun()
    table.upload(parts)
    again = next(each for name, each in table.sent if name == LAST and each.kind == "secagg.upload")
    before = table.coordinator._current()._total.copy()
    with refused("upload-late", PeerError):
        receive(table, packet(again))
    assert (table.coordinator._current()._total == before).all()


def test_an_upload_after_the_close_is_discarded() -> None:
    table, parts = begun()
    table.upload(parts, NAMES[:-1])
    late = table.members[LAST].upload(parts[LAST])
    table.coordinator.close()
    before = table.coordinator._current()._total.copy()
    assert receive(table, packet(late)) == []
    assert (table.coordinator._current()._total == before).all()
    assert LAST in table.coordinator._current().lost


@pytest.mark.parametrize(
    ("change", "code"),
    [("short", "vector-size"), ("box", "upload-boxes"), ("boxes", "upload-boxes")],
)
def test_an_upload_that_differs_from_its_header_is_refused(change: str, code: str) -> None:
    table, parts = begun()
    honest = packet(table.members[LAST].upload(parts[LAST]))
    boxes = honest.attachments
    changed = {
        "short": replace(honest, vector=honest.vector[:-8]),
        "box": replace(honest, attachments=(boxes[0][:-1] + b"\0", *boxes[1:])),
        "boxes": replace(honest, attachments=boxes[:-1]),
    }[change]
    with refused(code, PeerError):
        receive(table, changed)
    assert receive(table, honest) == [] and LAST in table.coordinator._current().headers


@pytest.mark.parametrize("beyond", [False, True])
def test_a_vector_that_is_not_the_one_in_the_header_is_blamed_before_anybody_verifies_it(beyond: bool) -> None:
    table, parts = begun()
    honest = packet(table.members[LAST].upload(parts[LAST]))
    table.upload(parts, NAMES[:-1])
    altered = bytearray(honest.vector)
    altered[-1 if beyond else 0] ^= 64
    receive(table, replace(honest, vector=bytes(altered)))
    table.down(table.coordinator.close())
    with refused("upload-vector", PeerError):
        table.coordinator.open_sum()
        for _ in table.coordinator.check(table.coordinator.verifiers()[:2]):
            pass
    assert list(table.coordinator.blamed) == [LAST]


@pytest.mark.parametrize(
    ("change", "code"), [({"length": 5}, "header-shape"), ({"share_sha256": (bytes(32),)}, "header-roster")]
)
def test_a_header_of_another_shape_is_refused(change: dict[str, object], code: str) -> None:
    table, parts = begun()
    header = content(table.members[LAST].upload(parts[LAST]), say.Header)
    with refused(code, PeerError):
        receive(table, forged(table, LAST, replace(header, **change)))  # type: ignore[arg-type]


def test_boxes_of_the_wrong_places_are_refused() -> None:
    table, parts = begun()
    outgoing = packet(table.members[LAST].upload(parts[LAST]))
    header = said(outgoing.signed, say.Header)
    boxes = (b"", *outgoing.attachments[1:])
    lying = replace(header, boxes_sha256=boxes_digest(table.here(LAST).binding, boxes))
    with refused("upload-boxes", PeerError):
        receive(table, replace(forged(table, LAST, lying), attachments=boxes, vector=outgoing.vector))


def test_messages_that_are_over_are_dropped_and_those_ahead_refused() -> None:
    table, parts = begun()
    table.upload(parts)
    old = next(each for name, each in table.sent if name == LAST and each.kind == "secagg.upload")
    table.down(table.coordinator.open(ASK, PLAN))
    assert receive(table, packet(old)) == []
    header = content(old, say.Header)
    ahead = replace(open_envelope(packet(old).signed, table.coordinator.identity_of).address, position=9)
    with refused("envelope-position", PeerError):
        receive(table, forged(table, LAST, header, ahead))


def test_a_late_message_of_an_excluded_member_is_dropped_and_a_new_one_refused() -> None:
    table, parts = begun()
    late = packet(table.members[LAST].upload(parts[LAST]))
    table.dead.add(LAST)
    table.assemble(NAMES[:-1])
    assert receive(table, late) == []
    at = Address(table.manifest.job, 2, manifest_sha256=table.manifest.sha256())
    with refused("member-excluded", PeerError):
        receive(table, forged(table, LAST, say.Setup(bytes(32), bytes(32)), at))


def test_a_kind_that_no_member_sends_is_refused() -> None:
    table, _parts = begun()
    with refused("kind-unexpected", PeerError):
        receive(table, forged(table, LAST, say.Ready()))


def test_too_few_uploads_do_not_close() -> None:
    table, parts = begun()
    table.upload(parts, NAMES[:4])
    with refused("cohort-too-small", PeerError):
        table.coordinator.close()
    assert table.coordinator.phase is Phase.UPLOADING


def test_votes_that_are_not_for_this_cohort_are_refused() -> None:
    table, _parts = uploaded(NAMES)
    table.coordinator.close()
    with refused("consent-cohort", PeerError):
        receive(table, forged(table, LAST, say.Consent(bytes(32), ())))
    cut, _parts = uploaded(NAMES, alive=NAMES[:-1])
    cut.coordinator.close()
    early = say.Consent(cut.coordinator._cohort, (say.Share(NAMES[0], bytes(32)),))
    with refused("consent-shares", PeerError):
        receive(cut, forged(cut, NAMES[0], early))
    with refused("consent-cohort", PeerError):  # who did not upload does not vote
        receive(cut, forged(cut, LAST, say.Consent(cut.coordinator._cohort, ())))


def test_shares_that_are_not_the_dealt_ones_are_refused() -> None:
    table, _parts = uploaded(NAMES)
    close = next(each for each in table.coordinator.close() if each.to == LAST)
    consent = content(table.answer(LAST, close.message), say.Consent)
    wrong = (replace(consent.shares[0], value=bytes(32)), *consent.shares[1:])
    with refused("share-hash", PeerError):
        receive(table, forged(table, LAST, replace(consent, shares=wrong)))
    with refused("shares-owners", PeerError):
        receive(table, forged(table, LAST, replace(consent, shares=consent.shares[1:])))
    assert not table.coordinator._votes
    receive(table, forged(table, LAST, consent))
    assert set(table.coordinator._votes) == {LAST}


def test_seeds_that_were_not_signed_are_refused() -> None:
    table, _parts = uploaded(NAMES, alive=NAMES[:-1])
    table.down(table.coordinator.close())
    asked = next(each for each in table.coordinator.certify() if each.to == NAMES[0])
    reveal = content(table.answer(NAMES[0], asked.message), say.Reveal)
    for wrong, code in (((say.PairSeed(LAST, bytes(32)),), "seed-hash"), ((), "seeds-dropped")):
        with refused(code, PeerError):
            receive(table, forged(table, NAMES[0], replace(reveal, seeds=wrong)))
    assert table.coordinator.pending() == set(NAMES[:-1])


def test_a_certificate_comes_neither_early_nor_for_a_whole_cohort() -> None:
    table, _parts = uploaded(NAMES, alive=NAMES[:-1])
    table.coordinator.close()
    with refused("certificate-early", MisuseError):
        table.coordinator.certify()
    whole, _parts = uploaded(NAMES)
    whole.down(whole.coordinator.close())
    with refused("phase-order", PeerError):
        whole.coordinator.certify()


def test_steps_out_of_order_are_refused() -> None:
    table = bench(NAMES)
    for step in (table.coordinator.close, table.coordinator.finish, lambda: table.coordinator.open(ASK, PLAN)):
        with refused("phase-order", PeerError):
            step()
    assert table.coordinator.pending() == frozenset()
    table.assemble()
    with refused("no-sum", MisuseError):
        table.coordinator._current()


def test_shares_dealt_from_another_secret_do_not_open_and_end_the_position(monkeypatch: pytest.MonkeyPatch) -> None:
    table, parts = begun()
    dealer = table.members[LAST]
    assert dealer._at is not None
    # The dealer shares another seed than the one its header hashes, with hashes of the false shares.
    with monkeypatch.context() as patch:
        patch.setattr("privacy.secagg.part.split", lambda _seed, t, n, _noise: split(bytes(31), t, n, seeded_bytes(5)))
        false = dealer.upload(parts[LAST])
    table.upload(parts, NAMES[:-1])
    table.up(LAST, false)
    table.down(table.coordinator.close())
    with refused("self-seed-hash", PeerError):
        table.verify()
    assert table.coordinator.phase is Phase.READY and table.coordinator.opened == []
    # Nobody is blamed by name of another: the next position runs over the same cohort.
    assert (table.round(ASK, PLAN, parts) == sum(parts.values())).all()


def test_a_sum_beyond_its_bound_is_not_called_opened() -> None:
    table, parts = begun()
    cheat = table.members[LAST]
    assert cheat._at is not None
    cheat._at.plan = replace(PLAN, bound=2**60, members=7)
    table.up(LAST, cheat.upload(np.full(6, 2**59, np.int64)))
    table.upload(parts, NAMES[:-1])
    table.down(table.coordinator.close())
    with refused("sum-bound", PeerError):
        table.verify()
    assert table.coordinator.opened == [] and table.coordinator.phase is Phase.READY


def test_a_duplicated_set_up_changes_nothing() -> None:
    table = bench(NAMES)
    downlinks = table.coordinator.assemble(table.manifest.roster)
    first = table.answer(NAMES[0], downlinks[0].message)
    assert first is not None
    receive(table, packet(first))
    stolen = forged(table, NAMES[0], say.Setup(bytes(32), bytes(32)),
                    Address(table.manifest.job, 1, manifest_sha256=table.manifest.sha256()))  # fmt: skip
    receive(table, stolen)
    assert table.coordinator._setups[NAMES[0]] == packet(first).signed


def test_everybody_hears_the_end() -> None:
    table, _parts = begun()
    assert [each.to for each in table.coordinator.end("failed", "lost")] == NAMES
    assert [each.to for each in table.coordinator.charter(table.manifest.roster)] == NAMES


def test_every_phase_says_whom_it_waits_for() -> None:
    table, everyone, first = bench(NAMES), set(NAMES), NAMES[0]
    coordinator = table.coordinator
    downlinks = coordinator.assemble(table.manifest.roster)
    assert coordinator.pending() == everyone
    answers = {each.to: table.answer(each.to, each.message) for each in downlinks}
    for name in NAMES[1:]:
        outgoing = answers[name]
        assert outgoing is not None
        receive(table, packet(outgoing))
    assert coordinator.pending() == {first}
    last = answers[first]
    assert last is not None
    setups = coordinator.receive(open_envelope(packet(last).signed, coordinator.identity_of), packet(last))
    assert setups and coordinator.pending() == everyone
    table.down(setups)
    assert coordinator.pending() == frozenset()
    table.begin(ASK, PLAN)
    table.upload(parts_of(NAMES, PLAN), NAMES[1:])
    assert coordinator.pending() == {first}
    table.down([each for each in coordinator.close() if each.to == NAMES[1]])
    assert coordinator.pending() == set(NAMES[2:]) and not coordinator.certifiable()
