"""The witness's rules: every status of tlog-witness, and no two histories under one cosignature."""

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from privacy.errors import VerificationError
from privacy.log.checkpoint import Checkpoint, sign_checkpoint
from privacy.log.cosignature import read_line, verify_line
from privacy.log.note import COSIGNATURE, Note, NoteSigner
from privacy.log.tree import CompactTree, consistency_proof, leaf_hash, root_at
from privacy.log.witness import (
    REQUEST_LIMIT_BYTES,
    SCHEMA,
    SIZE_TYPE,
    Answer,
    Held,
    Witness,
    encode_request,
    parse_request,
    read_heads,
    read_held,
    write_decision,
)

ORIGIN = "bank-a/privacy-log"
LOG = NoteSigner(ORIGIN, bytes([1] * 32))
SIGNER = NoteSigner("bank-b/witness", bytes([2] * 32))
KEY = SIGNER.verifier(COSIGNATURE)
WHEN = 1_790_000_000


class Tree:
    """A log's tree in memory, with a name so that two histories differ from a leaf on."""

    def __init__(self, size: int, fork_at: int | None = None) -> None:
        self.hashes: dict[tuple[int, int], bytes] = {}
        self.tree = CompactTree()
        for index in range(size):
            twisted = fork_at is not None and index >= fork_at
            self.tree, completed = self.tree.append(leaf_hash(b"%d%s" % (index, b"x" if twisted else b"")))
            self.hashes |= {(level, index >> level): value for level, value in enumerate(completed)}

    def read(self, level: int, position: int) -> bytes:
        return self.hashes[level, position]

    def note(self, size: int, signer: NoteSigner = LOG, origin: str = ORIGIN) -> bytes:
        return sign_checkpoint(Checkpoint(origin, size, root_at(size, self.read)), signer)

    def request(self, old: int, size: int, note: bytes | None = None) -> bytes:
        proof = consistency_proof(old, size, self.read) if 0 < old < size else ()
        return encode_request(old, proof, self.note(size) if note is None else note)


class Store:
    """A store in memory, with a transaction a request."""

    def __init__(self, signer: NoteSigner | None = SIGNER) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        for statement in SCHEMA:
            self.database.execute(statement)
        self.witness = Witness(signer, {ORIGIN: LOG.verifier()})

    def ask(self, request: bytes, when: int = WHEN) -> Answer:
        decision = self.witness.decide(request, lambda origin: read_held(self.database, origin), when)
        write_decision(self.database, decision, request)
        return decision.answer

    def refused(self) -> list[tuple[str, int]]:
        return list(self.database.execute("SELECT origin, status FROM refused ORDER BY number"))

    def size(self) -> int:
        held = read_held(self.database, ORIGIN)
        return held.checkpoint.size if held else 0


@pytest.fixture
def store() -> Store:
    return Store()


TREE = Tree(40)
FORK = Tree(40, fork_at=5)


def test_a_log_that_grows_is_cosigned(store: Store) -> None:
    for old, size in ((0, 3), (3, 3), (3, 8), (8, 21), (21, 40)):
        answer = store.ask(TREE.request(old, size), WHEN + size)
        assert answer.status == 200
        text = Checkpoint(ORIGIN, size, root_at(size, TREE.read)).text()
        assert verify_line(text, read_line(answer.body.decode()), KEY) == WHEN + size
    assert store.size() == 40 and store.refused() == []


def test_the_request_is_text_as_specified() -> None:
    lines = TREE.request(3, 8).decode().split("\n")
    assert lines[0] == "old 3" and lines[5] == "" and lines[6] == ORIGIN and len(lines[1]) == 44
    assert TREE.request(0, 8).startswith(b"old 0\n\n" + ORIGIN.encode())


def test_one_who_only_keeps_heads_answers_without_a_signature() -> None:
    keeper = Store(signer=None)
    assert keeper.ask(TREE.request(0, 8)) == Answer(200)
    assert keeper.ask(FORK.request(8, 9)).status == 422
    assert keeper.witness.name == "" and Store().witness.name == "bank-b/witness"


def test_an_unknown_log_is_404_and_a_foreign_signature_403(store: Store) -> None:
    stranger = NoteSigner("bank-z/privacy-log", bytes([3] * 32))
    assert store.ask(TREE.request(0, 8, TREE.note(8, stranger, "bank-z/privacy-log"))).status == 404
    assert store.ask(TREE.request(0, 8, TREE.note(8, NoteSigner(ORIGIN, bytes([3] * 32))))).status == 403
    unsigned = Checkpoint(ORIGIN, 8, root_at(8, TREE.read)).text()
    assert store.ask(TREE.request(0, 8, Note(unsigned, (SIGNER.sign(unsigned),)).encode())).status == 403
    assert store.size() == 0 and store.refused() == []


