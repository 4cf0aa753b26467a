"""A bank signs what it can check, and takes what a quorum signed: whatever the coordinator makes up is refused."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node import model_store
from privacy.envelope import COORDINATOR, Address, open_envelope, sign_envelope
from privacy.signoff_messages import InForce, Promoted, Propose, Withdrawn
from privacy.wire import Packet, decode_packet, encode_packet
from tests.node.signoff_bank import MODEL, NAMES, SignoffBank, ballot_of, proposal_of
from tests.privacy.table import identity_of, sign_as

PROPOSAL = proposal_of()
QUORUM = [ballot_of(name, PROPOSAL) for name in NAMES[:5]]


@pytest.fixture
def bank(tmp_path: Path) -> SignoffBank:
    return SignoffBank(tmp_path)


# -- signing ----------------------------------------------------------------------------------------------------------


def test_what_a_person_decided_is_signed_recorded_and_sent(bank: SignoffBank) -> None:
    assert bank.propose(PROPOSAL) == ""
    bank.wish(PROPOSAL)
    assert bank.ballots() == [ballot_of(NAMES[0], PROPOSAL)]
    assert bank.kinds() == ["model.signed"] and bank.store.requests() == []
    assert (bank.sent[0].kind, bank.sent[0].to, bank.sent[0].job) == ("secagg.sign-off", COORDINATOR, "job-1")


def test_nothing_is_signed_that_no_person_decided(bank: SignoffBank) -> None:
    bank.propose(PROPOSAL)
    bank.promote(PROPOSAL, QUORUM)
    assert bank.sent == [] and bank.store.ballot(PROPOSAL.sha256()) is None


def test_a_bank_votes_once_whatever_it_is_asked(bank: SignoffBank) -> None:
    bank.propose(PROPOSAL)
    bank.wish(PROPOSAL)
    bank.wish(PROPOSAL, "reject")
    assert set(bank.ballots()) == {ballot_of(NAMES[0], PROPOSAL)}
    assert bank.kinds() == ["model.signed"]


def test_a_bank_whose_ballot_was_lost_does_not_vote_a_second_time(bank: SignoffBank) -> None:
    bank.propose(PROPOSAL)
    bank.wish(PROPOSAL)
    (bank.state / "signoff" / "ballots" / f"{PROPOSAL.sha256()}.json").unlink()
    bank.restart()
    bank.wish(PROPOSAL, "reject")
    assert bank.ballots() == [ballot_of(NAMES[0], PROPOSAL)] and bank.store.ballot(PROPOSAL.sha256()) is None


def test_a_wish_for_a_proposal_that_was_never_shown_is_dropped(bank: SignoffBank) -> None:
    bank.wish(PROPOSAL)
    assert (bank.sent, bank.kinds(), bank.store.requests()) == ([], [], [])


@pytest.mark.parametrize("logged", [False, True])
def test_a_crash_after_the_ballot_was_written_sends_the_same_ballot(bank: SignoffBank, logged: bool) -> None:
    bank.propose(PROPOSAL)
    bank.leave(PROPOSAL)
    bank.signing._ballot(bank.store.requests()[0][1])  # then the process dies
    if logged:
        bank.wish(PROPOSAL)
    bank.restart()
    bank.wish(PROPOSAL)
    assert set(bank.ballots()) == {ballot_of(NAMES[0], PROPOSAL)}
    assert bank.kinds() == ["model.signed"] and bank.store.requests() == []


def test_a_coordinator_that_lost_the_ballot_gets_it_again_and_one_that_has_it_does_not(bank: SignoffBank) -> None:
    bank.propose(PROPOSAL)
    bank.wish(PROPOSAL)
    bank.propose(PROPOSAL, held=True)
    assert len(bank.ballots()) == 1
    bank.propose(PROPOSAL, held=False)
    assert bank.ballots() == [ballot_of(NAMES[0], PROPOSAL)] * 2
    assert len({outgoing.msg_id for outgoing in bank.sent}) == 2  # two sendings are told apart in the logs


# -- proposals that are refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changes", "code"), [
    ({"consortium": "other"}, "proposal-elsewhere"), ({"coordinator": "00" * 32}, "proposal-elsewhere"),
    ({"quorum": 4}, "quorum-too-small"), ({"model": "00" * 32}, "model-differs"),
    ({"manifest_sha256": "00" * 32}, "manifest-differs"), ({"members": tuple(NAMES[:6])}, "manifest-differs"),
    ({"recipe": "trees"}, "manifest-differs"), ({"evidence": {}}, "figures-differ"),
    ({"evidence": {"figures": "00" * 32}}, "figures-differ"),
], ids=str)  # fmt: skip
def test_a_proposal_that_contradicts_the_bank_s_own_records_is_refused(
    bank: SignoffBank, changes: dict[str, Any], code: str
) -> None:
    proposal = proposal_of(**changes)
    assert bank.propose(proposal) == code
    bank.wish(proposal)
    assert bank.sent == []
    # The bank's own rule is policy; everything else is a lie, and an alarm.
    assert bank.kinds() == ([] if code == "quorum-too-small" else ["alarm.raised"])


@pytest.mark.parametrize(("job", "digest", "code"), [
    ("job-2", hashlib.sha256(b"{}").hexdigest(), ""), ("job-2", "00" * 32, "figures-differ"), ("job-9", "00" * 32, ""),
    ("../job-2", "00" * 32, "proposal-malformed"),
])  # fmt: skip
def test_a_validation_that_this_bank_was_in_must_have_found_what_is_claimed(
    bank: SignoffBank, job: str, digest: str, code: str
) -> None:
    folder = bank.state / "jobs" / "job-2"
    folder.mkdir()
    (folder / "result.json").write_text('{"state": "done"}')
    (folder / "figures.json").write_bytes(b"{}")
    evidence = {**PROPOSAL.evidence, f"validation/{job}": digest}
    assert bank.propose(proposal_of(evidence=evidence)) == code


def test_one_number_stands_for_one_proposal(bank: SignoffBank) -> None:
    bank.propose(PROPOSAL)
    assert bank.propose(proposal_of(role="challenger")) == "proposal-forked"
    assert bank.propose(proposal_of(role="challenger", number=4)) == ""


def test_a_coordinator_cannot_fill_the_disk_with_proposals(bank: SignoffBank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.signoff_rules.MOST_PROPOSALS", 2)
    assert [bank.propose(proposal_of(number=number)) for number in (3, 4, 5, 4)] == ["", "", "proposals-too-many", ""]
    assert len(bank.store.proposals()) == 2


def test_a_proposal_under_another_name_is_refused(bank: SignoffBank) -> None:
    message = Propose(PROPOSAL.encode(), False)
    assert bank.hear(message, "job-2") == "proposal-address"
    assert bank.hear(message, position=4) == "proposal-address"


def test_only_the_pinned_coordinator_proposes(bank: SignoffBank) -> None:
    message = Propose(PROPOSAL.encode(), False)
    assert bank.hear(message, by=NAMES[1]) == "unopened"
    forged = sign_envelope(identity_of("mallory"), COORDINATOR, NAMES[0], Address("job-1", position=3), message)
    assert bank.hear_raw(encode_packet(Packet(forged.raw))) == "unopened"
    assert bank.hear_raw(sign_as(COORDINATOR, NAMES[1], Address("job-1", position=3), message)) == "envelope-recipient"
    assert bank.store.proposals() == []


def test_other_messages_are_left_to_others(bank: SignoffBank) -> None:
    assert not bank.signing.take(b"")
    assert not bank.signing.take(b"\x0a\x20" + b"propose" * 8)
    assert not bank.signing.take(bytes(2**20))


# -- promotions -------------------------------------------------------------------------------------------------------


def test_a_quorum_is_taken_once_and_written_down(bank: SignoffBank) -> None:
    assert bank.promote(PROPOSAL, QUORUM) == ""
    found = bank.promoted()
    assert (found["champion"], found["challenger"]) == (PROPOSAL.model, None)
    assert found["statements"]["champion"]["approved"] == NAMES[:5]
    assert bank.promote(PROPOSAL, QUORUM) == ""
    assert bank.kinds() == ["model.promoted"]


def test_a_crash_between_the_log_and_the_file_is_made_good(bank: SignoffBank) -> None:
    bank.promote(PROPOSAL, QUORUM)
    (bank.state / "promoted.json").unlink()
    bank.restart()
    assert bank.promote(PROPOSAL, QUORUM) == ""
    assert bank.promoted()["champion"] == PROPOSAL.model and bank.kinds() == ["model.promoted"]


def test_a_promotion_that_was_counted_is_not_counted_again_when_a_signer_s_key_has_changed(bank: SignoffBank) -> None:
    bank.promote(PROPOSAL, QUORUM)
    assert bank.promote(PROPOSAL, QUORUM[:2]) == ""
    assert len(bank.promoted()["statements"]["champion"]["ballots"]) == 5 and bank.kinds() == ["model.promoted"]


def lies() -> dict[str, tuple[list[bytes], str]]:
    challenger = proposal_of(role="challenger")
    other = proposal_of(number=2)
    return {
        "one too few": (QUORUM[:4], "quorum-missing"),
        "one twice": ([*QUORUM[:4], QUORUM[0]], "ballot-twice"),
        "one twice beside a quorum": ([*QUORUM, QUORUM[0]], "ballot-twice"),
        "a rejection counted": ([*QUORUM[:4], ballot_of(NAMES[4], PROPOSAL, "reject")], "quorum-missing"),
        "signed by the coordinator": ([*QUORUM[:4], ballot_of(NAMES[4], PROPOSAL, by=COORDINATOR)], "ballot-forged"),
        "signed by another bank": ([*QUORUM[:4], ballot_of(NAMES[4], PROPOSAL, by=NAMES[0])], "ballot-forged"),
        "of another role": ([*QUORUM[:4], ballot_of(NAMES[4], challenger)], "ballot-elsewhere"),
        "of another number": ([*QUORUM[:4], ballot_of(NAMES[4], other)], "ballot-elsewhere"),
        "of another model": ([*QUORUM[:4], ballot_of(NAMES[4], proposal_of(model="00" * 32))], "ballot-elsewhere"),
        "of another consortium": ([*QUORUM[:4], ballot_of(NAMES[4], proposal_of(consortium="x"))], "ballot-elsewhere"),
        "none": ([], "quorum-missing"),
        "no ballot": ([b"{}"], "statement-malformed"),
    }


@pytest.mark.parametrize("lie", list(lies()))
def test_ballots_that_do_not_make_the_quorum_move_nothing(bank: SignoffBank, lie: str) -> None:
    ballots, code = lies()[lie]
    assert bank.promote(PROPOSAL, ballots) == code
    assert bank.promoted() == {} and bank.kinds() == ["alarm.raised"]


def test_a_role_s_older_promotion_does_not_come_back(bank: SignoffBank) -> None:
    newer = proposal_of(number=5, replaces=PROPOSAL.model)
    assert bank.promote(newer, [ballot_of(name, newer) for name in NAMES[2:]]) == ""
    assert bank.promote(PROPOSAL, QUORUM) == "promotion-stale"
    assert bank.promoted()["statements"]["champion"]["number"] == 5

    challenger = proposal_of(role="challenger", number=4)  # another role has an order of its own
    assert bank.promote(challenger, [ballot_of(name, challenger) for name in NAMES[:5]]) == ""


def test_a_rollback_is_a_newer_promotion_and_says_so(bank: SignoffBank) -> None:
    for proposal in (PROPOSAL, proposal_of(number=4, replaces=PROPOSAL.model, rollback=True)):
        assert bank.promote(proposal, [ballot_of(name, proposal) for name in NAMES[:6]]) == ""
    assert bank.promoted()["statements"]["champion"]["rollback"] is True


def test_a_champion_is_no_longer_the_challenger_whichever_comes_first(tmp_path: Path) -> None:
    challenger, champion = proposal_of(role="challenger", number=2), proposal_of(number=5)
    for order in ((challenger, champion), (champion, challenger)):
        bank = SignoffBank(tmp_path / order[0].role)
        for proposal in order:
            assert bank.promote(proposal, [ballot_of(name, proposal) for name in NAMES[:5]]) == ""
        assert (bank.promoted()["champion"], bank.promoted()["challenger"]) == (champion.model, None)


def test_a_bank_that_was_not_in_the_job_asks_for_a_majority_of_all_it_knows(tmp_path: Path) -> None:
    few = tuple(NAMES[1:5])
    shrunk = proposal_of(members=few, quorum=3)
    ballots = [ballot_of(name, shrunk) for name in few]
    for joined, extra, code in ((False, 7, ""), (False, 8, "quorum-unknown-job"), (True, 7, "manifest-differs")):
        others = [*NAMES, "late-1"][:extra]
        bank = SignoffBank(tmp_path / f"{joined}-{extra}", joined=joined, pinned=others)
        assert bank.promote(shrunk, ballots) == code
        assert bool(bank.promoted()) is (code == "")


def test_a_newcomer_gets_the_model_that_the_quorum_signed_and_no_other(tmp_path: Path) -> None:
    for content, code in ((MODEL, ""), (b"another", "model-differs")):
        bank = SignoffBank(tmp_path / (code or "good"), joined=False)
        message = Promoted(PROPOSAL.encode(), tuple(QUORUM))
        raw = sign_as(COORDINATOR, NAMES[0], Address("job-1", position=3), message, (content,))
        assert bank.hear_raw(raw) == code
        assert model_store.names(bank.state) == ([] if code else [hashlib.sha256(MODEL).hexdigest()])
        assert bool(bank.promoted()) is not bool(code)


def test_the_bank_s_own_rule_may_ask_for_more(tmp_path: Path) -> None:
    bank = SignoffBank(tmp_path, rule="all")
    assert bank.promote(PROPOSAL, [ballot_of(name, PROPOSAL) for name in NAMES]) == "quorum-too-small"
    every = proposal_of(quorum=7)
    assert bank.promote(every, [ballot_of(name, every) for name in NAMES]) == ""


def test_a_coordinator_that_lost_a_promotion_is_given_it_back(bank: SignoffBank) -> None:
    assert bank.hear(InForce(0, 0), "") == "" and bank.sent == []
    bank.promote(PROPOSAL, QUORUM)
    for shown, expected in ((InForce(3, 0), 0), (InForce(9, 9), 0), (InForce(2, 9), 1), (InForce(0, 0), 1)):
        bank.sent.clear()
        assert bank.hear(shown, "") == "" and len(bank.sent) == expected
    envelope = open_envelope(decode_packet(bank.sent[0].message).signed, lambda name: identity_of(name).public)
    assert envelope.message == Promoted(PROPOSAL.encode(), tuple(QUORUM))


def test_a_withdrawn_proposal_is_closed_and_an_unknown_one_leaves_nothing(bank: SignoffBank) -> None:
    bank.propose(PROPOSAL)
    for proposal, code in ((PROPOSAL, "rejected"), (replace(PROPOSAL, number=9), "")):
        assert bank.hear(Withdrawn(bytes.fromhex(proposal.sha256()), "rejected")) == ""
        assert bank.store.closed(proposal.sha256()) == code


def test_a_damaged_record_is_refused_and_named(bank: SignoffBank) -> None:
    (bank.state / "jobs" / "job-1" / "figures.json").unlink()
    assert bank.propose(PROPOSAL) == "record-missing"
