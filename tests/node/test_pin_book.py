"""Lists come from somebody who is not believed: no key changes under a name that is pinned, whatever a list says."""

import json
import stat
from pathlib import Path

import pytest

from audit.members import load_members
from node.keys_file import read_peers
from node.pin_book import PinBook, open_book
from privacy.errors import InputError, VerificationError
from privacy.log.note import NoteSigner
from privacy.member_entry import MemberEntry, SignedEntry, sign_entry
from tests.privacy.table import refused
from tests.privacy.test_member_entry import entry_for, identity_for

OWN, BETA, GAMMA = entry_for("alpha"), entry_for("beta"), entry_for("gamma")
COORDINATOR = {
    "identity": identity_for("coordinator").public.hex(),
    "log": NoteSigner("coordinator/privacy-log", bytes(32)).verifier().encode(),
}


@pytest.fixture
def book(tmp_path: Path) -> PinBook:
    open_book(tmp_path / "members.json", COORDINATOR, OWN.entry)
    return PinBook(tmp_path / "members.json", "alpha", "cn")


def states(book: PinBook) -> dict[str, str]:
    return {each.member: each.state for each in book.standings()}


def pinned(tmp_path: Path) -> set[str]:
    return set(read_peers(tmp_path / "members.json").members)


def test_who_joins_anew_keeps_its_pins_and_believes_no_other_coordinator(book: PinBook, tmp_path: Path) -> None:
    book.take([OWN, BETA], verified_only=True)
    book.verify("beta", BETA.entry.fingerprint())
    path = tmp_path / "members.json"
    before = path.read_bytes()
    open_book(path, COORDINATOR, OWN.entry)
    assert path.read_bytes() == before
    for name, other in (
        ("identity", "11" * 32),
        ("log", NoteSigner("coordinator/privacy-log", b"o" * 32).verifier().encode()),
    ):
        with pytest.raises(VerificationError, match="pins other keys of the coordinator"):
            open_book(path, {**COORDINATOR, name: other}, OWN.entry)
    assert path.read_bytes() == before


def test_a_new_bank_waits_until_somebody_heard_its_fingerprint(book: PinBook, tmp_path: Path) -> None:
    assert book.take([OWN, BETA], verified_only=True).waiting == ["beta"]
    assert book.take([OWN, BETA], verified_only=True).waiting == []  # told once
    assert states(book) == {"alpha": "own", "beta": "waiting"}
    assert [each.fingerprint for each in book.standings()] == [OWN.entry.fingerprint(), ""]
    assert pinned(tmp_path) == {"alpha"}

    with refused("fingerprint-wrong", VerificationError):
        book.verify("beta", GAMMA.entry.fingerprint())
    assert book.verify("beta", BETA.entry.fingerprint().lower()) == BETA.entry.fingerprint()
    assert states(book)["beta"] == "telephone"
    assert read_peers(tmp_path / "members.json").members["beta"] == bytes.fromhex(BETA.entry.identity)


def test_first_sight_is_marked_and_left_out_where_only_compared_banks_count(book: PinBook, tmp_path: Path) -> None:
    assert book.take([OWN, BETA], verified_only=False).pinned == ["beta"]
    peers = read_peers(tmp_path / "members.json")
    assert (states(book)["beta"], peers.unverified) == ("first-use", frozenset({"beta"}))
    assert set(peers.without_unverified().members) == {"alpha"}
    book.verify("beta", BETA.entry.fingerprint())
    assert read_peers(tmp_path / "members.json").unverified == frozenset()


@pytest.mark.parametrize("verified_only", [True, False])
@pytest.mark.parametrize("checked", ["telephone", "first-use"])
def test_a_coordinator_that_swaps_a_masking_identity_is_refused(
    book: PinBook, tmp_path: Path, verified_only: bool, checked: str
) -> None:
    book.take([OWN, BETA], verified_only=False)
    if checked == "telephone":
        book.verify("beta", BETA.entry.fingerprint())
    forged = entry_for("beta", salt=b"the operator's own keys")  # signed by itself, as anybody can

    taken = book.take([OWN, forged], verified_only)

    assert [code for code, _ in taken.faults] == ["entry-changed"]
    assert states(book)["beta"] == "changed"
    assert read_peers(tmp_path / "members.json").members["beta"] == bytes.fromhex(BETA.entry.identity)
    # The fingerprint that the real bank reads out still belongs to the pinned keys, and changes nothing.
    book.verify("beta", BETA.entry.fingerprint())
    assert states(book)["beta"] == "changed"
    # When the list is honest again, nothing is left of it.
    book.take([OWN, BETA], verified_only)
    assert states(book)["beta"] in ("telephone", "first-use")