def test_signatures_of_unknown_keys_beside_the_logs_are_ignored(store: Store) -> None:
    text = Checkpoint(ORIGIN, 8, root_at(8, TREE.read)).text()
    note = Note(text, (SIGNER.sign(text), LOG.sign(text))).encode()
    assert store.ask(TREE.request(0, 8, note)).status == 200


def test_an_old_size_above_the_new_is_400(store: Store) -> None:
    assert store.ask(encode_request(9, (), TREE.note(8))).status == 400


@pytest.mark.parametrize("old", [0, 3, 9])
def test_another_old_size_than_held_is_409_with_the_size(store: Store, old: int) -> None:
    store.ask(TREE.request(0, 8))
    answer = store.ask(TREE.request(old, 12))
    assert (answer.status, answer.body, answer.content_type) == (409, b"8\n", SIZE_TYPE)
    assert answer.held == TREE.note(8)
    assert store.size() == 8 and store.refused() == []


def test_a_nonzero_old_size_at_first_sight_is_409_with_zero(store: Store) -> None:
    answer = store.ask(TREE.request(3, 8))
    assert (answer.status, answer.body, answer.held) == (409, b"0\n", b"")


def test_an_older_head_than_held_is_never_taken(store: Store) -> None:
    store.ask(TREE.request(0, 12))
    assert store.ask(TREE.request(0, 8)).status == 409
    assert store.ask(TREE.request(8, 8)).status == 409
    assert store.size() == 12


def test_a_fork_is_422_and_kept_as_evidence(store: Store) -> None:
    store.ask(TREE.request(0, 8))
    answer = store.ask(FORK.request(8, 12))
    assert (answer.status, answer.body, answer.held) == (422, b"", TREE.note(8))
    assert store.refused() == [(ORIGIN, 422)] and store.size() == 8


@pytest.mark.parametrize("old", [0, 3, 8])
def test_two_roots_at_one_size_are_409_and_kept_as_evidence(store: Store, old: int) -> None:
    store.ask(TREE.request(0, 8))
    answer = store.ask(encode_request(old, (), FORK.note(8)))
    assert (answer.status, answer.body) == (409, b"8\n")
    assert store.refused() == [(ORIGIN, 409)]


@pytest.mark.parametrize("change", ["empty", "short", "long", "swapped", "foreign"])
def test_a_wrong_proof_is_422(store: Store, change: str) -> None:
    store.ask(TREE.request(0, 7))
    proof = consistency_proof(7, 13, TREE.read)
    wrong = {"empty": [], "short": proof[:-1], "long": [*proof, proof[0]], "swapped": proof[::-1],
             "foreign": consistency_proof(6, 13, TREE.read)}[change]  # fmt: skip
    assert store.ask(encode_request(7, wrong, TREE.note(13))).status == 422
    assert store.size() == 7


def test_a_proof_where_none_belongs_is_422(store: Store) -> None:
    assert store.ask(encode_request(0, [bytes(32)], TREE.note(8))).status == 422
    store.ask(TREE.request(0, 8))
    assert store.ask(encode_request(8, [bytes(32)], TREE.note(8))).status == 422


def test_an_empty_log_with_a_root_of_its_own_is_422(store: Store) -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, 0, bytes(32)), LOG)
    assert store.ask(encode_request(0, (), note)).status == 422
    assert store.ask(TREE.request(0, 0)).status == 200


