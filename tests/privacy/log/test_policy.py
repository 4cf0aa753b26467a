"""Policies: how many witnesses make a quorum, who counts, and the text that other tools read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import InputError, MisuseError, VerificationError
from privacy.log.checkpoint import Checkpoint
from privacy.log.cosignature import cosign, read_line
from privacy.log.note import COSIGNATURE, Note, NoteSigner, VerifierKey
from privacy.log.policy import REGULATOR, Policy, network_policy, parse_policy, quorum_of

LOG = NoteSigner("bank-a/privacy-log", bytes(32))
BANKS = {name: NoteSigner(f"{name}/witness", bytes([place] * 32)) for place, name in
         enumerate(["bank-a", "bank-b", "bank-c", "bank-d", REGULATOR], 1)}  # fmt: skip
KEYS = {name: signer.verifier(COSIGNATURE) for name, signer in BANKS.items()}
HEAD = Checkpoint("bank-a/privacy-log", 9, bytes(range(32)))


def policy(*names: str) -> Policy:
    return network_policy(LOG.verifier(), "bank-a", {name: KEYS[name] for name in names})


def line(name: str, head: Checkpoint = HEAD, when: int = 1_790_000_000) -> str:
    return cosign(head.text(), BANKS[name], when)


# n witnesses: k, f. The first rows are those of the design: 3 banks need 2, 4 with one liar 3, 7 with two liars 5.
@pytest.mark.parametrize(
    ("witnesses", "k", "f"),
    [(0, 0, 0), (1, 1, 0), (2, 2, 0), (3, 2, 0), (4, 3, 1), (5, 4, 1), (6, 4, 1), (7, 5, 2), (200, 134, 66)],
)
def test_the_quorum_of_so_many_witnesses(witnesses: int, k: int, f: int) -> None:
    assert quorum_of(witnesses) == (k, f)


@given(st.integers(1, 256))
def test_two_quorums_share_an_honest_witness_and_the_honest_alone_can_make_one(witnesses: int) -> None:
    k, f = quorum_of(witnesses)
    assert 2 * k - witnesses > f
    assert witnesses - f >= k or witnesses < 3


def test_a_negative_number_of_witnesses_is_our_bug() -> None:
    with pytest.raises(MisuseError):
        quorum_of(-1)


def test_a_bank_does_not_witness_its_own_log() -> None:
    found = policy("bank-a", "bank-b", "bank-c", "bank-d")
    assert (sorted(found.witnesses), found.threshold) == (["bank-b", "bank-c", "bank-d"], 2)
    everybody = network_policy(LOG.verifier(), "coordinator", KEYS)
    assert (len(everybody.witnesses), everybody.threshold) == (5, 4)


def test_a_regulator_counts_as_one_more_witness() -> None:
    found = policy("bank-b", "bank-c", "bank-d", REGULATOR)
    assert found.threshold == 3
    lines = [read_line(line(name)) for name in ("bank-b", "bank-c")]
    assert found.judge(HEAD, lines).pending
    standing = found.judge(HEAD, [*lines, read_line(line(REGULATOR))])
    assert not standing.pending
    assert sorted(standing.cosigners) == ["bank-b", "bank-c", REGULATOR]


def test_what_does_not_count_towards_a_quorum() -> None:
    found = policy("bank-b", "bank-c", "bank-d")
    stranger = NoteSigner("bank-e/witness", bytes([9] * 32))
    renamed = NoteSigner("bank-c/witness", bytes([2] * 32))  # bank-b's key under bank-c's name
    other = Checkpoint(HEAD.origin, HEAD.size, bytes(32))
    lines = [line("bank-b"), line("bank-b", when=1_790_000_005), line("bank-a"), line("bank-d", other),
             cosign(HEAD.text(), stranger, 1), cosign(HEAD.text(), renamed, 1)]  # fmt: skip
    standing = found.judge(HEAD, [read_line(each) for each in lines])
    assert dict(standing.cosigners) == {"bank-b": 1_790_000_005}
    assert standing.pending


def test_a_note_that_carries_its_cosignatures_is_judged_by_them() -> None:
    found = policy("bank-b", "bank-c", "bank-d")
    text = HEAD.text()
    note = Note(text, (LOG.sign(text), read_line(line("bank-b")), read_line(line("bank-c"))))
    assert not found.judge_note(note.encode()).pending
    with pytest.raises(VerificationError) as caught:
        found.judge_note(Note(text, note.signatures[1:]).encode())
    assert caught.value.code == "signature-missing"


def test_a_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(VerificationError) as caught:
        policy("bank-b").judge(Checkpoint("bank-b/privacy-log", 9, bytes(32)), [])
    assert caught.value.code == "origin-mismatch"


def test_a_policy_that_counts_one_key_twice_is_refused() -> None:
    twin = VerifierKey("bank-x/witness", COSIGNATURE, KEYS["bank-b"].public)
    with pytest.raises(InputError) as caught:
        Policy(LOG.verifier(), {"bank-b": KEYS["bank-b"], "bank-x": twin}, 2)
    assert caught.value.code == "policy-keys-shared"
    own = VerifierKey("bank-x/witness", COSIGNATURE, LOG.verifier().public)
    with pytest.raises(InputError):
        Policy(LOG.verifier(), {"bank-x": own}, 1)


def test_keys_of_the_wrong_type_and_impossible_thresholds_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        Policy(LOG.verifier(), {"bank-b": BANKS["bank-b"].verifier()}, 1)
    assert caught.value.code == "policy-key-type"
    with pytest.raises(InputError):
        Policy(LOG.verifier(COSIGNATURE), {}, 0)
    with pytest.raises(InputError) as caught:
        Policy(LOG.verifier(), {"bank-b": KEYS["bank-b"]}, 2)
    assert caught.value.code == "policy-threshold"


def test_the_text_is_tlog_policy_and_comes_back_the_same() -> None:
    found = policy("bank-b", "bank-c", "bank-d")
    text = found.encode()
    assert text.splitlines() == [
        f"log {LOG.verifier().encode()}",
        *(f"witness {name} {KEYS[name].encode()}" for name in ("bank-b", "bank-c", "bank-d")),
        "group quorum-of-witnesses 2 bank-b bank-c bank-d",
        "quorum quorum-of-witnesses",
    ]
    assert parse_policy(text) == found
    nobody = network_policy(LOG.verifier(), "bank-a", {})
    assert parse_policy(nobody.encode()) == nobody


def test_other_forms_of_the_same_policy_are_read() -> None:
    log, b, c = LOG.verifier().encode(), KEYS["bank-b"].encode(), KEYS["bank-c"].encode()
    text = f"# ours\n\n \twitness b {b} https://b.example\nwitness c\t{c}\nlog {log} https://a.example\n"
    assert parse_policy(f"{text}group both all b c\nquorum both\n").threshold == 2
    assert parse_policy(f"{text}group both any b c\nquorum both\n").threshold == 1
    assert list(parse_policy(f"{text}quorum c\n").witnesses) == ["c"]


LINES = (f"log {LOG.verifier().encode()}", f"witness b {KEYS['bank-b'].encode()}", "group g 1 b", "quorum g")


@pytest.mark.parametrize(
    "lines",
    [
        LINES[:3],
        LINES[1:],
        [*LINES, "quorum g"],
        [LINES[0], *LINES],
        [*LINES[:2], LINES[1], *LINES[2:]],
        [LINES[0], "group g 1 b", LINES[1], "quorum g"],
        [*LINES[:2], "group g 2 b", "quorum g"],
        [*LINES[:2], "group g 0 b", "quorum g"],
        [*LINES[:2], "group g 01 b", "quorum g"],
        [*LINES[:2], "group g 1 b b", "quorum g"],
        [*LINES[:2], "group g 1", "quorum g"],
        [*LINES[:2], "group none 1 b", "quorum none"],
        [*LINES[:2], "group g 1 b", "quorum h"],
        [*LINES, "threshold 3"],
        [LINES[0], "witness b nonsense", *LINES[2:]],
        [*LINES, "# \x1b[2J"],
    ],
)
def test_malformed_policies_are_refused(lines: list[str]) -> None:
    with pytest.raises(InputError):
        parse_policy("\n".join(lines) + "\n")


@given(st.text(alphabet=st.sampled_from("log witness group quorum none any all 123 b\n\t#+="), max_size=200))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    try:
        found = parse_policy(text)
    except InputError:
        return
    assert parse_policy(found.encode()) == found