def test_a_bank_that_did_change_its_keys_is_pinned_anew_by_telephone(book: PinBook, tmp_path: Path) -> None:
    book.take([BETA], verified_only=False)
    fresh = entry_for("beta", salt=b"after a loss")
    book.take([fresh], verified_only=True)
    book.verify("beta", fresh.entry.fingerprint())
    assert states(book)["beta"] == "telephone"
    assert read_peers(tmp_path / "members.json").members["beta"] == bytes.fromhex(fresh.entry.identity)


def test_our_own_entry_cannot_be_replaced(book: PinBook, tmp_path: Path) -> None:
    taken = book.take([entry_for("alpha", salt=b"x"), BETA], verified_only=True)
    assert [code for code, _ in taken.faults] == ["entry-own"]
    assert taken.waiting == ["beta"]
    assert states(book)["alpha"] == "own"


def test_an_entry_whose_signature_does_not_hold_is_passed_over(book: PinBook) -> None:
    taken = book.take([SignedEntry(BETA.entry, GAMMA.signature), GAMMA], verified_only=True)
    assert [code for code, _ in taken.faults] == ["entry-signature"]
    assert states(book) == {"alpha": "own", "gamma": "waiting"}


@pytest.mark.parametrize("role", ["identity", "log", "witness"])
def test_a_key_that_another_institution_has_never_gets_into_the_book(book: PinBook, tmp_path: Path, role: str) -> None:
    book.take([BETA], verified_only=False)
    keys = GAMMA.entry.keys()
    secret = identity_for("gamma")
    if role == "identity":
        secret, keys["identity"] = identity_for("beta"), BETA.entry.identity
    else:
        keys[role] = _same_key_under("gamma", role)
    twin = sign_entry(secret, MemberEntry("cn", "gamma", keys["identity"], keys["log"], keys["witness"]))
    taken = book.take([twin], verified_only=False)
    assert [code for code, _ in taken.faults] == ["entry-keys-taken"]
    assert pinned(tmp_path) == {"alpha", "beta"}


def _same_key_under(member: str, role: str) -> str:
    from dataclasses import replace

    from privacy.log.note import VerifierKey

    beta = VerifierKey.parse(BETA.entry.keys()[role])
    return replace(beta, name=beta.name.replace("beta", member)).encode()


def test_a_coordinator_cannot_fill_the_book(book: PinBook) -> None:
    entries = [entry_for(f"bank-{number}") for number in range(258)]
    taken = book.take(entries, verified_only=True)
    assert len(taken.waiting) == 256
    assert {code for code, _ in taken.faults} == {"waiting-too-many"}


def test_a_bank_that_left_is_forgotten_by_hand_alone(book: PinBook, tmp_path: Path) -> None:
    book.take([BETA], verified_only=False)
    book.take([], verified_only=False)
    assert pinned(tmp_path) == {"alpha", "beta"}
    book.drop("beta")
    assert pinned(tmp_path) == {"alpha"}
    for member, code in (("beta", "peer-unknown"), ("alpha", "peer-own")):
        with refused(code, InputError):
            book.drop(member)
    with refused("peer-unknown", InputError):
        book.verify("beta", "x")


def test_the_file_is_whole_and_a_broken_one_is_told(book: PinBook, tmp_path: Path) -> None:
    path = tmp_path / "members.json"
    book.take([BETA], verified_only=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert not path.with_name("members.json.draft").exists()
    document = json.loads(path.read_text())
    document["members"]["alpha"]["checked"] = "believed"
    path.write_text(json.dumps(document))
    with refused("peers-format", InputError):
        book.take([GAMMA], verified_only=True)


def test_the_auditor_reads_the_book_and_believes_what_the_bank_believes(book: PinBook, tmp_path: Path) -> None:
    book.take([BETA, GAMMA], verified_only=True)
    book.verify("beta", BETA.entry.fingerprint())
    members = load_members(tmp_path / "members.json")
    assert set(members.identities) == {"alpha", "beta", "coordinator"}