NOTE = TREE.note(8)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        NOTE,
        b"old 0\n" + NOTE,
        b"old 00\n\n" + NOTE,
        b"old 007\n\n" + NOTE,
        b"old -1\n\n" + NOTE,
        b"old +1\n\n" + NOTE,
        b"old  1\n\n" + NOTE,
        b"old 1 \n\n" + NOTE,
        b"old 0\r\n\n" + NOTE,
        b"OLD 0\n\n" + NOTE,
        b"old 9007199254740992\n\n" + NOTE,
        "old ٣\n\n".encode() + NOTE,
        b"old 0\nAAAA\n\n" + NOTE,
        b"old 0\n" + b"A" * 43 + b"B\n\n" + NOTE,
        b"old 0\n" + b"\n".join([b"A" * 43 + b"="] * 64) + b"\n\n" + NOTE,
        b"old 0\n\n\n" + NOTE,
        b"old 0\n\n" + NOTE[:-1],
        b"old 0\n\n" + NOTE * 2,
        b"old 0\n\n" + NOTE.replace(b"\n8\n", b"\n008\n"),
        b"old 0\n\n" + NOTE.replace(ORIGIN.encode() + b"\n8", b"cosignature/v1\n8"),
        b"old 0\n\n" + NOTE.replace(b"\n8\n", b"\r\n8\n"),
        b"old 0\n\n" + b"x" * REQUEST_LIMIT_BYTES,
    ],
)
def test_malformed_requests_are_400(store: Store, body: bytes) -> None:
    assert store.ask(body).status == 400
    assert store.size() == 0


def test_sixty_three_lines_of_proof_are_read() -> None:
    body = b"old 0\n" + b"\n".join([b"A" * 43 + b"="] * 63) + b"\n\n" + NOTE
    assert len(parse_request(body).proof) == 63


@settings(max_examples=300)
@given(st.binary(max_size=600))
def test_no_bytes_are_cosigned(body: bytes) -> None:
    assert Store().ask(body).status == 400


@settings(max_examples=300)
@given(st.integers(0, len(NOTE) + 60), st.integers(1, 255))
def test_a_request_with_one_byte_changed_is_never_cosigned_for_another_head(place: int, twist: int) -> None:
    body = bytearray(TREE.request(0, 8))
    body[place % len(body)] ^= twist
    store = Store()
    answer = store.ask(bytes(body))
    if answer.status == 200:  # a lower bit of base64 padding or an ignored line cannot change what is cosigned
        text = Checkpoint(ORIGIN, 8, root_at(8, TREE.read)).text()
        verify_line(text, read_line(answer.body.decode()), KEY)
    else:
        assert store.size() == 0


def test_evidence_is_bounded(store: Store) -> None:
    store.ask(TREE.request(0, 8))
    for _ in range(80):
        store.ask(FORK.request(8, 12))
    assert len(store.refused()) == 64


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE head SET size = 3",
        "UPDATE head SET turn = 1",
        "DELETE FROM head",
        "DELETE FROM refused",
        "UPDATE refused SET status = 200",
    ],
)
def test_heads_never_fall_back_and_evidence_stays(store: Store, sql: str) -> None:
    store.ask(TREE.request(0, 8))
    store.ask(FORK.request(8, 12))
    with pytest.raises(sqlite3.IntegrityError):
        store.database.execute(sql)


def test_the_digest_of_all_heads_changes_with_each(store: Store) -> None:
    seen = [read_heads(store.database)]
    for old, size in ((0, 3), (3, 3), (3, 8)):
        store.ask(TREE.request(old, size))
        seen.append(read_heads(store.database))
    assert [turn for turn, _ in seen] == [0, 1, 2, 3]
    assert len({digest for _, digest in seen}) == 4


def test_a_head_that_is_not_its_note_is_found(store: Store) -> None:
    store.ask(TREE.request(0, 8))
    store.database.execute("UPDATE head SET size = 9, turn = 2")
    with pytest.raises(VerificationError) as caught:
        read_heads(store.database)
    assert caught.value.code == "heads-damaged"


class TwoHistories(RuleBasedStateMachine):
    """A log with the real key shows any heads of two histories in any order; one of them is ever cosigned."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.cosigned: list[Held] = []

    @rule(fork=st.booleans(), old=st.integers(0, 16), more=st.integers(0, 16), honest=st.booleans())
    def show(self, fork: bool, old: int, more: int, honest: bool) -> None:
        tree = FORK if fork else TREE
        size = old + more
        request = tree.request(self.store.size() if honest and self.store.size() <= size else old, size)
        answer = self.store.ask(request)
        if answer.status == 200:
            parsed = parse_request(request)
            self.cosigned.append(Held(parsed.checkpoint, parsed.encoded_note))

    @invariant()
    def one_history(self) -> None:
        sizes = [held.checkpoint.size for held in self.cosigned]
        assert sizes == sorted(sizes)
        straight = all(held.checkpoint.root == root_at(held.checkpoint.size, TREE.read) for held in self.cosigned)
        twisted = all(held.checkpoint.root == root_at(held.checkpoint.size, FORK.read) for held in self.cosigned)
        assert straight or twisted


TestTwoHistories = TwoHistories.TestCase
TestTwoHistories.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
