"""The known answers of a witness: cosignatures, and what it answers to add-checkpoint requests in a row."""

from typing import Any

from privacy.log.checkpoint import Checkpoint, sign_checkpoint
from privacy.log.cosignature import cosign
from privacy.log.note import COSIGNATURE, NoteSigner
from privacy.log.tree import CompactTree, consistency_proof, leaf_hash, root_at
from privacy.log.witness import Held, Witness, encode_request

__all__ = ["witnessing"]

ORIGIN = "bank-a/privacy-log"
LOG = NoteSigner(ORIGIN, bytes(range(32)))
WITNESS_SEED = bytes(range(32, 64))
WITNESS = NoteSigner("bank-b/witness", WITNESS_SEED)
WHEN = 1_790_000_000
LEAVES = 40


class _Leaves:
    """A tree whose leaf i is i in decimal, or, from a fork on, i and a letter."""

    def __init__(self, fork_at: int = LEAVES) -> None:
        self.hashes: dict[tuple[int, int], bytes] = {}
        tree = CompactTree()
        for index in range(LEAVES):
            tree, completed = tree.append(leaf_hash(b"%d%s" % (index, b"x" if index >= fork_at else b"")))
            self.hashes |= {(level, index >> level): value for level, value in enumerate(completed)}

    def read(self, level: int, position: int) -> bytes:
        """Return a stored hash."""
        return self.hashes[level, position]

    def request(self, old: int, size: int, signer: NoteSigner = LOG, origin: str = ORIGIN) -> bytes:
        """Return a request from a size to a size."""
        proof = consistency_proof(old, size, self.read) if 0 < old < size else []
        return encode_request(old, proof, sign_checkpoint(Checkpoint(origin, size, root_at(size, self.read)), signer))


def witnessing() -> dict[str, Any]:
    """Return cosignatures, ones that must not hold, a conversation with a witness, and malformed requests."""
    tree, fork, stranger = _Leaves(), _Leaves(5), NoteSigner("bank-z/privacy-log", bytes(32))
    texts = [Checkpoint(ORIGIN, size, root_at(size, tree.read)).text() for size in (0, 7, 40)]
    lines = [cosign(text, WITNESS, WHEN + place) for place, text in enumerate(texts)]
    asked = [
        tree.request(0, 3), tree.request(3, 3), tree.request(3, 8), tree.request(3, 12), tree.request(0, 12),
        fork.request(8, 12), fork.request(0, 8), tree.request(8, 21), tree.request(21, 40), tree.request(0, 21),
        tree.request(0, 8, NoteSigner(ORIGIN, bytes(32))), tree.request(0, 8, stranger, "bank-z/privacy-log"),
    ]  # fmt: skip
    malformed = [b"old 040" + asked[8][6:], asked[7].replace(b"\n", b"\r\n"), b"old 41" + asked[8][6:], asked[8][6:]]
    witness, held = Witness(WITNESS, {ORIGIN: LOG.verifier()}), dict[str, Held]()
    talk = []
    for place, body in enumerate(asked):
        decision = witness.decide(body, held.get, WHEN + place)
        if decision.held:
            held[ORIGIN] = decision.held
        answer = decision.answer
        talk.append({"request": body.decode(), "status": answer.status, "answer": answer.body.decode()})
    return {
        "witness": {"seed": WITNESS_SEED.hex(), "name": WITNESS.name, "vkey": WITNESS.verifier(COSIGNATURE).encode()},
        "log": {"vkey": LOG.verifier().encode()},
        "cosignatures": [{"text": text, "line": line} for text, line in zip(texts, lines, strict=True)],
        "bad_cosignatures": [
            {"text": texts[1], "line": lines[2], "why": "another head"},
            {"text": texts[1], "line": cosign(texts[1], LOG, WHEN), "why": "another key"},
            {"text": texts[1], "line": WITNESS.sign(texts[1]).line(), "why": "a log's signature, no time"},
        ],
        "conversation": talk,
        "bad_requests": [body.decode() for body in malformed],
    }
